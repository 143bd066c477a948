"""Where jobs are filed: the table ``seatjobs``, one partition a job (:mod:`shared.seats.record`)."""

import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from shared.seats.record import (
    BLOCK,
    END,
    JOB,
    TODO,
    WAIT,
    Block,
    Counts,
    Job,
    Todo,
    block_from,
    block_name,
    block_row,
    job_from,
    job_row,
    todo_from,
    todo_name,
    todo_row,
    wait_row,
)
from shared.storage.tables import Table
from shared.storage.transactions import MAX_OPERATIONS, ConflictError, Operation

MAX_COMMIT_BYTES = 2 * 1024 * 1024
"""Bytes of names in one transaction, which may have 4 MiB; in base64 they take a third more."""

BLOCKS_A_PAGE = 40
_ALL = 100_000


class JobFiles:
    """The jobs. All methods raise :class:`UnavailableError` where storage is away."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def find(self, job_id: str) -> Job | None:
        """A job, by one point read."""
        found = await self._table.get(job_id, JOB)
        return job_from(*found) if found else None

    async def create(self, job: Job) -> Job:
        """File a new job.

        :raises ConflictError: there is one of this id.
        """
        (etag,) = await self._table.commit([Operation("create", job_row(job))])
        return replace(job, etag=etag)

    async def replace(self, job: Job) -> Job:
        """Write a job that was read before.

        :raises ConflictError: it is no longer what was read.
        """
        (etag,) = await self._table.commit([Operation("replace", job_row(job), job.etag)])
        return replace(job, etag=etag)

    async def file_blocks(self, job_id: str, blocks: Iterable[Block]) -> None:
        """File the blocks of a new job, all waiting. What is filed already stays as it is."""
        for batch in _batches(job_id, blocks):
            try:
                await self._table.commit(batch)
            except ConflictError:
                # The same blocks always come in the same transactions: this one has been here.
                continue

    async def block(self, job_id: str, number: int) -> Block | None:
        """One block."""
        found = await self._table.get(job_id, block_name(number))
        return block_from(found[0]) if found else None

    async def blocks(self, job_id: str, start: int = 0) -> AsyncIterator[Block]:
        """The blocks from one on, in order, a few read at a time."""
        while True:
            rows = await self._table.first(job_id, block_name(start), BLOCK + END, BLOCKS_A_PAGE)
            for row in rows:
                yield block_from(row)
            if len(rows) < BLOCKS_A_PAGE:
                return
            start += len(rows)

    async def counts(self, job_id: str) -> Counts:
        """How many users of a job came out how, so far."""
        rows = await self._table.first(job_id, BLOCK, BLOCK + END, _ALL, select=["succeeded", "failed"])
        return Counts(sum(row["succeeded"] for row in rows), sum(row["failed"] for row in rows))

    async def todos(self, job_id: str) -> list[Todo]:
        """What was begun and is to be done."""
        return [todo_from(row) for row in await self._table.first(job_id, TODO, TODO + END, _ALL)]

    async def has_todos(self, job_id: str) -> bool:
        """Whether a block was begun that has users to be dealt with."""
        return bool(await self._table.first(job_id, TODO, TODO + END, 1, select=["RowKey"]))

    async def waiting(self, job_id: str, count: int) -> list[int]:
        """The first blocks that were not begun."""
        rows = await self._table.first(job_id, WAIT, WAIT + END, count, select=["RowKey"])
        return [int(row["RowKey"].removeprefix(WAIT)) for row in rows]

    async def begin(self, job_id: str, numbers: Sequence[int], due: datetime) -> None:
        """Make todos of blocks that wait.

        :raises ConflictError: one of them was begun by somebody else.
        """
        operations = []
        for number in numbers:
            todo = Todo(number, due, draw=_draw())
            operations += [
                Operation("delete", wait_row(job_id, number)),
                Operation("create", todo_row(job_id, todo)),
            ]
        await self._table.commit(operations)

    async def todo(self, job_id: str, number: int) -> Todo | None:
        """Whether one block was begun and is to be done."""
        name = f"{TODO}{number:05}|"
        rows = await self._table.first(job_id, name, name + END, 1)
        return todo_from(rows[0]) if rows else None

    async def alter(self, job_id: str, changes: Sequence[tuple[Todo, Todo]]) -> list[Todo]:
        """Put todos (at most 50) in the place of others; what they now are.

        :raises ConflictError: one of the others is gone.
        """
        after = [replace(new, draw=_draw()) for _, new in changes]
        operations = []
        for (old, _), new in zip(changes, after, strict=True):
            operations += [_gone(job_id, old), Operation("create", todo_row(job_id, new))]
        await self._table.commit(operations)
        return after

    async def settle(self, job_id: str, block: Block, held: Todo, left: Todo | None) -> None:
        """Write a block's outcomes and, in the same moment, what is ``left`` to be done of it.

        :raises ConflictError: somebody else has taken the block over since ``held`` was read; nothing was written.
        """
        operations = [_gone(job_id, held), Operation("put", block_row(job_id, block))]
        if left:
            operations.append(Operation("create", todo_row(job_id, replace(left, draw=_draw()))))
        await self._table.commit(operations)


def _batches(job_id: str, blocks: Iterable[Block]) -> Iterable[list[Operation]]:
    batch: list[Operation] = []
    size = 0
    for block in blocks:
        row = block_row(job_id, block)
        bytes_more = len(row["users"])
        if batch and (len(batch) + 2 > MAX_OPERATIONS or size + bytes_more > MAX_COMMIT_BYTES):
            yield batch
            batch, size = [], 0
        batch += [Operation("create", row), Operation("create", wait_row(job_id, block.number))]
        size += bytes_more
    if batch:
        yield batch


def _gone(job_id: str, todo: Todo) -> Operation:
    return Operation("delete", {"PartitionKey": job_id, "RowKey": todo_name(todo)})


def _draw() -> str:
    return secrets.token_hex(4)
