"""What can be read of a job while it runs and afterwards."""

import base64
import binascii
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from shared.errors import BadRequestError, InputFault, NotFoundError
from shared.seats.filing import JobFiles
from shared.seats.messages import JOB_ID
from shared.seats.record import Job
from shared.seats.states import Action, JobStatus, UserStatus


@dataclass(frozen=True, slots=True)
class JobState:
    """A job and how many of its users came out how, so far."""

    job: Job
    succeeded: int
    failed: int

    @property
    def pending(self) -> int:
        """How many are still to be dealt with."""
        return self.job.total - self.succeeded - self.failed


@dataclass(frozen=True, slots=True)
class UserResult:
    """What became of one user. ``may_install``: the seat was assigned, so that a device may be told to install."""

    user_name: str
    status: UserStatus
    reason: str | None
    may_install: bool


@dataclass(frozen=True, slots=True)
class ResultPage:
    """A page of results; ``continuation_token`` is for the next one, if any."""

    results: list[UserResult]
    continuation_token: str | None


class Results:
    """Reads jobs. All methods raise :class:`NotFoundError` where no such job was accepted."""

    def __init__(self, files: JobFiles) -> None:
        self._files = files

    async def state(self, job_id: str) -> JobState:
        """Where a job stands."""
        job = await self._accepted(job_id)
        if job.status.is_over:
            return JobState(job, job.succeeded, job.failed)
        counts = await self._files.counts(job_id)
        return JobState(job, counts.succeeded, counts.failed)

    async def page(self, job_id: str, status: UserStatus | None, size: int, token: str | None) -> ResultPage:
        """A page of results, in the order of the job's users.

        :raises BadRequestError: the token is none that we gave.
        """
        start = _decoded(token) if token else (0, 0)
        found: list[UserResult] = []
        async for (block, index), result in self._results(job_id, status, start):
            if len(found) == size:
                return ResultPage(found, _encoded(block, index))
            found.append(result)
        return ResultPage(found, None)

    async def all(self, job_id: str, status: UserStatus | None) -> list[UserResult]:
        """All results."""
        return [result async for _, result in self._results(job_id, status, (0, 0))]

    async def _results(
        self, job_id: str, status: UserStatus | None, start: tuple[int, int]
    ) -> AsyncIterator[tuple[tuple[int, int], UserResult]]:
        job = await self._accepted(job_id)
        installs = job.action is Action.ASSIGN
        async for block in self._files.blocks(job_id, start[0]):
            for index, (user, finding) in enumerate(zip(block.users, block.findings, strict=True)):
                place = (block.number, index)
                if place >= start and status in {None, finding.status}:
                    may_install = installs and finding.status is UserStatus.SUCCEEDED
                    yield place, UserResult(user, finding.status, finding.reason, may_install)

    async def _accepted(self, job_id: str) -> Job:
        job = await self._files.find(job_id) if re.fullmatch(JOB_ID, job_id) else None
        if job is None or job.status is JobStatus.PREPARING:
            raise NotFoundError("No such job")
        return job


def _encoded(block: int, index: int) -> str:
    return base64.urlsafe_b64encode(f"{block}.{index}".encode()).decode().rstrip("=")


def _decoded(token: str) -> tuple[int, int]:
    try:
        block, _, index = (
            base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True).decode().partition(".")
        )
        place = int(block), int(index)
    except (ValueError, binascii.Error) as error:
        detail = "is none that was given out"
        fault = InputFault("?continuationToken", detail)
        raise BadRequestError(f"The continuation token {detail}", faults=(fault,)) from error
    return place
