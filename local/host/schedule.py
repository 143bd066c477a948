"""Timer schedules: NCRONTAB (six fields, seconds first; five are taken too) or a constant interval ``hh:mm:ss``. UTC.

In NCRONTAB a day must fit both the day of the month and the day of the week, unlike in cron.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from croniter import CroniterError, croniter

from local.host import config
from local.host.errors import StartError

type Schedule = Callable[[datetime], datetime]
"""The first occurrence after a moment."""

_FIELD = re.compile(r"(?:[0-9*,/-]|[A-Za-z]{3})+")  # names have three letters; L, W, H and ? are other dialects


def parse(text: str, where: str) -> Schedule:
    """The schedule that ``text`` writes.

    :raises StartError: it is neither form; ``where`` says whose it is.
    """
    fields = text.split()
    if len(fields) == 1:
        return _interval(text, where)
    if len(fields) not in (5, 6) or not all(_FIELD.fullmatch(field) for field in fields):
        raise StartError(f"{where}: {text!r} is no NCRONTAB expression of six fields (seconds first) and no hh:mm:ss")
    expression = " ".join(fields if len(fields) == 6 else ["0", *fields])
    try:
        croniter(expression, second_at_beginning=True, day_or=False)
    except (CroniterError, ValueError) as error:
        raise StartError(f"{where}: {text!r}: {error}") from error

    def following(moment: datetime) -> datetime:
        found: datetime = croniter(expression, moment, datetime, second_at_beginning=True, day_or=False).get_next()
        return found

    return following


def _interval(text: str, where: str) -> Schedule:
    length = timedelta(seconds=config.time_span(text, where))
    if not length:
        raise StartError(f"{where}: an interval must be longer than 0")
    return lambda moment: moment + length
