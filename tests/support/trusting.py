"""Has this process trust a private CA, as an app does that finds it in its environment from the start."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiohttp import connector


@contextmanager
def trusted(ca: str) -> Iterator[pytest.MonkeyPatch]:
    """Trust the CA in file ``ca``; gives the environment of the block for more changes."""
    # aiohttp made this one when it was imported, of an environment that did not know the CA yet.
    connector._SSL_CONTEXT_VERIFIED.load_verify_locations(ca)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", ca)
        environment.setenv("REQUESTS_CA_BUNDLE", ca)
        yield environment
