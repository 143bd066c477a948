"""The words for what becomes of a job and of each of its users."""

from enum import StrEnum

from shared.store.models.business import SeatAction


class Action(StrEnum):
    """What a job does for its users."""

    ASSIGN = "assign"
    RECLAIM = "reclaim"

    @property
    def seat_action(self) -> SeatAction:
        """The Store's word for it."""
        return SeatAction.ASSIGN if self is Action.ASSIGN else SeatAction.RECLAIM


class JobStatus(StrEnum):
    """Where a job is. ``preparing`` is seen by nobody: the job is not accepted yet."""

    PREPARING = "preparing"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    COMPLETED_WITH_FAILURES = "completedWithFailures"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self in {JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_FAILURES, JobStatus.FAILED}


class UserStatus(StrEnum):
    """What became of one user; ``pending`` with a reason is waiting for another try."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


def status_at_end(succeeded: int, failed: int) -> JobStatus:
    """How a job with these counts has ended."""
    if not failed:
        return JobStatus.COMPLETED
    return JobStatus.COMPLETED_WITH_FAILURES if succeeded else JobStatus.FAILED
