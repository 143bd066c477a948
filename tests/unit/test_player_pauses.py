"""Players that are left alone for a while."""

import pytest

from shared.keys import pauses
from shared.keys.pauses import Pauses


class Watch:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_pause_is_one_players_and_ends_by_itself() -> None:
    watch = Watch()
    players = Pauses[str](monotonic=watch)

    players.extend("ada", 37)

    assert (players.remaining("ada"), players.remaining("bob")) == (37, 0)
    watch.now += 36
    assert players.remaining("ada") == 1
    watch.now += 5
    assert players.remaining("ada") == 0


def test_a_shorter_pause_does_not_shorten_a_longer_one() -> None:
    players = Pauses[str](monotonic=Watch())

    for seconds in (10, 37, 5):
        players.extend("ada", seconds)

    assert players.remaining("ada") == 37


def test_those_whose_time_is_over_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "MANY", 10)
    watch = Watch()
    players = Pauses[int](monotonic=watch)

    for number in range(1000):
        players.extend(number, 5)
        watch.now += 1

    assert len(players._until) <= 10
    assert players.remaining(999) == 4
