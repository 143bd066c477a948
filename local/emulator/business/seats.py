"""The seats of one tenant: who has which, in pages, without a scan of them all."""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import islice

from local.emulator.business.records import ProductKey, Seat

# Seats that are gone stay in the order until they are more than those that are left, and more than this.
_GONE_KEPT = 64


class _ProductSeats:
    """The active seats of one product by user, and in the order of their numbers."""

    def __init__(self, seats: Iterable[Seat] = ()) -> None:
        self.by_user = {seat.user.lower(): seat for seat in seats}
        self._order = list(self.by_user.values())

    def add(self, seat: Seat) -> None:
        self.by_user[seat.user.lower()] = seat
        self._order.append(seat)

    def remove(self, user: str) -> Seat | None:
        seat = self.by_user.pop(user.lower(), None)
        if len(self._order) > 2 * len(self.by_user) + _GONE_KEPT:
            self._order = list(self.by_user.values())
        return seat

    def after(self, number: int, count: int) -> list[Seat]:
        start = bisect_right(self._order, number, key=lambda seat: seat.number)
        active = (seat for seat in islice(self._order, start, None) if self.by_user.get(seat.user.lower()) is seat)
        return list(islice(active, count))


class SeatLedger:
    """Who has a seat of what. User names have no case; the seat keeps the spelling with which it was assigned."""

    def __init__(self) -> None:
        self._products: dict[ProductKey, _ProductSeats] = {}
        self._users: dict[str, dict[ProductKey, Seat]] = {}
        self._last = 0

    def load(self, key: ProductKey, seats: Iterable[Seat]) -> None:
        """Take over the seats of a product as they were saved."""
        self._products[key] = product = _ProductSeats(seats)
        for user, seat in product.by_user.items():
            self._users.setdefault(user, {})[key] = seat
            self._last = max(self._last, seat.number)

    def saved(self, key: ProductKey) -> list[Seat]:
        """Return the active seats of a product in the order of their numbers."""
        product = self._products.get(key)
        return list(product.by_user.values()) if product is not None else []

    def used(self, key: ProductKey) -> int:
        """Return how many seats of a product are assigned."""
        product = self._products.get(key)
        return len(product.by_user) if product is not None else 0

    def get(self, key: ProductKey, user: str) -> Seat | None:
        """Return the seat of a user, if there is one."""
        product = self._products.get(key)
        return product.by_user.get(user.lower()) if product is not None else None

    def add(self, key: ProductKey, user: str, assigned: int) -> Seat:
        """Give a seat to a user who has none; ``assigned`` in ticks."""
        self._last += 1
        seat = Seat(self._last, user, assigned)
        self._products.setdefault(key, _ProductSeats()).add(seat)
        self._users.setdefault(user.lower(), {})[key] = seat
        return seat

    def remove(self, key: ProductKey, user: str) -> Seat | None:
        """Take the seat of a user; ``None`` when there was none."""
        product = self._products.get(key)
        seat = product.remove(user) if product is not None else None
        if seat is not None:
            owned = self._users[user.lower()]
            del owned[key]
            if not owned:
                del self._users[user.lower()]
        return seat

    def of_product(self, key: ProductKey, after: int, count: int) -> list[Seat]:
        """Return up to ``count`` seats of a product with numbers above ``after``, in order."""
        product = self._products.get(key)
        return product.after(after, count) if product is not None else []

    def of_user(self, user: str, after: int, count: int) -> list[tuple[ProductKey, Seat]]:
        """Return up to ``count`` seats of a user with numbers above ``after``, in order."""
        owned = self._users.get(user.lower(), {})
        return list(islice(((key, seat) for key, seat in owned.items() if seat.number > after), count))
