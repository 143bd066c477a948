"""A verified token is remembered for a moment, by a clock that may jump either way."""

from shared.auth.recent import CAPACITY, REMEMBERED, RecentTokens

NOW = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def test_a_token_is_remembered_for_a_moment() -> None:
    clock = Clock()
    recent = RecentTokens[str](now=clock)
    recent.remember("token", "caller", NOW + 3600)

    assert recent.find("token") == "caller"
    assert recent.find("another") is None
    clock.now += REMEMBERED
    assert recent.find("token") is None


def test_one_that_expires_sooner_is_forgotten_then() -> None:
    clock = Clock()
    recent = RecentTokens[str](now=clock)
    recent.remember("token", "caller", NOW + 5)

    clock.now += 5
    assert recent.find("token") is None


def test_a_clock_that_is_set_back_makes_nothing_hold_for_longer() -> None:
    clock = Clock()
    recent = RecentTokens[str](now=clock)
    recent.remember("token", "caller", NOW + 3600)

    clock.now -= 1800
    assert recent.find("token") is None


def test_no_more_are_kept_than_there_is_room_for() -> None:
    recent = RecentTokens[int](now=Clock())
    for number in range(CAPACITY + 1):
        recent.remember(f"token-{number}", number, NOW + 3600)

    assert recent.find("token-0") is None
    assert recent.find(f"token-{CAPACITY}") == CAPACITY
