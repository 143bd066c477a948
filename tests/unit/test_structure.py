"""What a host finds: the functions and their triggers, and no start without settings."""

import ast
import json
from pathlib import Path

import pytest
from azure.functions.decorators.function_app import Function

import function_app
from functions.app import Storekeeper
from functions.parts import settings
from functions.subject import Subject
from shared.messages import MAX_DEQUEUE_COUNT
from shared.settings import SettingsError
from shared.wiring.poison import QUEUES
from tests.support.environ import ENVIRON

ROOT = Path(__file__).parents[2]
HTTP = {
    "create_token": ("POST", "tokens/{kind}"),
    "put_store_id": ("PUT", "users/{userId}/store-ids/{kind}"),
    "create_store_id": ("POST", "users/{userId}/store-ids/{kind}/from-xtoken"),
    "list_store_ids": ("GET", "users/{userId}/store-ids"),
    "delete_store_id": ("DELETE", "users/{userId}/store-ids/{kind}"),
    "list_products": ("GET", "catalog/products"),
    "get_product": ("GET", "catalog/products/{productId}/{skuId}"),
    "get_package_content": ("GET", "catalog/products/{productId}/{skuId}/packages/{packageId}/content"),
    "get_offline_license": ("GET", "catalog/products/{productId}/{skuId}/offline-licenses/{contentId}"),
    "start_sync": ("POST", "catalog/syncs"),
    "get_sync": ("GET", "catalog/syncs/{syncId}"),
    "create_seat_job": ("POST", "seat-jobs"),
    "get_seat_job": ("GET", "seat-jobs/{jobId}"),
    "list_seat_job_results": ("GET", "seat-jobs/{jobId}/results"),
    "list_product_seats": ("GET", "catalog/products/{productId}/{skuId}/seats"),
    "get_seat": ("GET", "catalog/products/{productId}/{skuId}/seats/{user}"),
    "list_user_seats": ("GET", "seats"),
    "list_owned_products": ("GET", "users/{userId}/products"),
    "create_fulfillment": ("POST", "users/{userId}/fulfillments"),
    "get_fulfillment": ("GET", "users/{userId}/fulfillments/{trackingId}"),
    "list_balances": ("GET", "users/{userId}/balances"),
    "list_subscriptions": ("GET", "users/{userId}/subscriptions"),
    "change_subscription": ("POST", "users/{userId}/subscriptions/{recurrenceId}/changes"),
    "grant_free_product": ("POST", "users/{userId}/free-products"),
    "list_refunds": ("GET", "refunds"),
    "list_poison": ("GET", "poison"),
    "replay_poison": ("POST", "poison/{queue}/{messageId}/replays"),
    "get_health": ("GET", "health"),
    "get_readiness": ("GET", "health/ready"),
    "get_openapi": ("GET", "openapi.json"),
}
KINDS = ("timerTrigger", "queueTrigger")
TIMERS = {
    "plan_renewals": "0 */5 * * * *",
    "plan_catalog_syncs": "0 0 * * * *",
    "fetch_refunds": "0 */5 * * * *",
    "sweep": "0 * * * * *",
}
READERS = {
    "take_fulfillment": "fulfillment-jobs",
    "work_on_fulfillment": "fulfillment-work",
    "renew_store_ids": "store-id-renewals",
    "list_inventory": "catalog-passes",
    "fetch_products": "catalog-pieces",
    "download_files": "catalog-downloads",
    "take_seat_job": "seat-jobs",
    "advance_seat_jobs": "seat-turns",
    "change_seats": "seat-blocks",
}


def trigger(function: Function) -> dict[str, object]:
    """The trigger's binding as the host is told of it."""
    found = function.get_trigger()
    assert found is not None
    described: dict[str, object] = found.get_dict_repr()
    return described


def test_every_http_function_is_known_by_its_name_method_and_route(indexed: list[Function]) -> None:
    triggers = {function.get_function_name(): trigger(function) for function in indexed}
    http = {name: each for name, each in triggers.items() if each["type"] == "httpTrigger"}

    assert {name: (*map(str, each["methods"]), each["route"]) for name, each in http.items()} == HTTP  # type: ignore[call-overload]
    assert {str(each["authLevel"]) for each in http.values()} == {"ANONYMOUS"}


def test_the_timers_and_the_readers_of_queues_have_their_triggers(indexed: list[Function]) -> None:
    triggers = {function.get_function_name(): trigger(function) for function in indexed}
    by_kind = {kind: {name: each for name, each in triggers.items() if each["type"] == kind} for kind in KINDS}

    assert triggers.keys() - HTTP.keys() == TIMERS.keys() | READERS.keys()
    assert {name: each["schedule"] for name, each in by_kind["timerTrigger"].items()} == TIMERS
    assert {name: each["queueName"] for name, each in by_kind["queueTrigger"].items()} == READERS
    assert {each["connection"] for each in by_kind["queueTrigger"].values()} == {"AzureWebJobsStorage"}


def test_a_schedule_of_nothing_but_spaces_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (ENVIRON | {"SWEEP_SCHEDULE": " "}).items():
        monkeypatch.setenv(name, value)
    subject, app = Subject("functions.sweep"), Storekeeper()
    subject.timer("sweep", "SWEEP_SCHEDULE")
    app.register_blueprint(subject.blueprint)

    (sweep,) = app.get_functions()

    assert trigger(sweep)["schedule"] == TIMERS["sweep"]


def test_no_settings_no_functions_and_each_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AzureWebJobsStorage", "AzureWebJobsStorage__accountName", "KEY_VAULT_URL", "CALLER_ISSUERS"):
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    try:
        with pytest.raises(SettingsError) as refusal:
            function_app.app.get_functions()
    finally:
        settings.cache_clear()

    assert [problem.split()[0] for problem in refusal.value.problems] == [
        "AzureWebJobsStorage",
        "KEY_VAULT_URL",
        "CALLER_ISSUERS",
    ]


def test_function_app_only_registers_blueprints() -> None:
    tree = ast.parse((ROOT / "function_app.py").read_text("utf-8"))

    assert not [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.If)]


def test_the_store_is_known_to_its_own_package_alone() -> None:
    """``shared.store`` knows nothing of Azure Functions, and ``functions`` nothing of clients of Azure."""
    imported: dict[str, set[str]] = {}
    for file in [*ROOT.glob("shared/**/*.py"), *ROOT.glob("functions/**/*.py")]:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            imported.setdefault(file.relative_to(ROOT).parts[0], set()).update(names)

    assert not {name for name in imported["shared"] if name.startswith(("functions", "azure.functions", "local"))}
    assert {name for name in imported["functions"] if name.startswith("azure")} <= {
        "azure.functions",
        "azure.functions.decorators.function_app",
        "azure.functions.decorators.timer",
    }


def test_a_message_is_given_up_when_the_host_gives_it_up() -> None:
    host = json.loads((ROOT / "host.json").read_text("utf-8"))

    assert host["extensions"]["queues"]["maxDequeueCount"] == MAX_DEQUEUE_COUNT


def test_every_queue_that_is_read_is_known_to_the_poison(indexed: list[Function]) -> None:
    triggers = [trigger(function) for function in indexed]

    assert {str(each["queueName"]) for each in triggers if each["type"] == "queueTrigger"} == set(QUEUES)
