"""The function app: its settings are checked when the host asks for its functions, never when it is imported."""

import os

from azure.functions import AuthLevel, FunctionApp
from azure.functions.decorators.function_app import Function
from azure.functions.decorators.timer import TimerTrigger

from functions.parts import settings
from shared.settings import schedule_defaults


class Storekeeper(FunctionApp):
    """Refuses to start with settings that are missing or malformed, naming each."""

    def __init__(self) -> None:
        super().__init__(http_auth_level=AuthLevel.ANONYMOUS)

    def get_functions(self) -> list[Function]:
        """The functions, for the host.

        :raises SettingsError: settings are missing or malformed.
        """
        # No settings, no start: told here, it is the host's own error for this app, with the setting's name.
        settings()
        functions = super().get_functions()
        for function in functions:
            _fill_in_schedule(function)
        return functions


def _fill_in_schedule(function: Function) -> None:
    """Give a timer its default where the setting is absent: a host fails on ``%NAME%`` that it cannot resolve."""
    trigger = function.get_trigger()
    if isinstance(trigger, TimerTrigger):
        name = trigger.schedule.strip("%")
        if not os.environ.get(name, "").strip():
            trigger.schedule = schedule_defaults().get(name, trigger.schedule)
