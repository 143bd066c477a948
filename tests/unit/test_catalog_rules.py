"""The pure rules of passes: watermarks, delays, packing, tokens, settings."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.catalog import tokens
from shared.catalog.basis import Basis, read_basis
from shared.catalog.landing import MAX_PRODUCTS
from shared.catalog.listing import CHANGES_TAKE, later
from shared.catalog.packing import MAX_PACKED, SLICE, pack, unpack
from shared.catalog.schedule import ATTEMPTS, LONGEST_DELAY, retry_delay
from shared.catalog.work import State, Tally, new_sync_id
from shared.store.models.business import DistributionPolicy, InventoryEntry, InventoryStatus, LicenseType, ProductKey
from shared.store.wire_time import ticks

LIMIT = datetime(2016, 3, 1, tzinfo=UTC)


def entry(last_modified: str, product_id: str = "9WZDNCRFHVJL") -> InventoryEntry:
    key = ProductKey(product_id, "0016")
    online, open_to_all = LicenseType.ONLINE, DistributionPolicy.OPEN
    return InventoryEntry(key, 1, 1, last_modified, online, open_to_all, InventoryStatus.ACTIVE)


class TestWatermarks:
    def test_the_greatest_moment_wins_and_its_text_is_kept(self) -> None:
        entries = [
            entry("2016-02-01T00:00:00Z"),
            entry("2016-01-31T20:00:00.0000001-05:00"),
            entry("2016-01-31T23:00:00Z"),
        ]

        assert later("", entries, LIMIT) == "2016-01-31T20:00:00.0000001-05:00"

    def test_what_changed_as_we_listed_is_left_to_the_next_pass(self) -> None:
        entries = [entry("2016-02-29T23:59:59.9999999Z"), entry("2016-03-01T00:00:00.0000001Z")]

        assert later("", entries, LIMIT) == "2016-02-29T23:59:59.9999999Z"
        assert timedelta(minutes=1) <= CHANGES_TAKE

    def test_an_earlier_page_is_not_forgotten(self) -> None:
        assert later("2016-02-02T00:00:00Z", [entry("2016-02-01T00:00:00Z")], LIMIT) == "2016-02-02T00:00:00Z"

    def test_a_time_that_nobody_can_read_moves_nothing(self) -> None:
        assert later("", [entry("yesterday"), entry("2016-02-01T00:00:00Z")], LIMIT) == "2016-02-01T00:00:00Z"
        assert later("", [entry("")], LIMIT) == ""

    @given(st.lists(st.datetimes(datetime(2015, 1, 1), datetime(2017, 1, 1))))  # noqa: DTZ001 - the zone is written below
    def test_it_is_one_of_the_texts_no_later_than_the_limit_and_none_such_is_greater(
        self, times: list[datetime]
    ) -> None:
        texts = [f"{each:%Y-%m-%dT%H:%M:%S}.{each.microsecond:06}7Z" for each in times]

        found = later("", [entry(each) for each in texts], LIMIT)

        limit = ticks("2016-03-01T00:00:00Z")
        assert found == max((each for each in texts if ticks(each) <= limit), key=ticks, default="")


class TestDelays:
    def test_they_double_up_to_a_longest(self) -> None:
        delays = [retry_delay(attempts, None, 1.0) for attempts in range(12)]

        assert delays[:4] == [2.0, 4.0, 8.0, 16.0]
        assert delays[-1] == LONGEST_DELAY
        assert sum(delays[: ATTEMPTS - 1]) < 600

    def test_jitter_takes_up_to_half(self) -> None:
        assert retry_delay(3, None, 0.0) == 8.0

    def test_the_stores_own_time_is_heeded(self) -> None:
        assert retry_delay(0, 3600.0, 0.5) == 3600.0
        assert retry_delay(5, 1.0, 1.0) == 64.0


class TestPacking:
    @given(st.binary(max_size=1000))
    def test_what_was_packed_comes_back(self, data: bytes) -> None:
        assert unpack("content", pack("content", data)) == data

    def test_much_is_spread_over_properties_that_each_fit(self) -> None:
        data = random.Random(1).randbytes(400_000)

        packed = pack("content", data)

        assert len(packed) > 6
        assert all(len(each) <= SLICE for each in packed.values())
        assert unpack("content", packed) == data

    def test_too_much_is_refused(self) -> None:
        with pytest.raises(OverflowError):
            pack("content", random.Random(1).randbytes(MAX_PACKED + 1000))


class TestTokens:
    @given(st.text(min_size=1))
    def test_a_token_leads_back_to_its_place(self, after: str) -> None:
        question = ("tenant", None, "Active")

        assert tokens.decode(question, tokens.encode(question, after)) == after

    def test_one_of_another_question_or_altered_is_refused(self) -> None:
        token = tokens.encode(("tenant", None), "product|a|b")

        with pytest.raises(tokens.ContinuationError):
            tokens.decode(("other", None), token)
        for at in range(len(token)):
            altered = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
            with pytest.raises(tokens.ContinuationError):
                tokens.decode(("tenant", None), altered)

    @given(st.text())
    def test_garbage_is_refused(self, token: str) -> None:
        with pytest.raises(tokens.ContinuationError):
            tokens.decode(("tenant",), token)


class TestPasses:
    def test_settings_survive_as_text(self) -> None:
        for basis in (Basis(("en-us",), True), Basis(("en-us", "ja-jp"), False)):
            assert read_basis(str(basis)) == basis

    def test_counts_add_up(self) -> None:
        total = sum([Tally(pages=1, seen=3), Tally(seen=4, downloaded_bytes=2**40)], Tally())

        assert total == Tally(pages=1, seen=7, downloaded_bytes=2**40)

    def test_ids_sort_by_time_and_differ(self) -> None:
        early, late = (new_sync_id(LIMIT + timedelta(seconds=each)) for each in (0, 1))

        assert early < late
        assert new_sync_id(LIMIT) != new_sync_id(LIMIT)

    def test_a_page_makes_few_pieces_that_each_fit_into_a_transaction(self) -> None:
        assert 25 <= MAX_PRODUCTS <= 50
        assert {each.value for each in State} == {"running", "completed", "completedWithFailures", "failed"}
