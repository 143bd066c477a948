"""Seat operations that fail on request: for some users, with a reason, a number of times."""

import re
from dataclasses import dataclass

from local.emulator.business.records import ProductKey


@dataclass
class Refusal:
    """Refuses users whose name ``users`` matches as a whole, of one product or of all.

    Bulk operations report ``reason`` as their failure, single ones answer with ``status`` and the reason. ``left`` is
    how many more users it refuses, ``None`` for any number.
    """

    users: re.Pattern[str]
    reason: str
    status: int = 409
    product: ProductKey | None = None
    left: int | None = None


class SeatRefusals:
    """The refusals in force, in the order of their making; of all tenants, whose users' names differ anyway."""

    def __init__(self) -> None:
        self._refusals: list[Refusal] = []

    def add(self, refusal: Refusal) -> None:
        """Put a refusal in force."""
        self._refusals.append(refusal)

    def clear(self) -> None:
        """Lift all refusals."""
        self._refusals.clear()

    def find(self, product: ProductKey, user: str) -> Refusal | None:
        """Return the first refusal that strikes, counted as used once."""
        for refusal in self._refusals:
            if refusal.left == 0 or refusal.product not in {None, product} or not refusal.users.fullmatch(user):
                continue
            if refusal.left is not None:
                refusal.left -= 1
            return refusal
        return None
