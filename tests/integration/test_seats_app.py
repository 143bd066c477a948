"""Seats as callers of the app have them: over HTTP and over the queue, with a host that is killed now and then."""

import asyncio
import base64
import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient

from local.control import Control
from local.stack import Servers, servers
from shared.store.models.business import ProductKey
from shared.wiring import Wiring
from tests.support.app import App, Headers, Storage, problem, started, unique
from tests.support.polling import eventually
from tests.support.seating import Seating, Tenant, a_tenant

QUEUE = "seat-jobs"
POISON = "seat-jobs-poison"


@pytest.fixture
async def seating(wiring: Wiring, control: Control) -> Seating:
    """What is known of the first tenant, whose products the app uses."""
    return Seating(wiring, control, await a_tenant(control))


@pytest.fixture
async def operator(app: App) -> Headers:
    """Who assigns seats."""
    return await app.operator()


@pytest.fixture(scope="module")
async def own_stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    """Azurite and the emulator for apps that are killed, and for their heirs."""
    async with servers(tmp_path_factory.mktemp("killed")) as running:
        yield running


class Caller:
    """An operator with a product."""

    def __init__(self, app: App, headers: Headers, tenant: Tenant, product: Any) -> None:
        self.app, self.headers, self.tenant = app, headers, tenant
        self.body = {"tenantId": tenant.tenant_id, "productId": product.product_id, "skuId": product.sku_id}
        self.seats = f"/catalog/products/{product.product_id}/{product.sku_id}/seats"

    async def post(self, users: list[str], **changes: Any) -> httpx.Response:
        """Hand in a job as JSON."""
        body = {**self.body, "action": "assign", "users": users, **changes}
        return await self.app.http.post("/seat-jobs", headers=self.headers, json=body)

    async def post_csv(self, content: bytes, **changes: Any) -> httpx.Response:
        """Hand in a job as CSV."""
        headers = {**self.headers, "Content-Type": "text/csv; charset=utf-8"}
        query = {**self.body, "action": "assign", **changes}
        return await self.app.http.post("/seat-jobs", headers=headers, params=query, content=content)

    async def get(self, path: str, **query: Any) -> Any:
        """What the app answers."""
        answer = await self.app.http.get(path, headers=self.headers, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ended(self, job_id: str, seconds: float = 20) -> dict[str, Any]:
        """A job that is over."""

        async def over() -> dict[str, Any] | None:
            answer = await self.app.http.get(f"/seat-jobs/{job_id}", headers=self.headers)
            shown: dict[str, Any] = answer.json()
            return shown if answer.status_code == 200 and shown["status"] not in {"queued", "running"} else None

        return await eventually(over, seconds)


@pytest.fixture
async def caller(app: App, operator: Headers, seating: Seating) -> Caller:
    """An operator with a product of its own."""
    return Caller(app, operator, seating.tenant, await seating.product())


class TestJobs:
    """Jobs over HTTP."""

    async def test_a_thousand_users_by_csv_with_twenty_bad_ones(self, caller: Caller, storage: Storage) -> None:
        users, strangers = caller.tenant.users(980), caller.tenant.strangers(20)
        sheet = "\ufeffuserName\r\n" + "\r\n".join(f'"{name}"' for name in [*strangers, *users]) + "\r\n\r\n"

        answer = await caller.post_csv(sheet.encode())

        assert answer.status_code == 202, answer.text
        job_id = answer.json()["jobId"]
        assert answer.headers["location"] == f"/api/seat-jobs/{job_id}"
        job = await caller.ended(job_id)
        counts = {name: job[name] for name in ("status", "total", "succeeded", "failed", "pending")}
        assert counts == {
            "status": "completedWithFailures",
            "total": 1000,
            "succeeded": 980,
            "failed": 20,
            "pending": 0,
        }
        failed = await caller.get(f"/seat-jobs/{job_id}/results", status="failed")
        assert [row["userName"] for row in failed["results"]] == strangers
        assert {(row["reason"], row["mayInstall"]) for row in failed["results"]} == {("UserNotFound", False)}
        assert len((await caller.get(caller.seats, tenantId=caller.tenant.tenant_id))["seats"]) == 980

        async def told() -> list[str]:
            return [each["type"] for each in await storage.told() if each["subject"] == f"seat-jobs/{job_id}"]

        assert await eventually(told) == ["storekeeper.seat-job.completed"]

    async def test_results_come_in_pages_and_as_a_sheet_without_formulas(self, caller: Caller) -> None:
        users = [f"=cmd|'/c'!A{number}@{caller.tenant.domain}" for number in range(30)]
        job_id = (await caller.post(users)).json()["jobId"]
        await caller.ended(job_id)

        names, token = [], None
        while True:
            query = {"pageSize": 7, **({"continuationToken": token} if token else {})}
            page = await caller.get(f"/seat-jobs/{job_id}/results", **query)
            names.append([row["userName"] for row in page["results"]])
            token = page.get("continuationToken")
            if not token:
                break
        sheet = await caller.app.http.get(
            f"/seat-jobs/{job_id}/results", headers={**caller.headers, "Accept": "text/csv"}
        )

        assert [len(page) for page in names] == [7, 7, 7, 7, 2]
        assert [name for page in names for name in page] == users
        assert sheet.headers["content-type"].startswith("text/csv")
        rows = list(csv.reader(io.StringIO(sheet.text)))
        assert rows[0] == ["userName", "status", "reason", "mayInstall"]
        assert rows[1:] == [[f"'{user}", "failed", "UserNotFound", "false"] for user in users]

    async def test_the_same_job_twice_is_one_and_other_content_is_a_conflict(self, caller: Caller) -> None:
        job_id, users = unique("job"), caller.tenant.users(3)
        answers = [await caller.post(users, jobId=job_id) for _ in range(2)]
        await caller.ended(job_id)
        answers.append(await caller.post(users, jobId=job_id))

        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["turn"] for answer in answers}) == 1
        problem(await caller.post(users[:2], jobId=job_id), 409)
        problem(await caller.post(users, jobId=job_id, action="reclaim"), 409)

    async def test_jobs_of_one_product_run_in_the_order_of_their_acceptance(self, caller: Caller) -> None:
        users = caller.tenant.users(300)
        actions = ["assign", "reclaim", "assign", "reclaim"]
        jobs = [(await caller.post(users, action=action)).json() for action in actions]
        ended = [await caller.ended(job["jobId"]) for job in jobs]

        assert [job["turn"] for job in ended] == [1, 2, 3, 4]
        assert {job["status"] for job in ended} == {"completed"}
        assert (await caller.get(caller.seats, tenantId=caller.tenant.tenant_id))["seats"] == []

    async def test_seats_are_read_live(self, caller: Caller) -> None:
        users = caller.tenant.users(120, unique("live"))
        await caller.ended((await caller.post(users)).json()["jobId"])
        tenant = {"tenantId": caller.tenant.tenant_id}

        of_product = await caller.get(caller.seats, **tenant)
        of_user = await caller.get("/seats", user=users[7], **tenant)
        one = await caller.get(f"{caller.seats}/{users[7]}", **tenant)

        assert {seat["userName"] for seat in of_product["seats"]} == set(users)
        assert of_user["seats"] == [one]
        assert (one["mayInstall"], one["productId"]) == (True, caller.body["productId"])
        problem(
            await caller.app.http.get(
                f"{caller.seats}/{caller.tenant.users(1, 'other')[0]}", headers=caller.headers, params=tenant
            ),
            404,
        )
        problem(await caller.app.http.get(caller.seats, headers=caller.headers), 422, "?tenantId")

    async def test_players_have_no_business_here(self, caller: Caller) -> None:
        caller.headers = await caller.app.player()

        problem(await caller.post(caller.tenant.users(1)), 403)


class TestBadInput:
    """A problem document, and nothing begun."""

    async def test_lines_that_are_at_fault_are_named(self, caller: Caller) -> None:
        sheet = b'userName\n\nada@x.example\nno at sign\nADA@X.example\n"b@x.example",two\n'

        problem(await caller.post_csv(sheet), 422, "line 6")
        problem(await caller.post_csv(sheet.replace(b",two", b"")), 422, "line 4", "line 5")
        problem(await caller.post_csv(b'a@x.example\n"b@x.example\nc@x.example\n'), 422, "line 2")
        problem(await caller.post_csv(b"a@x.example\n\xff@x.example\n"), 422, "line 2")

    @pytest.mark.parametrize("count", [0, 100_001, 200_000])
    async def test_too_few_and_too_many(self, caller: Caller, count: int) -> None:
        problem(await caller.post([f"u{number}@x.example" for number in range(count)]), 422, "/users")
        problem(await caller.post_csv(b"\n".join(b"u%d@x.example" % number for number in range(count))), 422, "/users")

    async def test_of_very_many_faults_the_first_are_listed_and_all_counted(self, caller: Caller) -> None:
        document = problem(await caller.post(["nobody"] * 250), 422, *(f"/users/{index}" for index in range(100)))

        assert document["detail"].startswith("250 users")

    async def test_what_is_not_there(self, caller: Caller, seating: Seating) -> None:
        users = caller.tenant.users(1)
        problem(await caller.post(users, productId="9NOSUCHAPP00"), 404)
        problem(await caller.post(users, tenantId="00000000-0000-4000-8000-000000000000"), 404)
        problem(await caller.post(users, tenantId=None), 422, "/tenantId")
        offline = await seating.product(licenseType="offline")
        refused = problem(await caller.post(users, productId=offline.product_id, skuId=offline.sku_id), 409)
        assert "Not online" in refused["detail"]
        for path in ("/seat-jobs/none", "/seat-jobs/none/results", "/seat-jobs/no%23ne", "/seat-jobs/%3F"):
            problem(await caller.app.http.get(path, headers=caller.headers), 404)

    async def test_what_cannot_be_read(self, caller: Caller) -> None:
        users = caller.tenant.users(1)
        problem(await caller.post(users, action="steal"), 400, "/action")
        problem(await caller.post(users, jobId="../up"), 422, "/jobId")
        problem(await caller.post_csv(b"a@x.example", action="steal"), 400, "?action")
        problem(await caller.post_csv(b"a@x.example", productId=""), 400, "?productId")
        problem(await caller.post_csv(b"," * (16 * 1024 * 1024 + 1)), 413, "")
        answer = await caller.app.http.get(
            "/seat-jobs/none/results", headers=caller.headers, params={"continuationToken": "x", "status": "lost"}
        )
        problem(answer, 400, "?status")
        job_id = (await caller.post(users)).json()["jobId"]
        for token in ("x", "Lg", "eC55"):
            answer = await caller.app.http.get(
                f"/seat-jobs/{job_id}/results", headers=caller.headers, params={"continuationToken": token}
            )
            problem(answer, 400, "?continuationToken")

    async def test_a_store_that_is_away_is_said_and_when_to_come_again(self, caller: Caller, control: Control) -> None:
        await control.disturb("business", {"drop": "before"}, path="/Seats")

        answer = await caller.post(caller.tenant.users(1), jobId=(job_id := unique("job")))

        problem(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
        problem(await caller.app.http.get(f"/seat-jobs/{job_id}", headers=caller.headers), 404)


class TestQueue:
    """Jobs over the public queue."""

    @pytest.mark.parametrize("form", ["plain", "base64"])
    async def test_a_message_is_a_job(self, caller: Caller, storage: Storage, form: str) -> None:
        message = _message(caller, users=caller.tenant.users(2))
        text = json.dumps(message)
        await storage.send(QUEUE, text if form == "plain" else base64.b64encode(text.encode()).decode())

        assert (await caller.ended(message["jobId"]))["succeeded"] == 2

    async def test_a_long_list_lies_in_a_blob(self, caller: Caller, storage: Storage) -> None:
        name = f"{unique('list')}.csv"
        await _upload(storage, name, "\n".join(["userName", *caller.tenant.users(40)]).encode())
        message = _message(caller, usersBlob=f"seat-jobs/{name}")
        await storage.send(QUEUE, json.dumps(message))

        assert (await caller.ended(message["jobId"]))["succeeded"] == 40

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"tenantId": "elsewhere"}, "No such tenant is configured"),
            ({"productId": "9NOSUCHAPP00"}, "The Store says"),
            ({"users": ["no at sign"]}, "/users/0"),
            ({"users": None, "usersBlob": "seat-jobs/none.csv"}, "there is no blob"),
            ({"usersBlob": "seat-jobs/both.csv"}, "either users or usersBlob"),
            ({"usersBlob": "elsewhere/list.csv"}, "cannot be read"),
            ({"version": 2}, "version 2"),
            ({"action": "steal"}, "cannot be read"),
        ],
    )
    async def test_what_can_never_succeed_is_poison_with_its_reason(
        self, caller: Caller, storage: Storage, changes: dict[str, Any], reason: str
    ) -> None:
        message = _message(caller, users=caller.tenant.users(1)) | changes
        await storage.send(QUEUE, json.dumps(message))

        assert reason in await _given_up(caller, message["jobId"])

    async def test_the_same_job_with_other_content_is_poison(self, caller: Caller, storage: Storage) -> None:
        message = _message(caller, users=caller.tenant.users(2))
        for _ in range(2):
            await storage.send(QUEUE, json.dumps(message))
        await caller.ended(message["jobId"])

        await storage.send(QUEUE, json.dumps(message | {"action": "reclaim"}))

        assert "Another job has this jobId" in await _given_up(caller, message["jobId"])
        assert (await caller.ended(message["jobId"]))["action"] == "assign"


class TestKilledHosts:
    """The host dies in the midst of a job, and another is started. No other app reads these queues."""

    @pytest.mark.parametrize("calls", [0, 1, 20])
    async def test_a_job_goes_on_where_it_was(self, own_stack: Servers, calls: int) -> None:
        control = own_stack.control
        tenant = await a_tenant(control)
        (key,) = await control.add_business_products(tenant.tenant_id, 1, licenseType="online", images=False)
        product, users = ProductKey(key["productId"], key["skuId"]), tenant.users(1000)
        await control.disturb("business", {"latencyMs": 10_000}, path="/Seats$", method="POST", after=calls)
        since = await control.last_seen()
        async with started(own_stack, f"mortal-{calls}") as app:
            caller = Caller(app, await app.operator(), tenant, product)
            job_id = (await caller.post(users)).json()["jobId"]

            async def under_way() -> bool:
                return await control.count(path="/Seats$", method="POST", since=since) >= calls

            await eventually(under_way)
            await app.server.kill()
        await control.calm()
        assert await _long_afterwards(Storage(own_stack.azurite.connection_string), job_id) > 0

        async with started(own_stack, f"heir-{calls}") as app:
            caller = Caller(app, await app.operator(), tenant, product)
            swept = await app.http.post(f"{app.server.url}/admin/functions/sweep?wait=true", json={})
            assert swept.status_code == 200, swept.text
            job = await caller.ended(job_id, 30)

        assert (job["status"], job["succeeded"]) == ("completed", 1000)
        found = await control.business_product(tenant.tenant_id, product.product_id, product.sku_id, "seats")
        assert {seat["assignedTo"] for seat in found["seats"]} == set(users)


def _message(caller: Caller, **changes: Any) -> dict[str, Any]:
    return {"version": 1, "jobId": unique("job"), **caller.body, "action": "assign", **changes}


async def _upload(storage: Storage, name: str, content: bytes) -> None:
    async with BlobServiceClient.from_connection_string(storage.connection_string) as service:
        container = service.get_container_client("seat-jobs")
        if not await container.exists():
            await container.create_container()
        await container.upload_blob(name, content)


async def _given_up(caller: Caller, job_id: str) -> str:
    """Why a message was given up on."""

    async def reason() -> str | None:
        messages = (await caller.get("/poison"))["messages"]
        return next((each["reason"] for each in messages if job_id in each["content"]), None)

    return await eventually(reason)


async def _long_afterwards(storage: Storage, job_id: str) -> int:
    """Have the claims of dead workers run out, as time would; how many blocks were not done with."""
    mine = f"PartitionKey eq '{job_id}' and RowKey ge"
    async with TableServiceClient.from_connection_string(storage.connection_string) as service:
        table = service.get_table_client("seatjobs")
        todos = [row async for row in table.query_entities(f"{mine} 'todo|' and RowKey lt 'todo|~'")]
        waiting = [row async for row in table.query_entities(f"{mine} 'wait|' and RowKey lt 'wait|~'")]
        await asyncio.gather(*(table.update_entity({**row, "due": "2020-01-01T00:00:00Z"}) for row in todos))
    return len(todos) + len(waiting)
