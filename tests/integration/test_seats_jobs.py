"""Jobs are carried out: what each user comes to, what the Store is asked, what is told in the end."""

import asyncio
import json

import pytest

from local.control import Control
from shared.errors import NotFoundError, StateConflictError, UnavailableError, UnprocessableError
from shared.messages import decode_message
from shared.seats.messages import SeatJobMessage
from shared.seats.post import CONTAINER, Post
from shared.seats.states import Action, JobStatus, UserStatus
from shared.storage.blobs import Container
from shared.storage.queues import Queue
from shared.store.models.business import ProductKey
from shared.wiring import Wiring
from tests.support.app import Storage, unique
from tests.support.seating import Seating, StillQueue, a_tenant


@pytest.fixture
async def seating(wiring: Wiring, control: Control) -> Seating:
    """Jobs of the first tenant."""
    return Seating(wiring, control, await a_tenant(control))


class TestAJob:
    """From its acceptance to its end."""

    async def test_a_thousand_users_get_seats_but_for_those_who_do_not_exist(
        self, seating: Seating, control: Control
    ) -> None:
        product = await seating.product()
        users, strangers = seating.tenant.users(980), seating.tenant.strangers(20)
        since = await control.last_seen()

        state = await seating.done(product, users[:500] + strangers + users[500:])

        assert (state.job.status, state.succeeded, state.failed, state.pending) == (
            JobStatus.COMPLETED_WITH_FAILURES,
            980,
            20,
            0,
        )
        assert await seating.seats(product) == set(users)
        assert await seating.reasons(state.job.job_id) == {("succeeded", None): 980, ("failed", "UserNotFound"): 20}
        assert await seating.calls(since) == 40
        (event,) = seating.events()
        assert (event.data.job_id, event.data.status) == (state.job.job_id, "completedWithFailures")
        assert (event.data.total, event.data.succeeded, event.data.failed) == (1000, 980, 20)
        assert await seating.files.todos(state.job.job_id) == []
        assert await seating.turns.first(seating.tenant.tenant_id, product) is None

    async def test_what_is_reclaimed_is_free_again(self, seating: Seating) -> None:
        product = await seating.product(capacity=60)
        users = seating.tenant.users(60)
        await seating.done(product, users)

        state = await seating.done(product, users, "reclaim")

        assert state.job.status is JobStatus.COMPLETED
        assert await seating.seats(product) == set()

    async def test_the_same_again_in_another_job_is_success(self, seating: Seating) -> None:
        product = await seating.product()
        users = seating.tenant.users(30)

        states = [await seating.done(product, users, action) for action in ("assign", "assign", "reclaim", "reclaim")]

        assert {state.job.status for state in states} == {JobStatus.COMPLETED}
        assert await seating.seats(product) == set()

    async def test_a_restricted_product_has_seats_for_some(self, seating: Seating) -> None:
        product = await seating.product(capacity=15)
        seating.free_seats = 15

        state = await seating.done(product, seating.tenant.users(20))

        assert (state.succeeded, state.failed) == (15, 5)
        assert len(await seating.seats(product)) == 15
        assert {reason for (_, reason) in await seating.reasons(state.job.job_id)} == {None, "NoSeatsAvailable"}
        (warning,) = state.job.warnings
        assert "15 seats were free" in warning

    async def test_nobody_succeeds_and_the_job_has_failed(self, seating: Seating) -> None:
        state = await seating.done(await seating.product(), seating.tenant.strangers(3))

        assert state.job.status is JobStatus.FAILED
        assert [event.data.status for event in seating.events()] == ["failed"]

    @pytest.mark.parametrize(
        ("action", "exists", "reason"),
        [("assign", True, None), ("assign", False, "User"), ("reclaim", True, None), ("reclaim", False, "User")],
    )
    async def test_a_single_user_takes_the_single_call(
        self, seating: Seating, control: Control, action: str, exists: bool, reason: str | None
    ) -> None:
        product = await seating.product()
        (user,) = seating.tenant.users(1, unique("o'ne+")) if exists else seating.tenant.strangers(1)
        since = await control.last_seen()

        state = await seating.done(product, [user], action)

        (result,) = await seating.outcomes(state.job.job_id)
        assert result.status == (UserStatus.SUCCEEDED if exists else UserStatus.FAILED)
        assert result.may_install == (exists and action == "assign")
        assert reason is None or reason in (result.reason or "")
        assert await seating.calls(since, "/Seats/[^/]+$") == 1
        assert await seating.calls(since, "/Seats$") == 0


class TestAcceptance:
    """What is accepted, and what is refused with nothing begun."""

    async def test_the_same_id_and_content_is_the_same_job(self, seating: Seating, control: Control) -> None:
        product, users = await seating.product(), seating.tenant.users(30)
        first = await seating.done(product, users, job_id="x" + seating.name)
        since = await control.last_seen()

        again = await seating.done(product, users, job_id="x" + seating.name)

        assert again == first
        assert await seating.calls(since) == 0
        assert len(seating.events()) == 1

    async def test_many_at_once_get_a_turn_each(self, seating: Seating) -> None:
        product = await seating.product()
        users = seating.tenant.users(40)

        jobs = await asyncio.gather(*(seating.accepted(product, [user]) for user in users))
        await seating.settle()

        assert sorted(job.turn for job in jobs) == list(range(1, 41))
        assert await seating.seats(product) == set(users)
        assert len(seating.events()) == 40

    @pytest.mark.parametrize("change", ["users", "order", "action", "product"])
    async def test_the_same_id_with_other_content_is_a_conflict(self, seating: Seating, change: str) -> None:
        product, users = await seating.product(), seating.tenant.users(3)
        job = await seating.accepted(product, users)
        other = {"users": users[:2], "order": users[::-1]}.get(change, users)
        wanted = await seating.product() if change == "product" else product

        with pytest.raises(StateConflictError, match="jobId"):
            await seating.accepted(wanted, other, "reclaim" if change == "action" else "assign", job_id=job.job_id)

    @pytest.mark.parametrize("kind", ["tenant", "product", "vanished", "removed"])
    async def test_what_the_store_does_not_know_is_not_found(
        self, seating: Seating, control: Control, kind: str
    ) -> None:
        product = ProductKey("9NOSUCHAPP00", "0010") if kind == "product" else await seating.product()
        if kind in {"vanished", "removed"}:
            key = {"productId": product.product_id, "skuId": product.sku_id}
            await control.change_business_products(seating.tenant.tenant_id, products=[key], **{kind: True})
        tenant_id = "elsewhere" if kind == "tenant" else seating.tenant.tenant_id
        request = seating.request(product, seating.tenant.users(2), tenant_id=tenant_id)

        with pytest.raises(NotFoundError):
            await seating.intake.accept(request)

        assert await seating.files.find(request.job_id) is None

    async def test_an_offline_product_has_no_seats(self, seating: Seating) -> None:
        request = seating.request(await seating.product(licenseType="offline"), seating.tenant.users(2))

        with pytest.raises(StateConflictError, match="Not online"):
            await seating.intake.accept(request)

        assert await seating.files.find(request.job_id) is None

    async def test_while_the_store_is_away_nothing_is_begun(self, seating: Seating, control: Control) -> None:
        request = seating.request(await seating.product(), seating.tenant.users(2))
        await control.disturb("business", {"status": 503, "retryAfter": 300})

        with pytest.raises(UnavailableError) as refusal:
            await seating.intake.accept(request)

        assert refusal.value.retry_after > 250
        assert await seating.files.find(request.job_id) is None

    async def test_all_that_is_wrong_with_users_is_named(self, seating: Seating) -> None:
        users = ["ada@contoso.example", "no at", "ADA@contoso.example", "two@at@signs", ""]

        with pytest.raises(UnprocessableError) as refusal:
            await seating.intake.accept(seating.request(ProductKey("9NBLGGH4QWNX", "0016"), users))

        assert [fault.pointer for fault in refusal.value.faults] == ["/users/1", "/users/2", "/users/3", "/users/4"]


class TestThePost:
    """Jobs that come by message."""

    async def test_a_job_that_comes_while_the_store_is_away_is_offered_again(
        self, seating: Seating, control: Control
    ) -> None:
        queue = StillQueue(seating.wiring, f"{seating.name}-jobs")
        post = Post(seating.intake, Container(seating.wiring.core.account, CONTAINER), queue)
        product = await seating.product()
        message = SeatJobMessage(
            1,
            unique("job"),
            seating.tenant.tenant_id,
            product.product_id,
            product.sku_id,
            Action.ASSIGN,
            seating.tenant.users(3),
        )
        await control.disturb("business", {"status": 503, "retryAfter": 300})
        await post.take(message)
        away = (list(queue.messages), list(queue.delays), await seating.files.find(message.job_id))

        await control.calm()
        seating.forget_pauses()
        await post.take(message)

        assert [decode_message(str(text).encode(), SeatJobMessage) for text in away[0]] == [message]
        assert away[1][0] > 250
        assert away[2] is None
        assert len(queue.messages) == 1
        assert (await seating.results.state(message.job_id)).job.total == 3

    async def test_one_that_just_fits_into_the_queue_fits_again(
        self, seating: Seating, control: Control, storage: Storage
    ) -> None:
        account = seating.wiring.core.account
        queue, real = StillQueue(seating.wiring, f"{seating.name}-jobs"), Queue(account, f"{seating.name}-jobs")
        post = Post(seating.intake, Container(account, CONTAINER), queue)
        product = await seating.product()
        facts = {
            "version": 1,
            "jobId": unique("job"),
            "tenantId": seating.tenant.tenant_id,
            "productId": product.product_id,
            "skuId": product.sku_id,
            "action": "assign",
            "users": [f"{'ж' * 40}{number:04}@{seating.tenant.domain}" for number in range(590)],
        }
        body = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
        assert len(body.encode()) > 60_000
        await real.send_text(body)
        await control.disturb("business", {"status": 503, "retryAfter": 30})

        await post.take(decode_message(body.encode(), SeatJobMessage))

        await real.send_text(str(*queue.messages))
        assert await storage.messages(real.name) == [body, body]
