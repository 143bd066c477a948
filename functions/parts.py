"""The parts of this process, put together when a function first asks for them: no cold start pays for them before."""

import os
from functools import cache
from typing import TYPE_CHECKING

from shared.settings import Settings

if TYPE_CHECKING:
    from shared.wiring import Wiring


@cache
def settings() -> Settings:
    """The settings of this process, read once.

    :raises SettingsError: settings are missing or malformed.
    """
    return Settings.load(os.environ)


@cache
def parts() -> "Wiring":
    """The parts, built of :func:`settings`. Raises as it does."""
    from shared.wiring import Wiring  # noqa: PLC0415 - for the first call and not the start

    return Wiring(settings())
