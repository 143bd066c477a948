"""What callers see of seats and of the jobs that assign them."""

from datetime import datetime

import msgspec

from shared.seats.results import JobState, UserResult
from shared.seats.states import Action, JobStatus, UserStatus
from shared.store.models.business import SeatDetails, SeatState


class SeatJob(msgspec.Struct, rename="camel", omit_defaults=True):
    """A job and where it stands. ``turn`` is its place among the jobs of its product, which run one by one."""

    job_id: str
    tenant_id: str
    product_id: str
    sku_id: str
    action: Action
    status: JobStatus
    total: int
    succeeded: int
    failed: int
    pending: int
    turn: int
    accepted_on: datetime
    warnings: list[str]
    started_on: datetime | None = None
    ended_on: datetime | None = None


class SeatResult(msgspec.Struct, rename="camel", omit_defaults=True):
    """What became of one user. ``mayInstall``: the seat is assigned, so a device may now be told to install."""

    user_name: str
    status: UserStatus
    may_install: bool
    reason: str | None = None


class SeatResultPage(msgspec.Struct, rename="camel", omit_defaults=True):
    """A page of results, in the order of the job's users."""

    job_id: str
    results: list[SeatResult]
    continuation_token: str | None = None


class Seat(msgspec.Struct, rename="camel"):
    """A seat as the Store has it. ``mayInstall``: a device of this user may be told to install."""

    user_name: str
    product_id: str
    sku_id: str
    state: SeatState
    date_assigned: str
    may_install: bool


class SeatList(msgspec.Struct):
    """All seats that were asked for."""

    seats: list[Seat]


def job_shown(state: JobState) -> SeatJob:
    """A job as callers see it."""
    job = state.job
    return SeatJob(
        job.job_id,
        job.tenant_id,
        job.product.product_id,
        job.product.sku_id,
        job.action,
        job.status,
        job.total,
        state.succeeded,
        state.failed,
        state.pending,
        job.turn,
        job.accepted_on,
        list(job.warnings),
        job.started_on,
        job.ended_on,
    )


def result_shown(result: UserResult) -> SeatResult:
    """One user's outcome as JSON shows it."""
    return SeatResult(result.user_name, result.status, result.may_install, result.reason)


def result_row(result: UserResult) -> list[str]:
    """One user's outcome as a line of a sheet."""
    return [result.user_name, result.status, result.reason or "", "true" if result.may_install else "false"]


def seat_shown(seat: SeatDetails) -> Seat:
    """A seat as callers see it."""
    key = seat.product_key
    active = seat.state == SeatState.ACTIVE
    return Seat(seat.assigned_to, key.product_id, key.sku_id, seat.state, seat.date_assigned, active)
