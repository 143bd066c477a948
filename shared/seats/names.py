"""Names as a job takes them: which are malformed, and which users (UPNs) stand there twice. Pure."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from shared.errors import InputFault, UnprocessableError

MAX_USERS = 100_000
MAX_CHARACTERS = 113
"""Characters of a UPN (Entra: 64 before the ``@``, 48 after it)."""

PRODUCT_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""A product's id or its SKU's: what a path takes as it is."""

MAX_FAULTS = 100
"""Faults that are listed; how many there are in all is said."""

type Place = Callable[[int], str]
"""Where in the input the user of an index stands."""


@dataclass(frozen=True, slots=True)
class UserList:
    """The users of a job as they came, and where each stands."""

    names: Sequence[str]
    place: Place


def in_json(names: Sequence[str]) -> UserList:
    """Users of a JSON array named ``users``."""
    return UserList(names, lambda index: f"/users/{index}")


def fault_of(name: str) -> str | None:
    """What is wrong with a UPN, or None. What it says repeats nothing of the name."""
    if not name:
        return "is empty"
    if len(name) > MAX_CHARACTERS:
        return f"has more than {MAX_CHARACTERS} characters"
    if " " in name or not name.isprintable():
        return "has a space or a character that cannot be seen"
    before, _, after = name.partition("@")
    if name.count("@") != 1 or not before or not after:
        return "is no UPN: exactly one @ with something on both sides is expected"
    return None


def check_users(users: UserList) -> None:
    """Look at all users of a job.

    :raises UnprocessableError: there are none or too many, or some are malformed or stand there twice; each is named.
    """
    count = len(users.names)
    if not 1 <= count <= MAX_USERS:
        detail = f"{count} users are named; from 1 to {MAX_USERS} are accepted"
        raise UnprocessableError(detail, faults=(InputFault("/users", detail),))
    refuse(list(_faults(users)))


def refuse(faults: Sequence[InputFault]) -> None:
    """Say what is wrong with users, if anything is.

    :raises UnprocessableError: with the first :data:`MAX_FAULTS` of the faults.
    """
    if not faults:
        return
    more = f"; the first {MAX_FAULTS} are listed" if len(faults) > MAX_FAULTS else ""
    some = "1 user" if len(faults) == 1 else f"{len(faults)} users"
    raise UnprocessableError(f"{some} cannot be accepted{more}; nothing was begun", faults=tuple(faults[:MAX_FAULTS]))


def _faults(users: UserList) -> Iterator[InputFault]:
    first: dict[str, int] = {}
    for index, name in enumerate(users.names):
        if fault := fault_of(name):
            yield InputFault(users.place(index), fault)
        elif (other := first.setdefault(name.casefold(), index)) != index:
            yield InputFault(
                users.place(index), f"is named already at {users.place(other)}; letter case does not count"
            )
