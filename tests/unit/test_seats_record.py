"""How jobs are written as rows, and split into blocks."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.seats.outcomes import MAX_REASON, Finding
from shared.seats.record import (
    MAX_BYTES,
    MOST_USERS,
    Block,
    Counts,
    Job,
    Todo,
    block_from,
    block_row,
    blocks_of,
    job_from,
    job_row,
    todo_from,
    todo_row,
    users_a_block,
)
from shared.seats.states import Action, JobStatus, UserStatus
from shared.storage.rows import decode_row, encode_row
from shared.store.models.business import ProductKey

NOW = datetime(2026, 11, 21, 14, tzinfo=UTC)
JOB = Job(
    job_id="job-1",
    tenant_id="tenant",
    product=ProductKey("9WZDNCRFHVJL", "0016"),
    action=Action.RECLAIM,
    digest="d",
    status=JobStatus.QUEUED,
    total=2,
    block_users=250,
    accepted_on=NOW,
)

reasons = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=MAX_REASON)
findings = st.builds(Finding, st.sampled_from(UserStatus), st.none() | reasons)


@pytest.mark.parametrize(
    "changes", [{}, {"warnings": ("few", "ünï"), "started_on": NOW, "ended_on": NOW, "untold": True}]
)
def test_a_job_comes_back_as_it_was(changes: dict[str, object]) -> None:
    job = replace(JOB, **changes)  # type: ignore[arg-type]

    assert job_from(decode_row(encode_row(job_row(job))), "etag") == replace(job, etag="etag")


@pytest.mark.parametrize("todo", [Todo(0, NOW), Todo(17, NOW, claimed=True, resent=3, draw="ab")])
def test_a_todo_comes_back_as_it_was(todo: Todo) -> None:
    assert todo_from(decode_row(encode_row(todo_row("job-1", todo)))) == todo


@given(st.lists(findings, min_size=1, max_size=30))
def test_a_block_comes_back_as_it_was(found: list[Finding]) -> None:
    block = Block(3, tuple(f"user-{index}@x" for index in range(len(found))), tuple(found), 2, 1)

    assert block_from(decode_row(encode_row(block_row("job-1", block)))) == block


def test_another_reason_for_every_user_still_fits() -> None:
    users = tuple(f"user-{index}@x" for index in range(MOST_USERS))
    reasons = tuple(Finding(UserStatus.FAILED, f"{index} \x01 " + "ü" * 190) for index in range(MOST_USERS))

    row = block_row("job-1", Block(0, users, reasons))

    assert len(row["reasons"]) <= MAX_BYTES
    assert all(finding.reason for finding in block_from(row).findings)


def test_counts_and_who_is_left() -> None:
    block = blocks_of(["a@x", "b@x", "c@x", "d@x"], 100)[0]
    found = {
        "a@x": Finding(UserStatus.SUCCEEDED),
        "b@x": Finding(UserStatus.FAILED, "no"),
        "d@x": Finding(UserStatus.PENDING, "later"),
    }

    after = block.with_findings(found)

    assert after.counts == Counts(1, 1)
    assert after.pending == ["c@x", "d@x"]
    assert after.with_findings({}) == after


@pytest.mark.parametrize("chunk", [1, 7, 24, 25, 99, 100, 101, 333, 999, 1000])
def test_blocks_are_whole_chunks_so_that_they_cost_no_calls(chunk: int) -> None:
    size = users_a_block(chunk)

    assert size % chunk == 0
    assert 100 <= size <= MOST_USERS or size == chunk


def test_a_chunk_larger_than_a_block_is_cut() -> None:
    assert users_a_block(10_000) == MOST_USERS


@pytest.mark.parametrize("users", [1, 250, 251, 100_000])
def test_every_user_is_in_one_block_and_in_order(users: int) -> None:
    names = [f"user-{index}@contoso.example" for index in range(users)]

    blocks = blocks_of(names, 250)

    assert [user for block in blocks for user in block.users] == names
    assert [block.number for block in blocks] == list(range(-(-users // 250)))


def test_long_names_make_smaller_blocks() -> None:
    names = [f"{index:04}" + "ü" * 100 + "@x" for index in range(1000)]

    blocks = blocks_of(names, 1000)

    assert [user for block in blocks for user in block.users] == names
    assert all(len(block_row("job-1", block)["users"]) <= MAX_BYTES for block in blocks)


def test_blocks_sort_as_they_are_numbered() -> None:
    names = [block_row("job-1", Block(number, (), ()))["RowKey"] for number in (0, 9, 10, 99_999)]

    assert names == sorted(names)
