"""The steps of the guided run about players' keys. Each returns, for the summary, what it saw."""

import asyncio
from datetime import UTC, datetime, timedelta

from local.control import Kind
from local.demo.play import Play
from local.demo.step import Step
from local.demo.world import Bearer, until

EARLY_REFRESH = timedelta(minutes=5)

CREW = 6
CROWD = 24
RENEW = "/v6.0/b2b/keys/renew"


async def creation_tokens(play: Play) -> str:
    """Games need an Entra access token to make keys with; the service token is not for them."""
    world, since = play.world, await play.world.control.last_seen()
    for kind in ("collections", "purchase"):
        answer = await world.call("POST", f"/tokens/{kind}", play.anna)
        again = await world.call("POST", f"/tokens/{kind}", play.ben)
        play.tell.expect(f"POST /tokens/{kind}, twice", (200, 200), (answer.status_code, again.status_code))
        body = answer.json()
        play.tell.expect("  its audience", f"https://onestore.microsoft.com/b2b/keys/create/{kind}", body["audience"])
        play.tokens[kind] = body["accessToken"]
        world.handed_out.append(body["accessToken"])
    asked = len(await play.entra_calls(since))
    play.tell.expect("Entra's count of token requests for these four calls", 2, asked)
    refused = (await world.call("POST", "/tokens/service", play.operator)).status_code
    play.tell.expect("POST /tokens/service as operator", 404, refused)
    return f"two tokens, {asked} calls to Entra; service: {refused}"


async def hand_in(play: Play) -> str:
    """The games make keys at the Store with the access token and the player's X-token, and hand them in."""
    world, statuses = play.world, []
    players: list[tuple[str, Bearer, Kind]] = [
        ("anna", play.anna, "collections"),
        ("anna", play.anna, "purchase"),
        ("ben", play.ben, "collections"),
    ]
    for player, bearer, kind in players:
        key = await world.make_key(kind, player, play.tokens[kind])
        answer = await world.call("PUT", f"/users/me/store-ids/{kind}", bearer, {"key": key})
        statuses.append(answer.status_code)
        body = answer.json()
        play.tell.expect(f"PUT /users/me/store-ids/{kind} as {player}", (201, "active"), (statuses[-1], body["status"]))
        play.tell.require("  the answer repeats the key", key not in answer.text, "no", "no")
    wrong = await world.call("PUT", "/users/me/store-ids/purchase", play.ben, {"key": key})
    play.tell.expect("a collections key handed in as a purchase key", 422, wrong.status_code)
    return f"{statuses.count(201)} x 201; wrong kind {wrong.status_code}"


async def from_x_token(play: Play) -> str:
    """Where a game cannot make a key itself, the app makes it from the player's delegated X-token."""
    x_token = await play.world.control.x_token("ben", "purchase")
    path = "/users/me/store-ids/purchase/from-xtoken"
    answer = await play.world.call("POST", path, play.ben, {"xToken": x_token, "publisherUserId": "ben"})
    kinds = sorted(await play.world.store_ids(play.ben))
    play.tell.expect(f"POST {path} as ben", 201, answer.status_code)
    play.tell.expect("kinds kept for ben", ["collections", "purchase"], kinds)
    return f"{answer.status_code}, kept: {' and '.join(kinds)}"


async def old_keys(play: Play) -> str:
    """Keys that were issued 15 days ago come in: they are past the 14 days at which renewal is due."""
    keys = await play.world.control.store_ids("collections", CREW, issuedDaysAgo=15, publisherUserIdFormat="crew-{}")
    due = 0
    for number, key in enumerate(keys):
        answer = await play.put(f"crew-{number}", key)
        due += answer["renewAfter"] <= _now()
    play.tell.expect("keys kept whose renewAfter has passed", CREW, due)
    return f"{due} keys due"


async def renewal(play: Play) -> str:
    """The renewal timer is fired. What is due is renewed at the Store; what is fresh is left alone."""
    world, since = play.world, await play.world.control.last_seen()
    crew = [f"crew-{number}" for number in range(CREW)]
    old, fresh = await play.issued(crew), await play.issued(["anna", "ben"])
    await world.fire_timer("plan_renewals")

    async def all_renewed() -> bool:
        return not set((await play.issued(crew)).items()) & set(old.items())

    await until("all due keys are renewed", all_renewed)
    new = await play.issued(crew)
    play.tell.say(f"crew-0's key was issued on {old['crew-0/collections']}, now on {new['crew-0/collections']}")
    moved = sum(new[name] > old[name] for name in old)
    play.tell.expect("due keys whose issuedOn moved forward", CREW, moved)
    play.tell.expect("fresh keys that changed", 0, _changed(fresh, await play.issued(["anna", "ben"])))
    await world.fire_timer("plan_renewals")
    await asyncio.sleep(0.5)
    calls = await world.control.count(path=RENEW, since=since)
    play.tell.expect("renewals that the Store was asked for, two timer runs later", CREW, calls)
    return f"{moved} renewed by {calls} calls, {len(fresh)} fresh ones untouched"


async def revoked(play: Play) -> str:
    """The Store revokes a key. Its renewal is refused for good; only the game can make a new one, and is told."""
    world = play.world
    key = await world.control.store_id("collections", "rita", issuedDaysAgo=15)
    await play.put("rita", key)
    await world.control.revoke(key)
    await world.fire_timer("plan_renewals")
    await play.until_status("rita", "reissueNeeded")
    for _ in range(2):
        await world.fire_timer("plan_renewals")
        await asyncio.sleep(0.5)
    events = await world.take_events()
    about = [(event["type"], event["data"]["userId"]) for event in events]
    play.tell.expect("rita's key after the renewal", "reissueNeeded", await play.status("rita"))
    play.tell.expect(
        "events in the queue store-events, two more timer runs later",
        [("storekeeper.store-id.reissue-needed", "rita")],
        about,
    )
    return f"reissueNeeded, {len(events)} event"


async def crash(play: Play) -> str:
    """The app is killed (SIGKILL) while the Store is slow to answer its renewals, and started again."""
    world = play.world
    keys = await world.control.store_ids("collections", CROWD, issuedDaysAgo=15, publisherUserIdFormat="crowd-{}")
    crowd = [f"crowd-{number}" for number in range(CROWD)]
    await asyncio.gather(*(play.put(player, key) for player, key in zip(crowd, keys, strict=True)))
    play.crowd, play.before_crash = await play.issued(crowd), await world.control.last_seen()
    await world.control.disturb("collections", {"latencyMs": 3000}, path=RENEW, after=CROWD // 3)
    await world.fire_timer("plan_renewals")

    async def under_way() -> bool:
        return any(fault["applied"] >= CROWD // 4 for fault in await world.control.faults())

    await until("renewals are under way", under_way)
    code = await world.kill_app()
    answered = await world.control.count(path=RENEW, since=play.before_crash)
    await world.control.calm()
    play.tell.expect("the app's exit code", -9, code)
    play.tell.say(f"at that moment the Store had answered {answered} of {CROWD} renewals")
    with play.tell.timed("the app is started again"):
        await world.start_app()
    left = CROWD - _changed(play.crowd, await play.issued(crowd))
    play.tell.require("keys not yet renewed after the crash", left > 0, left, "some")
    return f"{left} of {CROWD} keys left"


async def rotation(play: Play) -> str:
    """The publisher's client secret is replaced in Entra and in the vault, the old one withdrawn. No restart."""
    world = play.world
    client_id = world.settings["PUBLISHER_CLIENT_ID"]
    before = (await world.call("POST", "/tokens/purchase", play.anna)).raise_for_status().json()
    await world.control.rotate_client_secret(client_id, storeInVault="publisher-client-secret", revokeOthers=True)
    await world.control.set_token_lifetime(world.settings["PUBLISHER_TENANT_ID"], 3600)
    refresh_on = datetime.fromisoformat(before["expiresOn"]) - EARLY_REFRESH
    pause = max(0.0, (refresh_on - datetime.now(UTC)).total_seconds()) + 0.5
    play.tell.say(f"waiting {pause:.1f} s for the cached token to come within five minutes of its expiry")
    await asyncio.sleep(pause)

    since = await world.control.last_seen()

    async def entra_has_answered_twice() -> bool:
        return len(await play.entra_calls(since)) >= 2

    # The first of these is still given the old token, which holds; the new one is fetched behind its back.
    answers = [await world.call("POST", "/tokens/purchase", play.anna)]
    await until("the app has asked Entra with the old secret and with the new one", entra_has_answered_twice)
    answers += [await world.call("POST", "/tokens/purchase", play.anna) for _ in range(4)]
    after = {answer.json()["accessToken"] for answer in answers[1:] if answer.status_code == 200}
    world.handed_out.extend(after)
    statuses = [answer.status_code for answer in answers]
    entra = [call["status"] for call in await play.entra_calls(since)]
    reads = await world.control.count(service="vault", path="/secrets/publisher-client-secret", since=since)
    play.tell.expect("POST /tokens/purchase, five times", [200] * 5, statuses)
    play.tell.require(
        "tokens among the last four answers",
        len(after) == 1 and before["accessToken"] not in after,
        f"{len(after)} new",
        "1 new",
    )
    play.tell.expect("Entra's answers: the old secret, then the new one", [401, 200], entra)
    play.tell.expect("vault reads of the secret", 1, reads)
    return f"5 x 200; Entra {' then '.join(map(str, entra))}; {reads} vault read"


async def recovery(play: Play) -> str:
    """What the crash cut off is done again, once the leases of the dead worker have run out (30 s)."""
    world, crowd = play.world, [f"crowd-{number}" for number in range(CROWD)]

    async def all_renewed() -> bool:
        await world.fire_timer("plan_renewals")
        await asyncio.sleep(0.5)
        return _changed(play.crowd, await play.issued(crowd)) == CROWD

    with play.tell.timed("the timer is fired again and again"):
        await until("all due keys are renewed", all_renewed, seconds=60, pause=1)
    asked = await world.control.count(path=RENEW, since=play.before_crash)
    play.tell.say(f"the Store was asked {asked} times in all: what had been cut off was asked for again")
    renewed = _changed(play.crowd, await play.issued(crowd))
    play.tell.expect("due keys that are renewed in the end", CROWD, renewed)
    play.tell.expect("their statuses", {"active"}, {await play.status(player) for player in crowd})
    return f"{renewed} of {CROWD} renewed"


async def retired_certificate(play: Play) -> str:
    """The Store changes its signing certificate and retires the old one: a due key of before cannot be renewed."""
    world = play.world
    key = await world.control.store_id("purchase", "carl", issuedDaysAgo=15)
    await play.put("carl", key, "purchase")
    await world.control.rotate_signing_certificate(retire_old=True)
    await world.fire_timer("plan_renewals")
    await play.until_status("carl", "reissueNeeded", "purchase")
    about: list[str] = []

    async def told() -> bool:
        about.extend(event["data"]["userId"] for event in await world.take_events())
        return bool(about)

    await until("the event is there", told)
    play.tell.expect("events", ["carl"], about)
    fresh = await world.control.store_id("purchase", "carl")
    again = await play.put("carl", fresh, "purchase")
    play.tell.expect("carl's key after his game handed in a new one", "active", again["status"])
    return f"{len(about)} event, then {again['status']} again"


KEY_STEPS = (
    Step("Tokens for games", "two tokens, 2 calls to Entra; service: 404", creation_tokens),
    Step("Games hand in their keys", "3 x 201; wrong kind 422", hand_in),
    Step("A key made by the app", "201, kept: collections and purchase", from_x_token),
    Step("Old keys come in", f"{CREW} keys due", old_keys),
    Step("The renewal timer", f"{CREW} renewed by {CREW} calls, 4 fresh ones untouched", renewal),
    Step("A revoked key", "reissueNeeded, 1 event", revoked),
    Step("A crash during renewals", f"some of {CROWD} keys left", crash),
    Step("A rotated client secret", "5 x 200; Entra 401 then 200; 1 vault read", rotation),
    Step("After the crash", f"{CROWD} of {CROWD} renewed", recovery),
    Step("A retired certificate", "1 event, then active again", retired_certificate),
)


def _changed(old: dict[str, str], new: dict[str, str]) -> int:
    return sum(new.get(name) != issued for name, issued in old.items())


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
