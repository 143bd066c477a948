"""The steps of the guided run about Store for Business. Each returns, for the summary, what it saw."""

import base64
import hashlib
from typing import Any

from local.demo.play import Play
from local.demo.step import Step
from local.demo.world import until

CHANGED = 5
USERS, BAD = 1_000, 20
JOBS = 3
SEAT_JOB_COMPLETED = "storekeeper.seat-job.completed"


async def first_sync(play: Play) -> str:
    """An operator has the catalogues of three organisations synced, with artwork, packages and licenses."""
    world = play.world
    tenants = await world.control.business_tenants()
    state = await _sync(play, {})
    play.tell.expect("the pass", "completed", state["status"])
    held = 0
    for tenant in tenants:
        catalog = await _catalog(play, tenant["tenantId"])
        listed = await world.control.business_products(tenant["tenantId"], "entry")
        play.tell.expect(f"products of {tenant['name']}, as the Store has them", len(listed), len(catalog))
        same = sum(
            catalog.get(_key(each["entry"]["productKey"]), {}).get("lastModified") == each["entry"]["lastModified"]
            for each in listed
        )
        play.tell.expect("  of the same lastModified, to the seventh digit", len(listed), same)
        held += len(catalog)
    play.tell.say(f"{state['downloadedBytes'] // 1024} KiB of artwork and packages were downloaded")
    return f"{held} products of {len(tenants)} tenants"


async def second_sync(play: Play) -> str:
    """Five products change at the Store. The next pass asks for those, and for nothing else."""
    world, tenant = play.world, (await play.world.control.business_tenants())[0]["tenantId"]
    changed = await world.control.change_business_products(tenant, count=CHANGED, seed=3, renew=["details"])
    since = await world.control.last_seen()
    state = await _sync(play, {"tenantId": tenant})
    asked = await world.control.requests(service="business", path=r"/Products/[^/]+/[^/]+$", since=since)
    play.tell.expect("the pass", "completed", state["status"])
    play.tell.expect("products that changed", CHANGED, state["changed"])
    wanted = {f"{each['productId']}/{each['skuId']}" for each in changed}
    seen = {each["path"].partition("/Products/")[2] for each in asked}
    play.tell.expect("products that the Store was asked for are those that changed", True, seen == wanted)
    return f"{len(asked)} products asked for, {state['changed']} changed"


async def package(play: Play) -> str:
    """An offline app's package is fetched from the app, and its license: what a management tool distributes."""
    world, tenant = play.world, (await play.world.control.business_tenants())[0]["tenantId"]
    for key in await _catalog(play, tenant, licenseType="Offline", status="Active"):
        answer = await play.get(f"/catalog/products/{key}", tenantId=tenant)
        found = [each for each in answer["packages"] if each["held"] and each["fileHash"]]
        if found and answer["licenses"]:
            break
    else:
        play.tell.expect("an offline product with a package and a license", "one", "none")
        return "none"
    path = f"/catalog/products/{key}/packages/{found[0]['packageId']}/content?tenantId={tenant}"
    redirect = await world.call("GET", path, play.operator)
    play.tell.expect("GET .../packages/{packageId}/content", 302, redirect.status_code)
    content = await world.download(redirect.headers["Location"])
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    play.tell.expect(f"{found[0]['packageFullName']}, bytes", found[0]["fileSize"], len(content))
    play.tell.expect("  its SHA-256 is the one that the Store names", found[0]["fileHash"], digest)
    frameworks = found[0]["frameworkDependencyPackages"]
    held = sum(each["held"] for each in frameworks)
    play.tell.expect("  frameworks that it needs and that are held", len(frameworks), held)
    content_id = answer["licenses"][0]["contentId"]
    license_ = await play.get(f"/catalog/products/{key}/offline-licenses/{content_id}", tenantId=tenant)
    product_id, _, sku_id = key.partition("/")
    truth = await world.control.business_product(tenant, product_id, sku_id, "licenses")
    play.tell.require(
        "the license is the Store's", license_["licenseBlob"] in str(truth["licenses"]), "yes", "the same blob"
    )
    return f"{len(content)} bytes, hash right; license {license_['licenseInstanceId']}"


async def assign(play: Play) -> str:
    """A thousand users get a seat by one CSV file; twenty of them are unknown to the organisation's directory."""
    control = play.world.control
    business = (await control.business_tenants())[0]
    tenant, domain = business["tenantId"], business["domain"]
    (key,) = await control.add_business_products(tenant, 1, licenseType="online", capacity=USERS)
    play.seats_product = key
    await _sync(play, {"tenantId": tenant})
    users = [f"user-{number}@{domain}" for number in range(USERS - BAD)]
    users += [f"nobody-{number}@{domain}" for number in range(BAD)]
    state = await _job(play, tenant, "assign", users)
    play.tell.expect("the job", "completedWithFailures", state["status"])
    play.tell.expect("users with a seat, and without", (USERS - BAD, BAD), (state["succeeded"], state["failed"]))
    results = await play.get(f"/seat-jobs/{state['jobId']}/results", status="failed")
    reasons = {each["reason"] for each in results["results"]}
    play.tell.expect("reasons of the others", {"UserNotFound"}, reasons)
    again = await _job(play, tenant, "assign", users)
    play.tell.expect("the same file once more: users with a seat", USERS - BAD, again["succeeded"])
    truth = await control.business_product(tenant, key["productId"], key["skuId"], "seats", "entry")
    play.tell.expect("seats at the Store", USERS - BAD, len(truth["seats"]))
    play.tell.expect("  and still to be had", BAD, truth["entry"]["availableSeats"])
    return f"{state['succeeded']} assigned, {state['failed']} failed; at the Store: {len(truth['seats'])}"


async def reclaim(play: Play) -> str:
    """The seats are taken back."""
    world, control, key = play.world, play.world.control, play.seats_product
    business = (await control.business_tenants())[0]
    tenant, domain = business["tenantId"], business["domain"]
    state = await _job(play, tenant, "reclaim", [f"user-{number}@{domain}" for number in range(USERS - BAD)])
    play.tell.expect("the job", ("completed", USERS - BAD), (state["status"], state["succeeded"]))
    truth = await control.business_product(tenant, key["productId"], key["skuId"], "seats", "entry")
    play.tell.expect("seats at the Store", 0, len(truth["seats"]))
    play.tell.expect("  capacity restored", USERS, truth["entry"]["availableSeats"])

    async def told() -> bool:
        events.extend(await world.take_events())
        return len({event["id"] for event in events if event["type"] == SEAT_JOB_COMPLETED}) >= JOBS

    events: list[dict[str, Any]] = []
    await until("the ends of the seat jobs are told", told)
    ids = {event["id"] for event in events if event["type"] == SEAT_JOB_COMPLETED}
    play.tell.expect("events, one for each job", JOBS, len(ids))
    return f"{state['succeeded']} reclaimed, {truth['entry']['availableSeats']} seats free"


BUSINESS_STEPS = (
    Step("Three catalogues in step", "310 products of 3 tenants", first_sync),
    Step("Only what changed", f"{CHANGED} products asked for, {CHANGED} changed", second_sync),
    Step("A package and its license", "hash right", package),
    Step("A thousand seats", f"{USERS - BAD} assigned, {BAD} failed; at the Store: {USERS - BAD}", assign),
    Step("Seats reclaimed", f"{USERS - BAD} reclaimed, {USERS} seats free", reclaim),
)


async def _sync(play: Play, body: dict[str, object]) -> dict[str, Any]:
    """Run a pass to its end, telling how it goes."""
    started = await play.world.call("POST", "/catalog/syncs", play.operator, body)
    play.tell.expect("POST /catalog/syncs", 202, started.status_code)
    path = started.headers["Location"].removeprefix("/api")
    states: list[dict[str, Any]] = []

    async def ended() -> bool:
        state = await play.get(path)
        if not states or state["seen"] != states[-1]["seen"] or state["status"] != "running":
            done = f"{state['seen']} products listed, {state['changed']} fetched"
            play.tell.say(f"{state['status']}: {done}, {state['downloadedBytes'] // 1024} KiB downloaded")
        states.append(state)
        return bool(state["status"] != "running")

    await until("the pass ends", ended, seconds=120, pause=1)
    return states[-1]


async def _job(play: Play, tenant: str, action: str, users: list[str]) -> dict[str, Any]:
    """Run a seat job to its end."""
    key = play.seats_product
    query = f"tenantId={tenant}&productId={key['productId']}&skuId={key['skuId']}&action={action}"
    started = await play.world.send_csv(f"/seat-jobs?{query}", play.operator, "userName\n" + "\n".join(users))
    play.tell.expect(f"POST /seat-jobs ({action}, {len(users)} users, CSV)", 202, started.status_code)
    path = started.headers["Location"].removeprefix("/api")
    state: dict[str, Any] = {}

    async def ended() -> bool:
        state.update(await play.get(path))
        return bool(state["status"] not in {"queued", "running"})

    await until("the job ends", ended, seconds=60, pause=0.2)
    return state


async def _catalog(play: Play, tenant: str, **filters: str) -> dict[str, dict[str, Any]]:
    """All products of a tenant's catalogue, by ``productId/skuId``, page by page."""
    found: dict[str, dict[str, Any]] = {}
    token: str | None = None
    while True:
        more = {"continuationToken": token} if token else {}
        page = await play.get("/catalog/products", tenantId=tenant, pageSize="100", **filters, **more)
        found |= {_key(each): each for each in page["products"]}
        token = page.get("continuationToken")
        if not token:
            return found


def _key(product: dict[str, str]) -> str:
    return f"{product['productId']}/{product['skuId']}"
