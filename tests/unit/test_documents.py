"""What the documents tell their readers to run is run by a test or needs Azure; what they name exists."""

import re
from pathlib import Path

import pytest

from functions.triggers import SUBJECTS
from shared.catalog.work import State
from shared.entitlements.statuses import ChangeStatus
from shared.events import QUEUE as EVENTS_QUEUE
from shared.keys.status import Status
from shared.ledger.kinds import JobStatus
from shared.poison import SUFFIX
from shared.refunds.status import RefundStatus
from shared.settings import described
from shared.wiring.poison import QUEUES
from tests.support.documents import ROOT, Block, blocks, documents, prose_of, text_of

DOCUMENTS = documents()
COMMANDS = [block for document in DOCUMENTS for block in blocks(document) if block.language == "sh"]

NEEDS = {"needs Azure", "needs Azure Functions Core Tools"}
RUNNER = "tests/integration/test_document_commands.py"
CI = ".ci/run"
SOURCES = {".py", ".bicep", ".bicepparam", ".json"}

FOLDERS = r"(?:\.ci|\.devcontainer|\.github|\.vscode|benchmarks|docs|functions|infra|local|scripts|shared|tests)"


def sources(*folders: str) -> str:
    """All that is written in some folders, and in the files of the project's root."""
    files = [path for path in ROOT.iterdir() if path.is_file()]
    files += [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    return "\n".join(
        path.read_text("utf-8") for path in files if path.suffix in {".py", ".bicep", ".bicepparam", ".json"}
    )


def named(document: str, pattern: str) -> set[str]:
    """What a document has between backticks that is wholly of a pattern."""
    return {name for name in re.findall(r"`([^`\n]+)`", prose_of(document)) if re.fullmatch(pattern, name)}


def anchors(document: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_every_command_is_run_by_a_test_or_needs_what_no_test_has(block: Block) -> None:
    runner = re.sub("^(run|started) by ", "", block.mark)

    assert block.mark in NEEDS or (runner != block.mark and (ROOT / runner).is_file()), block.mark


@pytest.mark.parametrize("block", [block for block in COMMANDS if block.mark == f"run by {CI}"], ids=str)
def test_what_ci_is_said_to_run_it_runs(block: Block) -> None:
    lines = [line.partition("#")[0].strip() for line in block.text.splitlines()]
    run = re.findall(r"^\s*step \w+ (.+)$", text_of(CI), re.MULTILINE)

    assert {line for line in lines if line} <= set(run)


def test_what_needs_azure_is_no_call_of_the_app_alone() -> None:
    for block in COMMANDS:
        if block.mark == "needs Azure":
            assert re.search(r"\b(az|azd)\b", block.text), f"{block} could be run by a test"


def test_no_command_hides_in_another_kind_of_block() -> None:
    languages = {block.language for document in DOCUMENTS for block in blocks(document)}

    assert languages <= {"", "csv", "json", "mermaid", "sh"}
    assert [document for document in DOCUMENTS if re.search(r"^[ \t]+```", text_of(document), re.MULTILINE)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    links = re.findall(r"\]\((?!https?://)([^)\s]+)\)", prose_of(document))
    folder = (ROOT / document).parent

    broken = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = (folder / path).resolve() if path else ROOT / document
        if not target.exists() or (anchor and anchor not in anchors(str(target.relative_to(ROOT)))):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_that_are_named_exist(document: str) -> None:
    paths = named(document, rf"{FOLDERS}/[\w./-]*")
    paths |= named(document, r"[\w.-]+\.(?:md|toml|http|yaml|sample\.json)")
    made_later = {"local.settings.json"}

    assert sorted(path for path in paths - made_later if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_tests_that_are_named_exist(document: str) -> None:
    files = list((ROOT / "tests").rglob("test_*.py"))
    known = {name for file in files for name in re.findall(r"\bdef (test_\w+)", file.read_text("utf-8"))}

    assert named(document, r"test_\w+") - known == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_routes_that_are_named_exist(document: str) -> None:
    parts = {(each.method, *each.path.split("/")) for subject in SUBJECTS for each in subject.routes}
    routes = named(document, r"(?:GET|PUT|POST|PATCH|DELETE) /(?!admin/|_emulator/)[^\s?]+(?:\?\S*)?")

    def is_known(route: str) -> bool:
        method, _, path = route.partition(" /")
        wanted = (method, *path.partition("?")[0].split("/"))
        return any(
            len(known) == len(wanted)
            and all(mine == theirs or mine.startswith("{") for mine, theirs in zip(known, wanted, strict=True))
            for known in parts
        )

    assert sorted(route for route in routes if not is_known(route)) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_settings_and_variables_that_are_named_exist(document: str) -> None:
    settings = {name for name, _, _ in described()}
    written = sources("shared", "infra", "local") + text_of("Makefile")
    names = named(document, r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")

    assert sorted(name for name in names - settings if not re.search(rf"\b{name}\b", written)) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_queues_tables_timers_and_events_that_are_named_exist(document: str) -> None:
    text = prose_of(document)
    queues = set(QUEUES) | {EVENTS_QUEUE} | {queue + SUFFIX for queue in QUEUES}
    written = sources("shared", "functions")

    assert set(re.findall(r"\bqueues? `([^`]+)`", text)) <= queues
    assert named(document, r"(?:store|seat|fulfillment|catalog)-[a-z-]+(?<!-)") <= queues | known_words()
    tables = set(re.findall(r"\btables? `([^`]+)`", text))
    assert sorted(table for table in tables if f'"{table}"' not in written) == []
    timers = set(re.findall(r"\btimers? `([a-z_]+)`", text))
    assert sorted(timer for timer in timers if f'.timer("{timer}"' not in written) == []
    events = named(document, r"storekeeper\.[a-z.-]+")
    assert sorted(event for event in events if f'tag="{event}"' not in written) == []


def known_words() -> set[str]:
    """What is spelled as a queue is, and is none: containers, and secrets of the vault."""
    return {"seat-jobs", "store-id-data-key", "store-collections", "store-purchase", "store-business"}


def test_the_runbook_has_every_alert() -> None:
    bicep = text_of("infra/modules/alerts.bicep")
    alerts = set(re.findall(r"name: '(alert-[a-z-]+)-\$\{\w+\}'", bicep))

    assert len(alerts) > 1
    assert alerts == named("docs/operations.md", r"alert-[a-z-]+")


def test_the_runbook_has_every_state_that_needs_a_person() -> None:
    states = {
        JobStatus.STUCK,
        RefundStatus.REVIEW,
        RefundStatus.UNMATCHED,
        Status.REISSUE_NEEDED,
        ChangeStatus.UNKNOWN,
        State.COMPLETED_WITH_FAILURES,
        State.FAILED,
    }

    assert {state.lower() for state in states} | {"poison"} <= anchors("docs/operations.md")


def test_states_of_each_subject_are_drawn() -> None:
    drawn = {
        document: "".join(block.text for block in blocks(f"docs/{document}.md") if block.language == "mermaid")
        for document in ("fulfillment", "keys", "refunds", "catalog", "seats", "entitlements")
    }

    for document, states in (
        ("fulfillment", JobStatus),
        ("keys", Status),
        ("refunds", RefundStatus),
        ("catalog", State),
        ("entitlements", ChangeStatus),
    ):
        assert [state for state in states if state not in drawn[document]] == [], document


def test_drawings_have_no_character_that_ends_a_line_of_mermaid() -> None:
    drawings = [block for document in DOCUMENTS for block in blocks(document) if block.language == "mermaid"]
    lines = [(block, line) for block in drawings for line in block.text.splitlines()]

    assert len(drawings) > 8
    assert [f"{block}: {line}" for block, line in lines if ";" in line] == []
    of_states = [line for block, line in lines if block.text.startswith("stateDiagram")]
    assert [line for line in of_states if line.count(":") > 1] == []


def test_each_gap_of_the_sample_has_its_test() -> None:
    guide = text_of("docs/migration-from-the-net-sample.md")
    rows = re.findall(r"^\| (\d+) \|.*\| `(test_gap_(\d+)_\w+)` \|$", guide, re.MULTILINE)

    assert [int(number) for number, _, _ in rows] == list(range(1, 22))
    assert [int(number) for number, _, named_number in rows] == [int(each) for _, _, each in rows]


def test_the_blocks_that_the_runner_runs_are_there() -> None:
    run = {block.document for block in COMMANDS if block.mark == f"run by {RUNNER}"}

    assert {"README.md", "docs/operations.md", "docs/game-guide.md", "docs/mdm-guide.md"} <= run
    assert Path(ROOT / RUNNER).is_file()
