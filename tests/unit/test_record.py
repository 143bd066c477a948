"""What is kept of a player becomes rows, and rows become what was kept."""

import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.auth.tokens import StoreIdKind
from shared.keys.record import SHARDS, Record, StoredKey, from_row, row_name, shard_of, to_properties
from shared.keys.status import Status
from shared.storage.sealing import Sealed

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
moments = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0)
)
ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=64)
stored = st.builds(
    StoredKey,
    status=st.sampled_from(Status),
    issued_on=moments,
    expires_on=moments,
    renew_after=moments,
    sealed=st.none() | st.builds(Sealed, st.binary(max_size=100), st.text(max_size=40)),
    duty_on=st.none() | moments,
    attempts=st.integers(0, 2**31 - 1),
    unannounced=st.booleans(),
)
records = st.builds(
    Record,
    user_id=ids,
    keys=st.dictionaries(st.sampled_from(StoreIdKind), stored),
    filed_under=st.none() | st.text(min_size=1, max_size=40),
)


def key(**changes: object) -> StoredKey:
    values: dict[str, object] = {
        "status": Status.ACTIVE,
        "issued_on": NOW,
        "expires_on": NOW + timedelta(days=30),
        "renew_after": NOW + timedelta(days=14),
        "sealed": Sealed(b"sealed", "v1"),
        "duty_on": NOW + timedelta(days=14),
    }
    return StoredKey(**(values | changes))  # type: ignore[arg-type]


@given(records)
def test_a_record_survives_the_way_to_a_row_and_back(record: Record) -> None:
    assert from_row(to_properties(record)) == record


@given(records)
def test_a_row_holds_only_what_tables_hold(record: Record) -> None:
    properties = to_properties(record)

    assert all(isinstance(value, str | int | bool | bytes) for value in properties.values())
    assert all(re.fullmatch(r"[a-zA-Z]+", name) for name in properties)


@given(ids)
def test_a_row_is_named_in_characters_that_a_row_key_may_hold(user_id: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]+", row_name(user_id))
    assert re.fullmatch(r"[0-9a-f]{2}", shard_of(user_id))
    assert int(shard_of(user_id), 16) < SHARDS


@given(ids, ids)
def test_two_players_never_share_a_row(one: str, other: str) -> None:
    assert (row_name(one) == row_name(other)) == (one == other)


def test_players_are_spread_evenly() -> None:
    counts: dict[str, int] = {}
    for number in range(64_000):
        shard = shard_of(f"player-{number}")
        counts[shard] = counts.get(shard, 0) + 1

    assert len(counts) == SHARDS
    assert all(800 < count < 1_200 for count in counts.values())


def test_the_first_duty_of_all_keys_is_the_records() -> None:
    early, late = NOW + timedelta(days=1), NOW + timedelta(days=2)
    both = {StoreIdKind.COLLECTIONS: key(duty_on=late), StoreIdKind.PURCHASE: key(duty_on=early)}

    assert Record("player", both).duty_on == early
    assert Record("player", {StoreIdKind.PURCHASE: key(duty_on=None)}).duty_on is None
    assert Record("player").duty_on is None


def test_an_active_key_expires_by_itself_and_a_dead_one_stays_what_it_is() -> None:
    expiry = NOW + timedelta(days=30)

    assert key().status_at(expiry - timedelta(seconds=1)) is Status.ACTIVE
    assert key().status_at(expiry) is Status.EXPIRED
    assert key(status=Status.REISSUE_NEEDED).status_at(expiry) is Status.REISSUE_NEEDED


def test_keys_are_put_and_taken_without_touching_the_other_kind() -> None:
    record = Record("player").with_key(StoreIdKind.COLLECTIONS, key()).with_key(StoreIdKind.PURCHASE, key(attempts=2))

    assert record.without_key(StoreIdKind.COLLECTIONS).keys == {StoreIdKind.PURCHASE: key(attempts=2)}
    assert record.keys.keys() == {StoreIdKind.COLLECTIONS, StoreIdKind.PURCHASE}
