"""What is kept of a fulfilment, and how it is written."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.ledger.filing import job_row
from shared.ledger.kinds import RETAIL, JobStatus
from shared.ledger.record import (
    END,
    SHARDS,
    Job,
    Line,
    LineState,
    balances_name,
    job_from,
    job_name,
    refund_name,
    safe,
    shard_of,
)
from shared.storage.rows import decode_row, encode_row

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
JOB = Job(
    user_id="player é/#?",
    tracking_id="9a2f1f3e-0000-4000-8000-000000000001",
    product_id="9NBLGGH4R0SP",
    quantity=2**31 - 1,
    consumable_type="UnmanagedConsumable",
    sandbox=RETAIL,
    accepted_on=NOW,
    filed_under="open|2026-11-21T14:00:00Z|u|t|0",
)
GRANTED = replace(
    JOB,
    status=JobStatus.GRANTED,
    reason="r",
    claim="c",
    claimed_until=NOW,
    not_before=NOW,
    attempts=1,
    uncertain=True,
    refusals=2,
    sent=3,
    looked_up=True,
    look_up_until=NOW,
    transaction_id="order",
    lines=(Line("o", "l", 1), Line("o2", "", 2, LineState.CHARGED_BACK, "event")),
    new_quantity=0,
    granted=2**31 - 1,
    balance=-(2**40),
    restores="t",
    granted_on=NOW,
)


@pytest.mark.parametrize("job", [JOB, GRANTED, replace(GRANTED, new_quantity=2**40)])
def test_a_job_comes_back_as_it_was_written(job: Job) -> None:
    assert job_from(decode_row(encode_row(job_row(job)))) == job


@pytest.mark.parametrize("count", [0, 1, 299, 300, 301, 600, 2000])
def test_a_job_holds_as_many_lines_as_a_consume_may_be_filled_by(count: int) -> None:
    lines = tuple(Line(f"{number:036}", f"{number:036}", 1, changed_by="e" * 36) for number in range(count))
    row = job_row(replace(GRANTED, lines=lines))

    assert job_from(decode_row(encode_row(row))).lines == lines
    assert max([len(value) for value in row.values() if isinstance(value, bytes)], default=0) <= 64 * 1024


def test_players_are_spread_evenly() -> None:
    shards = [shard_of(f"player-{number}") for number in range(SHARDS * 100)]

    assert set(shards) == {f"{shard:02x}" for shard in range(SHARDS)}
    assert max(shards.count(shard) for shard in set(shards)) < 200


@pytest.mark.parametrize("user", ["a", "player é/\\#?\n", "x" * 256, "\U0001f600" * 64])
def test_names_are_row_keys_whoever_the_player_is(user: str) -> None:
    for name in (
        job_name(user, JOB.tracking_id),
        balances_name(user, RETAIL) + "P" * 64,
        refund_name(user, "9a2f1f3e-0000-4000-8000-000000000001"),
    ):
        assert len(name) <= 512
        assert not set(name) & set("/\\#?%")
        assert all(" " < each < END for each in name)


@pytest.mark.parametrize(("text", "name"), [("", ""), ("9a2f-0.x_Y:", "9a2f-0.x_Y:"), ("a/b", "=YS9i"), ("é", "=w6k")])
def test_texts_of_the_stores_become_keys(text: str, name: str) -> None:
    assert safe(text) == name


def test_one_players_names_are_not_the_beginning_of_anothers() -> None:
    assert not job_name("ab", "t").startswith(job_name("a", ""))
