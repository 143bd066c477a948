"""The function app as the host finds it, without a host."""

import pytest
from azure.functions.decorators.function_app import Function

import function_app
from functions.parts import settings
from tests.support.environ import ENVIRON


@pytest.fixture(scope="session")
def indexed() -> list[Function]:
    """The functions of ``function_app.py``, indexed under settings that say as little as can be."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in ENVIRON.items():
            environment.setenv(name, value)
        environment.delenv("KEY_RENEWAL_SCHEDULE", raising=False)
        settings.cache_clear()
        functions: list[Function] = function_app.app.get_functions()
        settings.cache_clear()
    return functions
