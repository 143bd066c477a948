"""Pieces of a listing: up to 50 products, fetched side by side, and written in one transaction."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from shared.catalog.basis import read_basis
from shared.catalog.claims import Claims
from shared.catalog.content import Content, Problem, digest
from shared.catalog.fetching import DETAILS, LICENSE, LOCALIZED, PACKAGES, Fetched, Fetching
from shared.catalog.landing import Landed, Landing
from shared.catalog.postponing import DEADLY, Reason, reason_of
from shared.catalog.record import Product, to_row
from shared.catalog.schedule import ATTEMPTS, ATTEMPTS_WITHOUT_CREDENTIALS, BUDGET, LEFT_ALONE
from shared.catalog.shelf import Shelf
from shared.catalog.side_by_side import all_of
from shared.catalog.work import Tally, Todo
from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.store.business import BusinessStore
from shared.store.errors import StoreThrottledError
from shared.store.models.business import InventoryEntry, InventoryStatus

_log = get_logger(__name__)


class Wanted(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A product to be fetched. ``held`` is the digest of what is held (None: nothing is); ``same``: its entry is one
    that was fetched already, so that whatever differs now is to be repaired.
    """

    entry: InventoryEntry
    held: str | None = None
    same: bool = False


class Piece(msgspec.Struct, frozen=True, rename="camel"):
    """The payload of a piece. ``basis`` are the settings that the pass began with; ``full``: all is looked at anew."""

    basis: str
    full: bool
    wanted: Sequence[Wanted]


@dataclass(frozen=True, slots=True)
class Postponed:
    """A product that could not be had now, and why; not ``tried`` where the Store was not even asked."""

    wanted: Wanted
    why: Reason
    tried: bool = True


class Pieces:
    """Works on pieces."""

    def __init__(
        self, shelf: Shelf, landing: Landing, fetching: Fetching, concurrency: int, *, clock: Clock = utc_now
    ) -> None:
        self._shelf = shelf
        self._landing = landing
        self._fetching = fetching
        self._claims = Claims(shelf, clock=clock)
        self._clock = clock
        # Of each tenant as many products at once as there are connections: a call that waits for one runs out of time.
        self._places: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(concurrency))
        self._left_alone: dict[str, tuple[datetime, str]] = {}

    async def work(self, store: BusinessStore, todo: Todo) -> None:
        """Fetch the products of a piece and write what has changed; what could not be had is tried again later.

        :raises UnavailableError: storage is away; the piece is still to be done.
        """
        piece = msgspec.json.decode(todo.payload, type=Piece)
        deadline = asyncio.get_running_loop().time() + BUDGET
        outcomes: Sequence[Landed[Wanted] | Postponed] = [Postponed(each, DEADLY) for each in piece.wanted]
        if not todo.is_deadly:
            async with self._claims.kept(todo) as kept:
                outcomes = await all_of(self._one(store, piece, wanted, deadline) for wanted in piece.wanted)
            todo = kept.todo
        landed = [each for each in outcomes if isinstance(each, Landed)]
        postponed = [each for each in outcomes if isinstance(each, Postponed)]
        given_up = [
            each for each in postponed if todo.is_deadly or (each.tried and todo.attempts + 1 >= _patience(each))
        ]
        left = [each for each in postponed if each not in given_up]
        landed += await all_of(self._give_up(store, piece.basis, each) for each in given_up)
        if left:
            _log.warning("%s: %d products are tried again, since %s", todo.name, len(left), left[0].why.text)
        await self._landing.land(
            todo,
            landed,
            [each.wanted for each in left],
            lambda wanted: msgspec.json.encode(Piece(piece.basis, piece.full, wanted)),
            retry_after=max((each.why.retry_after or 0.0 for each in left), default=None),
            tried=any(each.tried for each in left),
        )

    async def _one(
        self, store: BusinessStore, piece: Piece, wanted: Wanted, deadline: float
    ) -> Landed[Wanted] | Postponed:
        """What came of one product. Never raises but where storage is away: one must not hold up the others."""
        try:
            async with asyncio.timeout_at(deadline), self._places[store.tenant_id]:
                if why := self._why_left_alone(store.tenant_id):
                    return Postponed(wanted, why, tried=False)
                fetched = await self._fetching.fetch(store, wanted.entry, read_basis(piece.basis))
            return await self._judged(store, piece, wanted, fetched)
        except Exception as error:  # noqa: BLE001 - one product must not hold up the others, whatever it is
            why = reason_of(error)
            if isinstance(error, StoreThrottledError):
                until = self._clock() + timedelta(seconds=max(why.retry_after or 0.0, LEFT_ALONE))
                self._left_alone[store.tenant_id] = (until, why.text)
            return Postponed(wanted, why)

    def _why_left_alone(self, tenant_id: str) -> Reason | None:
        """Why nothing is begun for a tenant now: its pieces would wait in vain, and those of all others behind them."""
        until, text = self._left_alone.get(tenant_id, (None, ""))
        remaining = (until - self._clock()).total_seconds() if until else 0.0
        return Reason(text, hopeless=False, retry_after=remaining) if remaining > 0 else None

    async def _judged(self, store: BusinessStore, piece: Piece, wanted: Wanted, fetched: Fetched) -> Landed[Wanted]:
        entry, content, problems = wanted.entry, fetched.content, fetched.problems
        removed = entry.status is InventoryStatus.REMOVED
        if problems or removed:
            held = await self._shelf.product(store.tenant_id, entry.product_key) if wanted.held is not None else None
            content = _merged(content, problems, held, keep_owned=removed)
        tally = Tally(fetched=1, problems=len(problems))
        files = [msgspec.structs.replace(file, fresh=piece.full) for file in fetched.files]
        if digest(entry, content, problems) == wanted.held and wanted.same:
            return Landed(wanted, tally, files=files)
        row = to_row(
            store.tenant_id,
            Product(entry, content, problems, complete=True, basis=piece.basis, changed_on=self._clock()),
        )
        repaired = wanted.same and bool(wanted.held)
        if repaired:
            _log.warning("%s differed from the Store, although nothing said so; repaired", row["RowKey"])
        return Landed(wanted, tally + Tally(changed=1, repaired=int(repaired)), row, files)

    async def _give_up(self, store: BusinessStore, basis: str, postponed: Postponed) -> Landed[Wanted]:
        """Keep what there is of a product, and say what is wrong; not complete, so that the next pass asks again."""
        wanted = postponed.wanted
        _log.error("a product is given up on for this pass: %s", postponed.why.text)
        held = await self._shelf.product(store.tenant_id, wanted.entry.product_key) if wanted.held is not None else None
        problems = (Problem("product", f"could not be fetched: {postponed.why.text}"[:300]),)
        content = held.content if held else Content()
        product = Product(wanted.entry, content, problems, complete=False, basis=basis, changed_on=self._clock())
        return Landed(wanted, Tally(fetched=1, failed=1), to_row(store.tenant_id, product))


def _patience(postponed: Postponed) -> int:
    return ATTEMPTS_WITHOUT_CREDENTIALS if postponed.why.hopeless else ATTEMPTS


def _merged(content: Content, problems: Sequence[Problem], held: Product | None, *, keep_owned: bool) -> Content:
    """What was fetched, and in place of each part that could not be had the one that is held: history is kept."""
    if held is None:
        return content
    parts = {problem.part for problem in problems}
    if DETAILS in parts:
        return held.content
    localized = {
        **content.localized,
        **{
            language: detail for language, detail in held.content.localized.items() if f"{LOCALIZED}{language}" in parts
        },
    }
    package_set, licenses = content.package_set, list(content.licenses)
    if keep_owned or PACKAGES in parts:
        package_set, licenses = held.content.package_set, list(held.content.licenses)
    licenses += [each for each in held.content.licenses if f"{LICENSE}{each.content_id}" in parts]
    return Content(content.details, localized, package_set, tuple(licenses))
