"""One run: five players at whom everything happens that may, while the app dies once or twice."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from zlib import crc32

from tests.faults.lives import Bench, Life
from tests.faults.points import Aim
from tests.faults.shop import Drive, Shop
from tests.support.refunding import CHEST, COINS, GAME, SWORD, text_of

FIRST, LATER = 0, 1
"""A life that begins with nothing, and one that finds what another left behind: other points are crossed."""

UNFORESEEN = ("Traceback", "nobody foresaw", " CRITICAL ")


@dataclass
class Plan:
    """Which points are known, how often each was died at, and where to die next: at the one least died at.

    Of several plans that are carried out beside each other, each has its share of the points.
    """

    seed: int
    share: int = 0
    shares: int = 1
    known: tuple[Counter[str], Counter[str]] = field(default_factory=lambda: (Counter(), Counter()))
    died: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    crossed_by: Counter[str] = field(default_factory=Counter)
    """By point, the lives that came by it."""
    runs: int = 0
    since: dict[str, int] = field(default_factory=dict)
    """By point, the run in which it was first crossed."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def aim(self, which: int) -> Aim | None:
        """Where a life is to die; None while nothing is known."""
        points = self._ours(self.known[which])
        if which == LATER:
            # Those that a first life crosses as well have their turns there.
            points = [each for each in points if each not in self.known[FIRST] and not self._weight(each)] or points
        if not points:
            return None
        least = min(self._weight(point) for point in points)
        points = [point for point in points if self._weight(point) == least]
        # Rather those that many lives come by, so that a few runs die often; all have their turn in the end.
        (name,) = self._random.choices(points, [self.crossed_by[point] for point in points])
        first = self.missed[name] or self.chance(one_in=2)
        number = 1 if first else self._random.randint(1, self.known[which][name])
        return Aim(name, number)

    def chance(self, one_in: int) -> bool:
        """True once in so many times."""
        return self._random.randrange(one_in) == 0

    def learn(self, life: Life, which: int, aim: Aim | None) -> None:
        """Note what a life crossed, and where it died."""
        crossed = life.crossed()
        for name, count in Counter(crossed).items():
            self.known[which][name] = max(self.known[which][name], count)
            self.crossed_by[name] += 1
            self.since.setdefault(name, self.runs)
        if aim is None:
            return
        if life.ended.is_set() and crossed and crossed[-1] == aim.name:
            self.died[aim.name] += 1
        else:
            self.missed[aim.name] += 1

    def _weight(self, name: str) -> int:
        return self.died[name] + self.missed[name]

    def without_turn(self) -> list[str]:
        """The points at which no life was to die although they were known for half of the runs."""
        return [each for each in self._ours(self.points) if not self._weight(each) and self.since[each] < self.runs / 2]

    @property
    def points(self) -> Counter[str]:
        """All points known, with the most crossings that one life had."""
        return self.known[FIRST] | self.known[LATER]

    def told(self) -> str:
        """How far it is."""
        return (
            f"died {self.died.total()} times, at {len(self.died)} of {len(self._ours(self.points))} points"
            f" ({self.missed.total()} times it was not come by)"
        )

    def _ours(self, points: Iterable[str]) -> list[str]:
        return sorted(point for point in points if crc32(point.encode()) % self.shares == self.share)


class Run:
    """The lives of one run, each with its aim, and what the players do meanwhile."""

    def __init__(
        self, bench: Bench, plan: Plan, *, deaths: int = 0, trouble: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        self.plan = plan
        self.trouble = trouble
        """What goes wrong from the moment on at which the app has something to do."""
        self.shop = Shop(bench)
        self.drive = Drive(self.shop, self._revive)
        self.deaths = deaths
        self.lives: list[tuple[Life, Aim | None]] = []
        self._clock = bench.clock

    async def play(self) -> None:
        """From the first purchase to equal books.

        :raises AssertionError: they are not.
        """
        self._clock.set(timedelta(0))
        await self.shop.open()
        try:
            await self._story()
            if not self.trouble:
                self._check_logs()
        except BaseException as error:
            aims = [f"{aim.number} x {aim.name}" for _, aim in self.lives if aim]
            error.add_note(
                f"killed at: {aims}; the log of the last life: {self.lives[-1][0].log if self.lives else ''}"
            )
            raise
        finally:
            self.plan.runs += 1
            for number, (life, aim) in enumerate(self.lives):
                self.plan.learn(life, min(number, LATER), aim)
                await life.end()

    async def _story(self) -> None:
        shop, store = self.shop, self.shop.store
        names = ("refunded", "reversed", "bundle", "early", "backwards")
        anna, ben, cara, dora, emil = await asyncio.gather(*(shop.player(name) for name in names))
        orders = {
            anna: await shop.buy(anna, COINS, 10),
            ben: await shop.buy(ben, SWORD),
            cara: await shop.buy(cara, CHEST),
            dora: await shop.buy(dora, COINS, 5),
            emil: await shop.buy(emil, COINS, 3),
        }
        game = await shop.buy(emil, GAME)
        over_http = [
            shop.asks(anna, COINS, 4, over_http=True),
            shop.asks(cara, SWORD, 1, over_http=True),
            shop.asks(emil, COINS, 3, over_http=True),
        ]
        by_message = [
            shop.asks(anna, COINS, 6, over_http=False),
            shop.asks(ben, SWORD, 1, over_http=False),
            shop.asks(cara, COINS, 60, over_http=False),
        ]
        # Consumed by one who died, and refunded before the grant.
        early = shop.asks(dora, COINS, 5, over_http=False)
        await shop.consume_as_one_who_died(early)
        await store.refund(dora, orders[dora], times=2)

        if self.trouble:
            await self.trouble()
        for asked in by_message:
            await shop.send(asked)
        asked_first = [*over_http, *by_message]
        await self.drive.until(lambda: shop.all_granted(asked_first), over_http)

        await store.refund(anna, orders[anna])
        await store.refund(cara, orders[cara], products=[COINS])
        await store.charge_back(ben, orders[ben], times=2)
        await store.reverse_chargeback(ben, orders[ben])
        charged = await store.charge_back(emil, orders[emil], send=False)
        restored = await store.reverse_chargeback(emil, orders[emil], send=False)
        for event in (*restored, *charged):
            await store.put_message(text=text_of(event))
        await store.refund(emil, game)
        await store.put_message(text="what nobody can read")
        await shop.send(early)
        life = await self.drive.alive()
        await shop.run(life, "fetch_refunds")
        await shop.run(life, "sweep")
        await self.drive.until(lambda: shop.all_granted([early]), [])
        await self.drive.rest()
        told = await shop.check()
        assert (told["entitlement.revoked"], told["refund.review-needed"]) == (1, 1), told

    def _check_logs(self) -> None:
        """No life met an error that nobody foresaw, even if all came right in the end."""
        for life, _ in self.lives:
            log = life.log.read_text()
            assert not any(sign in log for sign in UNFORESEEN), f"{life.log}:\n{log}"

    async def _revive(self) -> Life:
        aim = None
        if len(self.lives) < self.deaths:
            aim = self.plan.aim(min(len(self.lives), LATER))
        if self.lives:
            self._clock.later(minutes=2)
        life = await self.shop.bench.lives.begin(aim)
        self.lives.append((life, aim))
        return life
