"""The simulation of docs/scale.md: its engine, what it rests on, and that the page says what it prints."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from simpy import Environment

from benchmarks.scale import catalogs, keys, purchases, seats
from benchmarks.scale.engine import Limit, Queue
from benchmarks.scale.inputs import Inputs, Prices
from benchmarks.scale.outcome import MONTH, outcome
from benchmarks.scale.scenarios import MAIN, TURNED, Scenario
from benchmarks.scale.tables import course_row, has_course, input_table, put_between, run_row
from benchmarks.scale.world import Function, Instance, Steps, World
from shared.settings import described
from tests.support.documents import ROOT, Block, blocks

DOCUMENT = "docs/scale.md"
MARKED = {"runs": MAIN, "turned": TURNED}
INPUTS, PRICES = Inputs(), Prices()
COMMANDS = [block for block in blocks(DOCUMENT) if block.mark == "run by tests/unit/test_scale.py"]


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def rows_of(mark: str) -> list[str]:
    """The rows of a table of the page, without its two head lines."""
    found = re.search(rf"<!-- {mark} -->\n(.*?)\n<!-- /{mark} -->", text(DOCUMENT), re.DOTALL)
    assert found is not None, f"{DOCUMENT} has no table {mark}"
    return found[1].splitlines()[2:]


def short(scenarios: tuple[Scenario, ...]) -> list[Scenario]:
    return [each for each in scenarios if not each.is_long]


def working(world: World, seconds: float) -> Function[int]:
    """A function whose every message takes so long."""

    def work(_: Instance, __: list[int]) -> Steps:
        yield world.env.timeout(seconds)

    return Function(world, "work", work)


# The page


@pytest.mark.parametrize(
    ("mark", "scenario"), [(mark, each) for mark, all_of in MARKED.items() for each in short(all_of)]
)
def test_the_page_says_what_is_simulated(mark: str, scenario: Scenario) -> None:
    run = scenario.outcome(INPUTS)

    again = "docs/scale.md is not what is simulated now: python -m benchmarks.scale --write"
    assert run_row(run, PRICES) in rows_of(mark), again
    assert not has_course(run) or mark != "runs" or course_row(run) in rows_of("course"), again


@pytest.mark.parametrize("mark", MARKED)
def test_the_page_has_every_scenario_and_no_other(mark: str) -> None:
    named = [row.removeprefix("| ").partition(" | ")[0] for row in rows_of(mark)]

    assert named == [each.name for each in MARKED[mark]]


def test_the_page_lists_the_inputs_and_prices() -> None:
    assert rows_of("inputs") == input_table(Inputs).splitlines()[2:]
    assert rows_of("prices") == input_table(Prices).splitlines()[2:]


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_a_command_of_the_page_prints_rows_of_it(block: Block) -> None:
    (line,) = block.text.splitlines()
    command = [sys.executable, *line.split()[1:]]

    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert next(row for row in rows_of("runs") if "refunds" in row) in printed


def test_a_table_is_put_between_its_marks_alone() -> None:
    page = "before\n<!-- a -->\nold\n<!-- /a -->\n<!-- b -->\nother\n<!-- /b -->\n"

    assert put_between(page, "a", "new") == page.replace("old", "new")


# What it rests on


def test_what_is_ours_is_what_the_project_sets() -> None:
    queues = json.loads(text("host.json"))["extensions"]["queues"]
    settings = {name: default for name, default, _ in described()}
    profiles = re.findall(r"maximumInstances: (\d+)", text("infra/main.bicep"))
    memory = re.findall(r"instanceMemoryMB: (\d+)", text("infra/modules/app.bicep"))

    assert (INPUTS.batch_size, INPUTS.new_batch_threshold) == (queues["batchSize"], queues["newBatchThreshold"])
    assert f"00:00:{INPUTS.max_polling:02.0f}" == queues["maxPollingInterval"]
    assert str(int(INPUTS.store_concurrency)) == settings["STORE_CONCURRENCY"]
    assert str(int(INPUTS.seat_chunk)) == settings["SEAT_CHUNK_SIZE"]
    assert str(int(INPUTS.max_instances)) == profiles[-1]
    assert [f"{INPUTS.instance_gb * 1024:.0f}"] == memory
    assert (settings["KEY_RENEWAL_SCHEDULE"], keys.TIMER) == ("0 */5 * * * *", 300)
    assert (settings["REFUND_SCHEDULE"], purchases.REFUND_TIMER) == ("0 */5 * * * *", 300)
    assert (settings["SWEEP_SCHEDULE"], catalogs.SWEEP) == ("0 * * * * *", 60)


def test_what_is_measured_is_about_what_the_benchmarks_last_found() -> None:
    findings: list[dict[str, Any]] = json.loads(text("benchmarks/results.json"))["findings"]
    (detail,) = [each["detail"] for each in findings if each["name"] == "renewal: rate / bare loop"]
    rate = float(re.findall(r"keys at (\d+)/s", detail)[0])

    # Machines differ, and so may whoever runs the benchmarks anew; a cost of another order makes another page.
    assert 0.25 < 1 / rate / INPUTS.renewal_cpu < 4


# The engine


def test_a_limit_lets_so_much_a_second_pass_first_come_first_served() -> None:
    env = Environment()
    limit = Limit(env, 10)

    assert limit.wait(20) == 2
    assert limit.wait(10) == 3
    env.run(until=13)
    assert limit.wait(5) == 0.5
    assert limit.total == 35
    assert limit.busiest == 3
    assert limit.share == pytest.approx(0.3)


def test_a_queue_gives_its_messages_in_order_and_counts_what_is_in_hand_while_others_wait() -> None:
    env = Environment()
    queue = Queue[int](env, "numbers")
    early, dismissed = queue.take(2, "early"), queue.take(2, "dismissed")

    queue.dismiss("dismissed")
    queue.put([1, 2, 3, 4])

    assert (early.value, dismissed.value) == ([1, 2], [])
    assert (queue.length, queue.deepest) == (4, 4)
    assert queue.take(9, "late").value == [3, 4]
    assert queue.length == 0


def test_instances_grow_by_four_until_the_queue_has_what_it_asks_for_and_go_when_idle() -> None:
    world = World(INPUTS)
    function = working(world, seconds=100)
    function.put([0] * 240)  # of 24 at once: 10 instances

    world.env.run(until=1000)

    assert [count for _, count, _ in function.samples[:4]] == [4, 8, 10, 10]
    assert (function.peak, function.samples[-1][1]) == (10, 0)
    assert world.executions == 240


def test_no_function_has_more_instances_than_it_may() -> None:
    world = World(replace(INPUTS, max_instances=5))
    function = working(world, seconds=10)
    function.put([0] * 5_000)

    world.env.run(until=300)

    assert function.peak == 5


def test_an_instance_is_billed_while_it_works_for_a_second_at_the_least() -> None:
    world = World(INPUTS)
    instance = world.instance()

    for seconds, pause in ((0.2, 10), (2.34, 10)):
        instance.begin()
        world.env.run(until=world.env.now + seconds)
        instance.end()
        world.env.run(until=world.env.now + pause)

    assert instance.billed == pytest.approx(1.0 + 2.4)
    assert world.gb_seconds == pytest.approx(3.4 * INPUTS.instance_gb)


def test_the_cost_of_what_is_steady_is_a_months() -> None:
    world = World(INPUTS)
    world.storage.messages("some", 10_000, requests=10_000)
    world.env.run(until=3600)

    once, steady = outcome(world, "", ""), outcome(world, "", "", is_steady=True)

    assert once.cost(PRICES) == pytest.approx(PRICES.queue_requests)
    assert steady.cost(PRICES) == pytest.approx(PRICES.queue_requests * MONTH / 3600)


# The subjects


def test_the_same_inputs_give_the_same_numbers() -> None:
    first, second = (keys.steady(INPUTS, "again", 100_000_000, hours=0.5) for _ in range(2))

    assert first == second


def test_all_that_is_overdue_is_renewed_and_no_faster_than_the_store_takes_it() -> None:
    world = World(INPUTS, store_limit=200)
    renewals = keys.Renewals(world, 1_000_000, backlog=60_000)

    world.env.run(until=renewals.caught_up)

    assert world.store.total == pytest.approx(60_000, rel=0.05)
    assert 60_000 / 200 * 0.95 <= world.env.now <= 60_000 / 200 * 1.3
    assert renewals.function.peak <= 3, "64 messages, 24 at once"


def test_every_product_is_fetched_and_the_calls_are_counted() -> None:
    run = catalogs.once(INPUTS, "small", 20, catalogs.Pass(listed=1_000, fetched=1_000))

    pieces, pages = 20 * 20, 20 * 10
    assert run.executions == 1 + 20 + pieces
    assert run.calls > 0
    assert run.deepest <= pieces
    least = (20 * 1_000 * INPUTS.calls_a_product + pages) * INPUTS.catalog_cpu / run.instances
    assert run.seconds > least


def test_seats_take_no_less_time_than_the_store_wants_and_one_tenant_has_one_instance() -> None:
    free = seats.jobs(INPUTS, "free", 1, 50_000)
    narrow = seats.jobs(INPUTS, "narrow", 1, 50_000, tenant_limit=10)

    calls = 50_000 / INPUTS.seat_chunk
    assert free.executions == narrow.executions == calls / 10
    assert (free.instances, narrow.instances) == (1, 1)
    assert free.seconds < calls / 10 <= narrow.seconds < calls / 10 * 1.2


def test_every_purchase_is_granted_and_a_queue_that_is_full_holds_up_its_sender() -> None:
    calm = purchases.launch(INPUTS, "calm", lambda now: 100 if now < 60 else 0)
    wild = purchases.launch(INPUTS, "wild", lambda now: 3_000 if now < 60 else 0)

    assert (calm.executions, calm.work) == (6_000, "6,000 purchases")
    assert wild.executions < 3_000 * 60
    assert wild.closest == ("queue fulfillment-jobs", 1.0)


def test_refunds_wait_for_the_next_run_unless_it_comes_soon() -> None:
    seldom = purchases.refund_storm(INPUTS, "seldom", 50_000)
    often = purchases.refund_storm(INPUTS, "often", 50_000, timer=10)

    assert seldom.table_requests == often.table_requests == 50_000 * (INPUTS.refund_reads + INPUTS.refund_writes)
    assert often.seconds < seldom.seconds
