"""Products that are held as active and that a complete full listing did not name.

None is marked as removed on the word of a listing alone: the Store is asked about each, by a call that only an owner's
product answers (reference, "Operations": 404 without inventory, 409 ``Not owned``).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec

from shared.catalog.claims import Claims
from shared.catalog.content import Problem
from shared.catalog.fetching import is_about_product
from shared.catalog.landing import Landed, Landing
from shared.catalog.postponing import reason_of
from shared.catalog.record import Product, to_row
from shared.catalog.schedule import ATTEMPTS, BUDGET
from shared.catalog.shelf import Shelf
from shared.catalog.side_by_side import side_by_side
from shared.catalog.work import Tally, Todo
from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.store.business import BusinessStore
from shared.store.errors import StoreRefusedError
from shared.store.models.business import InventoryEntry, InventoryStatus, LicenseType

_UNLISTED = Problem("inventory", "not named by a full listing, and yet the Store knows it")

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Unsure:
    name: str
    retry_after: float | None


class Missing:
    """Works on what a full listing left out."""

    def __init__(self, shelf: Shelf, landing: Landing, *, clock: Clock = utc_now) -> None:
        self._shelf = shelf
        self._landing = landing
        self._claims = Claims(shelf, clock=clock)
        self._clock = clock

    async def work(self, store: BusinessStore, todo: Todo) -> None:
        """Ask the Store about each, and mark or report it.

        :raises UnavailableError: storage is away; the piece is still to be done.
        """
        names = msgspec.json.decode(todo.payload, type=list[str])
        deadline = asyncio.get_running_loop().time() + BUDGET
        outcomes: Sequence[Landed[str] | _Unsure] = [_Unsure(each, None) for each in names]
        if not todo.is_deadly:
            async with self._claims.kept(todo) as kept:
                outcomes = await side_by_side(partial(self._one, store, deadline), names)
            todo = kept.todo
        landed = [each for each in outcomes if isinstance(each, Landed)]
        unsure = [each for each in outcomes if isinstance(each, _Unsure)]
        if todo.is_deadly or todo.attempts + 1 >= ATTEMPTS:
            landed += [Landed(each.name, Tally(failed=1)) for each in unsure]
            unsure = []
        await self._landing.land(
            todo,
            landed,
            [each.name for each in unsure],
            msgspec.json.encode,
            retry_after=max((each.retry_after or 0.0 for each in unsure), default=None),
        )

    async def _one(self, store: BusinessStore, deadline: float, name: str) -> Landed[str] | _Unsure:
        product = await self._shelf.product_in_row(store.tenant_id, name)
        if product is None:
            return Landed(name, Tally())
        try:
            async with asyncio.timeout_at(deadline):
                owned = await _is_owned(store, product.entry)
        except Exception as error:  # noqa: BLE001 - one product must not hold up the others, whatever it is
            return _Unsure(name, reason_of(error).retry_after)
        if owned:
            _log.warning("%s was not named by a full listing, and yet the Store knows it", name)
            return self._landed(store, name, self._reported(product), Tally(unlisted=1))
        _log.warning("%s is no longer in the inventory; marked as removed", name)
        entry = msgspec.structs.replace(product.entry, status=InventoryStatus.REMOVED)
        return self._landed(store, name, replace(product, entry=entry), Tally(removed=1, repaired=1, changed=1))

    def _reported(self, product: Product) -> Product:
        others = tuple(each for each in product.problems if each != _UNLISTED)
        return replace(product, problems=(*others, _UNLISTED))

    def _landed(self, store: BusinessStore, name: str, product: Product, tally: Tally) -> Landed[str]:
        return Landed(name, tally, to_row(store.tenant_id, replace(product, changed_on=self._clock())))


async def _is_owned(store: BusinessStore, entry: InventoryEntry) -> bool:
    """Whether the Store still knows a product as the tenant's; other refusals of it than "no" count as knowing it."""
    try:
        if entry.license_type is LicenseType.OFFLINE:
            await store.get_packages(entry.product_key)
        else:
            await anext(store.seats(entry.product_key, page_size=1), None)
    except StoreRefusedError as refusal:
        if not is_about_product(refusal):
            raise
        return not _says_no(refusal)
    return True


def _says_no(refusal: StoreRefusedError) -> bool:
    reason = f"{refusal.answer.reason or ''} {refusal.answer.message or ''} {refusal.answer.code or ''}".lower()
    return refusal.answer.status == 404 or (refusal.answer.status == 409 and "not owned" in reason)
