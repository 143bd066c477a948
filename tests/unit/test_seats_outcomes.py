"""What the Store's words about a user mean for a job."""

import msgspec
import pytest

from shared.seats.outcomes import MAX_REASON, SILENT, SUCCESS, Finding, by_reason, by_refusal, by_user, reason_of
from shared.seats.states import Action, JobStatus, UserStatus, status_at_end
from shared.store.errors import StoreAnswer
from shared.store.models.business import (
    BulkSeatResult,
    FailedSeatRequest,
    ProductKey,
    SeatDetails,
    SeatState,
)
from tests.support.fixtures import business

KEY = ProductKey("9WZDNCRFHVJL", "0016")


def seat(user: str, state: SeatState = SeatState.ACTIVE) -> SeatDetails:
    return SeatDetails(user, "2016-03-01T10:15:30.1234567Z", state, KEY)


@pytest.mark.parametrize(
    ("action", "reason", "status"),
    [
        ("assign", "AlreadyAssigned", "succeeded"),
        ("assign", "Seat already assigned.", "succeeded"),
        ("assign", "SeatNotFound", "failed"),
        ("reclaim", "SeatNotFound", "succeeded"),
        ("reclaim", "seat not found", "succeeded"),
        ("reclaim", "AlreadyAssigned", "failed"),
        ("assign", "InternalError", "pending"),
        ("assign", "internal server error", "pending"),
        ("reclaim", "THROTTLED", "pending"),
        ("assign", "Conflict", "pending"),
        ("assign", "ServiceUnavailable", "pending"),
        ("assign", "UserNotFound", "failed"),
        ("assign", "NoSeatsAvailable", "failed"),
        ("assign", "Not online", "failed"),
        ("assign", "SomethingNew", "failed"),
        ("assign", "", "failed"),
    ],
)
def test_a_reason_is_success_worth_another_try_or_definitive(action: str, reason: str, status: str) -> None:
    finding = by_reason(Action(action), reason)

    assert finding.status == status
    assert finding.reason == (None if status == "succeeded" else reason)


def test_a_bulk_answer_says_something_of_every_user_or_nothing() -> None:
    result = BulkSeatResult(
        (seat("Ada@x"), seat("bob@x", SeatState.REVOKED), seat("stranger@x")),
        (FailedSeatRequest(user_name="EVE@x", failure_reason="UserNotFound"), FailedSeatRequest(user_name="joe@x")),
    )

    findings = by_user(Action.ASSIGN, ["ada@x", "bob@x", "eve@x", "joe@x", "kim@x"], result)

    assert findings == {
        "ada@x": SUCCESS,
        "bob@x": Finding(UserStatus.PENDING, SILENT),
        "eve@x": Finding(UserStatus.FAILED, "UserNotFound"),
        "joe@x": Finding(UserStatus.FAILED, "no reason given"),
        "kim@x": Finding(UserStatus.PENDING, SILENT),
    }


def test_a_reclaimed_seat_is_revoked() -> None:
    result = BulkSeatResult((seat("ada@x", SeatState.REVOKED), seat("bob@x")))

    findings = by_user(Action.RECLAIM, ["ada@x", "bob@x"], result)

    assert [finding.status for finding in findings.values()] == ["succeeded", "pending"]


@pytest.mark.parametrize(
    ("action", "facts", "status"),
    [
        ("reclaim", {"status": 404, "item_type": "Seat"}, "succeeded"),
        ("reclaim", {"status": 404, "item_type": "User"}, "failed"),
        ("assign", {"status": 404, "item_type": "Seat"}, "failed"),
        ("assign", {"status": 409, "reason": "Already assigned"}, "succeeded"),
        ("assign", {"status": 409, "reason": "No seats available"}, "failed"),
        ("assign", {"status": 409, "reason": "Conflict"}, "pending"),
    ],
)
def test_a_refusal_of_one_user_is_read_alike(action: str, facts: dict[str, object], status: str) -> None:
    answer = StoreAnswer("assign seat", **facts)  # type: ignore[arg-type]

    assert by_refusal(Action(action), answer).status == status


def test_reasons_are_short_and_say_what_is_known() -> None:
    assert reason_of(StoreAnswer("x", 404, item_type="User", message="Not found")) == "Not found (User)"
    assert reason_of(StoreAnswer("x", 418)) == "HTTP 418"
    assert reason_of(StoreAnswer("x", None, message="ConnectError")) == "no answer (ConnectError)"
    assert len(by_reason(Action.ASSIGN, "x" * 1000).reason or "") == MAX_REASON


def test_the_published_example_is_read() -> None:
    result = msgspec.convert(business("bulk-response-partial"), BulkSeatResult)

    findings = by_user(Action.ASSIGN, business("bulk-request")["userNames"], result)

    assert [finding.status for finding in findings.values()] == ["succeeded", "failed"]


@pytest.mark.parametrize(
    ("succeeded", "failed", "status"),
    [(3, 0, JobStatus.COMPLETED), (2, 1, JobStatus.COMPLETED_WITH_FAILURES), (0, 3, JobStatus.FAILED)],
)
def test_how_a_job_ends(succeeded: int, failed: int, status: JobStatus) -> None:
    assert status_at_end(succeeded, failed) is status
