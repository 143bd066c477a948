"""What follows from a consume that gave no grant."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.auth.tokens import StoreIdKind
from shared.errors import BadGatewayError, UnavailableError
from shared.fulfillment.outcomes import NO_ANSWER, after_failure
from shared.fulfillment.schedule import LAST_PATIENCE, LOOK_UP_PATIENCE, MAX_REFUSALS, PATIENCE
from shared.keys.current import NoKeyError
from shared.ledger.kinds import RETAIL, JobStatus
from shared.ledger.record import Job
from shared.store.errors import (
    StoreAnswer,
    StoreCredentialsError,
    StoreRefusedError,
    StoreThrottledError,
    StoreUnknownError,
)

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
JOB = Job(
    user_id="player",
    tracking_id="9a2f1f3e-0000-4000-8000-000000000001",
    product_id="9NBLGGH4R0SP",
    quantity=3,
    consumable_type="Consumable",
    sandbox=RETAIL,
    accepted_on=NOW,
    claim="claim",
    claimed_until=NOW + timedelta(seconds=90),
    sent=3,
)
REFUSAL = StoreRefusedError(StoreAnswer("consume", 400, inner_code="TooLow"))
UNKNOWN = StoreUnknownError(StoreAnswer("consume", 500))
THROTTLED = StoreThrottledError(StoreAnswer("consume", 429), 42.0)
CREDENTIALS = StoreCredentialsError(StoreAnswer("consume", 401))


def after(error: Exception, job: Job = JOB, *, asked: bool = True) -> Job:
    return after_failure(job, error, NOW, 0.5, asked=asked)


def waits(job: Job) -> float:
    assert job.not_before
    return (job.not_before - NOW).total_seconds()


@pytest.mark.parametrize("error", [REFUSAL, UNKNOWN, THROTTLED, CREDENTIALS, NoKeyError(StoreIdKind.COLLECTIONS)])
def test_the_claim_is_given_back_whatever_happened(error: Exception) -> None:
    job = after(error)

    assert (job.claim, job.claimed_until, job.sent) == (None, None, 0)
    assert job.reason


def test_a_refusal_of_a_first_consume_is_final() -> None:
    job = after(REFUSAL)

    assert (job.status, job.not_before, job.reason) == (JobStatus.REFUSED, None, "consume: HTTP 400, TooLow")


def test_a_refusal_after_a_try_that_may_have_taken_effect_is_doubted() -> None:
    doubted = after(REFUSAL, replace(JOB, uncertain=True))
    assert (doubted.status, doubted.refusals) == (JobStatus.PENDING, 1)

    job = after(REFUSAL, replace(JOB, uncertain=True, refusals=MAX_REFUSALS - 1))
    assert job.status is JobStatus.STUCK
    assert waits(job) > waits(doubted)


@pytest.mark.parametrize("error", [UNKNOWN, TimeoutError()])
def test_an_unknown_outcome_is_remembered_if_the_consume_was_asked_for(error: Exception) -> None:
    assert after(error).uncertain
    assert not after(error, asked=False).uncertain
    assert after(error, replace(JOB, uncertain=True), asked=False).uncertain


@pytest.mark.parametrize(
    "error", [THROTTLED, CREDENTIALS, UnavailableError("entra", "away"), BadGatewayError("entra refuses us")]
)
def test_what_was_not_carried_out_leaves_nothing_uncertain(error: Exception) -> None:
    job = after(error)

    assert (job.status, job.uncertain) == (JobStatus.PENDING, False)


def test_throttling_waits_as_the_store_says_and_does_not_grow() -> None:
    assert 42 <= waits(after(THROTTLED)) <= 42 * 1.2
    assert after(THROTTLED).attempts == 0


def test_other_pauses_grow_and_no_jitter_shortens_them() -> None:
    pauses = [waits(after(UNKNOWN, replace(JOB, attempts=attempts))) for attempts in range(14)]

    assert pauses == sorted(pauses)
    assert pauses[0] >= 5
    assert 3600 <= pauses[-1] <= 3600 * 1.2


def test_what_is_unknown_for_days_is_stuck_and_looked_at_rarely() -> None:
    old = replace(JOB, accepted_on=NOW - PATIENCE)

    assert after(UNKNOWN, old).status is JobStatus.STUCK
    assert waits(after(UNKNOWN, old)) >= 6 * 3600


def test_what_a_person_is_to_look_at_stays_so_until_the_store_says_yes() -> None:
    assert after(UNKNOWN, replace(JOB, refusals=MAX_REFUSALS)).status is JobStatus.STUCK


def test_a_player_without_a_key_is_told_so() -> None:
    job = after(NoKeyError(StoreIdKind.COLLECTIONS, "the one that is kept has expired"))

    assert job.status is JobStatus.STUCK
    assert job.reason
    assert "have the game make one" in job.reason
    assert waits(job) >= 60


NO_KEY = NoKeyError(StoreIdKind.COLLECTIONS)


@pytest.mark.parametrize("error", [NO_KEY, UNKNOWN, CREDENTIALS, UnavailableError("entra", "away")], ids=str)
def test_the_older_it_is_the_rarer_it_is_tried_and_it_says_for_how_long(error: Exception) -> None:
    pauses = []
    for age in (PATIENCE, LAST_PATIENCE, 10 * LAST_PATIENCE):
        job = after(error, replace(JOB, accepted_on=NOW - age, attempts=500))
        assert job.status is JobStatus.STUCK
        assert job.reason
        assert job.reason.startswith(f"not over after {age.days} days: ")
        pauses.append(waits(job))

    assert pauses == [6 * 3600, 24 * 3600, 24 * 3600]
    assert waits(after(error, replace(JOB, accepted_on=NOW - PATIENCE / 2, attempts=500))) <= 3600 * 1.2


def test_a_player_without_a_key_is_never_refused() -> None:
    job = after(NO_KEY, replace(JOB, accepted_on=NOW - 20 * LAST_PATIENCE, uncertain=True))

    assert (job.status, job.uncertain, job.refusals) == (JobStatus.STUCK, True, 0)


@pytest.mark.parametrize("error", [UNKNOWN, TimeoutError()])
def test_a_look_up_is_waited_for_from_its_first_failure_on(error: Exception) -> None:
    first = after(error, asked=False)
    assert first.look_up_until == NOW + LOOK_UP_PATIENCE
    earlier = replace(JOB, look_up_until=NOW)
    assert after(error, earlier, asked=False).look_up_until == NOW


@pytest.mark.parametrize("error", [THROTTLED, CREDENTIALS, NO_KEY])
def test_what_would_stop_the_consume_too_is_no_look_up_that_failed(error: Exception) -> None:
    assert after(error, asked=False).look_up_until is None


def test_no_answer_has_a_reason_too() -> None:
    assert after(TimeoutError()).reason == NO_ANSWER


def test_no_wait_is_longer_than_a_day() -> None:
    assert waits(after(StoreThrottledError(StoreAnswer("consume", 429), 10**9))) == 86_400
