"""All that the simulation takes for granted, each with what it rests on."""

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any


class Basis(StrEnum):
    """What a number rests on."""

    MEASURED = "measured"
    """By our own benchmarks, on a laptop's two cores."""
    OURS = "ours"
    """Set by this project; a test holds it against the file that sets it."""
    DOCUMENTED = "documented"
    ASSUMED = "assumed"
    """Nobody says, or what is said cannot be checked here: change it, and see what becomes of it."""


def _input(value: float, unit: str, basis: Basis, source: str) -> Any:
    return field(default=value, metadata={"unit": unit, "basis": basis, "source": source})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The platform, storage, the Store, and what a piece of work costs. Seconds, unless a unit is given."""

    max_instances: float = _input(100, "instances of a function", Basis.OURS, "`infra/main.bicep`, profile `prod`")
    instance_gb: float = _input(2, "GB", Basis.OURS, "`infra/modules/app.bicep`: one core")
    batch_size: float = _input(16, "messages", Basis.OURS, "`host.json`")
    new_batch_threshold: float = _input(8, "messages", Basis.OURS, "`host.json`; with the above 24 at once")
    max_polling: float = _input(2, "s", Basis.OURS, "`host.json`; every instance is taken to poll so often")
    store_concurrency: float = _input(64, "calls at once", Basis.OURS, "`STORE_CONCURRENCY`, default")
    seat_chunk: float = _input(25, "users a call", Basis.OURS, "`SEAT_CHUNK_SIZE`, default")

    scale_step: float = _input(
        4, "instances a decision", Basis.DOCUMENTED, "Microsoft, Target-based scaling; for Flex nothing else is said"
    )
    decision_pause: float = _input(10, "s", Basis.ASSUMED, "not documented")
    start_time: float = _input(8, "s", Basis.ASSUMED, "until a new instance works; import and index take 0.1 s of it")
    idle_time: float = _input(60, "s", Basis.ASSUMED, "until an idle instance that is not wanted goes")

    queue_limit: float = _input(
        2_000, "messages/s a queue", Basis.DOCUMENTED, "Microsoft, Queue Storage targets; put and taken counted each"
    )
    partition_limit: float = _input(2_000, "entities/s a partition", Basis.DOCUMENTED, "Microsoft, Table targets")
    account_limit: float = _input(20_000, "requests/s", Basis.DOCUMENTED, "Microsoft; some regions have 40,000")
    read_time: float = _input(0.01, "s", Basis.ASSUMED, "a row or a small range, same region")
    write_time: float = _input(0.03, "s", Basis.ASSUMED, "a transaction; the partition's limit comes on top")
    send_time: float = _input(0.02, "s", Basis.ASSUMED, "a message put")

    renewal_time: float = _input(0.1, "s", Basis.ASSUMED, "the Store's answer; that of the benchmark")
    renewal_cpu: float = _input(0.0009, "s of a core a key", Basis.MEASURED, "`renewal: rate / bare loop`")
    keys_a_player: float = _input(2, "keys", Basis.ASSUMED, "both kinds, handed in together")

    catalog_time: float = _input(0.15, "s", Basis.ASSUMED, "a call of Store for Business")
    catalog_cpu: float = _input(0.0009, "s of a core a call", Basis.MEASURED, "`catalog: full pass / floor`")
    calls_a_product: float = _input(
        2.6, "calls", Basis.ASSUMED, "details, one language; for three in ten packages and a license"
    )

    seat_time: float = _input(0.3, "s", Basis.ASSUMED, "one bulk call of 25 users")
    seat_cpu: float = _input(
        0.0016, "s of a core a call", Basis.MEASURED, "`seats: Store calls / (users / chunk)`, 25 users a call"
    )

    consume_time: float = _input(0.2, "s", Basis.ASSUMED, "the Store's answer")
    fulfillment_cpu: float = _input(
        0.0071, "s of a core a job", Basis.MEASURED, "`fulfillment: jobs a second / bare loop`"
    )
    fulfillment_reads: float = _input(2, "reads a job", Basis.OURS, "key and balance (docs/fulfillment.md)")
    fulfillment_writes: float = _input(
        3, "transactions a job", Basis.OURS, "row, grant, index; the event and the message besides"
    )
    ledger_entities: float = _input(9, "entities a job", Basis.OURS, "rows of the above in the player's partition")

    refund_cpu: float = _input(0.0065, "s of a core an event", Basis.MEASURED, "`refunds: events a second / bare loop`")
    refund_reads: float = _input(
        4.25, "reads an event", Basis.OURS, "group, lines, fulfilment, balance, a part of open work (`shared/refunds`)"
    )
    refund_writes: float = _input(3, "transactions an event", Basis.OURS, "books, outbox, record")
    clawback_time: float = _input(0.05, "s", Basis.ASSUMED, "a call of the Store's own queue")

    @property
    def at_once(self) -> int:
        """Messages that an instance works on at once; by it the platform divides a queue's length, too.

        The extension's source says so (``QueueTargetScaler``: batch size plus new batch threshold); Microsoft's page
        says batch size alone, which would make half as many instances again.
        """
        return int(self.batch_size + self.new_batch_threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Examples of list prices in US dollars, to show what weighs how much. They differ by region, and change.

    What is free each month is not taken off: the timers of an idle app have used it up.
    """

    gb_second: float = _input(0.000026, "$ a GB-s on demand", Basis.DOCUMENTED, "a public comparison of 2025-05-22")
    million_executions: float = _input(0.40, "$ a million", Basis.ASSUMED, "from memory; look it up")
    queue_requests: float = _input(
        0.004, "$ for 10,000", Basis.DOCUMENTED, "Queue Storage, StorageV2, LRS and ZRS: Infracost's test data"
    )
    table_requests: float = _input(0.00036, "$ for 10,000", Basis.ASSUMED, "from memory; a transaction counts once")


def described(group: type[Inputs | Prices]) -> list[tuple[str, float, str, Basis, str]]:
    """Each input: its name, value, unit, basis and source."""
    values = group()
    return [
        (each.name, getattr(values, each.name), each.metadata["unit"], each.metadata["basis"], each.metadata["source"])
        for each in fields(values)
    ]
