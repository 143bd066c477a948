"""The steps of the guided run, in their order. Each returns, for the summary, what it saw."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from local.control import Kind
from local.demo.narrator import Narrator
from local.demo.search import fragments, search
from local.demo.world import Bearer, World, until

TOKEN_LIFETIME_SECONDS = 305
"""Short enough that the app's refresh, five minutes before a token's expiry, falls into this run."""
EARLY_REFRESH = timedelta(minutes=5)

CREW = 6
CROWD = 24
RENEW = "/v6.0/b2b/keys/renew"


class Play:
    """The steps, and what one hands to the next."""

    def __init__(self, world: World, narrator: Narrator) -> None:
        self.world = world
        self.tell = narrator
        self.operator: Bearer = {}
        self.anna: Bearer = {}
        self.ben: Bearer = {}
        self.tokens: dict[str, str] = {}

    async def callers(self) -> str:
        """An operator and two players get bearer tokens of the issuers in CALLER_ISSUERS."""
        world = self.world
        await world.control.set_token_lifetime(world.settings["PUBLISHER_TENANT_ID"], TOKEN_LIFETIME_SECONDS)
        self.operator = await world.bearer("operator", "olivia")
        self.anna, self.ben = await world.bearer("player", "anna"), await world.bearer("player", "ben")
        ready = await world.call("GET", "/health/ready", self.operator)
        checks = ready.json().get("checks", [])
        healthy = sum(check["status"] == "ready" for check in checks)
        self.tell.expect("GET /health/ready as operator", 200, ready.status_code)
        self.tell.require("dependencies that answer", healthy == len(checks) > 0, f"{healthy} of {len(checks)}", "all")
        player = (await world.call("GET", "/health/ready", self.anna)).status_code
        self.tell.expect("GET /health/ready as player", 403, player)
        nobody = (await world.call("GET", "/users/me/store-ids")).status_code
        self.tell.expect("GET /users/me/store-ids without a token", 401, nobody)
        other = (await world.call("GET", "/users/ben/store-ids", self.anna)).status_code
        self.tell.expect("GET /users/ben/store-ids as anna", 404, other)
        return f"operator {ready.status_code}, player {player}, nobody {nobody}, another's keys {other}"

    async def creation_tokens(self) -> str:
        """Games need an Entra access token to make keys with; the service token is not for them."""
        world, since = self.world, await self.world.control.last_seen()
        for kind in ("collections", "purchase"):
            answer = await world.call("POST", f"/tokens/{kind}", self.anna)
            again = await world.call("POST", f"/tokens/{kind}", self.ben)
            self.tell.expect(f"POST /tokens/{kind}, twice", (200, 200), (answer.status_code, again.status_code))
            body = answer.json()
            self.tell.expect(
                "  its audience", f"https://onestore.microsoft.com/b2b/keys/create/{kind}", body["audience"]
            )
            self.tokens[kind] = body["accessToken"]
            world.handed_out.append(body["accessToken"])
        asked = len(await self._entra_calls(since))
        self.tell.expect("Entra's count of token requests for these four calls", 2, asked)
        refused = (await world.call("POST", "/tokens/service", self.operator)).status_code
        self.tell.expect("POST /tokens/service as operator", 404, refused)
        return f"two tokens, {asked} calls to Entra; service: {refused}"

    async def hand_in(self) -> str:
        """The games make keys at the Store with the access token and the player's X-token, and hand them in."""
        world, statuses = self.world, []
        players: list[tuple[str, Bearer, Kind]] = [
            ("anna", self.anna, "collections"),
            ("anna", self.anna, "purchase"),
            ("ben", self.ben, "collections"),
        ]
        for player, bearer, kind in players:
            key = await world.make_key(kind, player, self.tokens[kind])
            answer = await world.call("PUT", f"/users/me/store-ids/{kind}", bearer, {"key": key})
            statuses.append(answer.status_code)
            body = answer.json()
            self.tell.expect(
                f"PUT /users/me/store-ids/{kind} as {player}", (201, "active"), (statuses[-1], body["status"])
            )
            self.tell.require("  the answer repeats the key", key not in answer.text, "no", "no")
        wrong = await world.call("PUT", "/users/me/store-ids/purchase", self.ben, {"key": key})
        self.tell.expect("a collections key handed in as a purchase key", 422, wrong.status_code)
        return f"{statuses.count(201)} x 201; wrong kind {wrong.status_code}"

    async def from_x_token(self) -> str:
        """Where a game cannot make a key itself, the app makes it from the player's delegated X-token."""
        x_token = await self.world.control.x_token("ben", "purchase")
        path = "/users/me/store-ids/purchase/from-xtoken"
        answer = await self.world.call("POST", path, self.ben, {"xToken": x_token, "publisherUserId": "ben"})
        kinds = sorted(await self.world.store_ids(self.ben))
        self.tell.expect(f"POST {path} as ben", 201, answer.status_code)
        self.tell.expect("kinds kept for ben", ["collections", "purchase"], kinds)
        return f"{answer.status_code}, kept: {' and '.join(kinds)}"

    async def old_keys(self) -> str:
        """Keys that were issued 15 days ago come in: they are past the 14 days at which renewal is due."""
        keys = await self.world.control.store_ids(
            "collections", CREW, issuedDaysAgo=15, publisherUserIdFormat="crew-{}"
        )
        due = 0
        for number, key in enumerate(keys):
            answer = await self._put(f"crew-{number}", key)
            due += answer["renewAfter"] <= _now()
        self.tell.expect("keys kept whose renewAfter has passed", CREW, due)
        return f"{due} keys due"

    async def renewal(self) -> str:
        """The renewal timer is fired. What is due is renewed at the Store; what is fresh is left alone."""
        world, since = self.world, await self.world.control.last_seen()
        crew = [f"crew-{number}" for number in range(CREW)]
        old, fresh = await self._issued(crew), await self._issued(["anna", "ben"])
        await world.fire_renewal_timer()

        async def all_renewed() -> bool:
            return not set((await self._issued(crew)).items()) & set(old.items())

        await until("all due keys are renewed", all_renewed)
        new = await self._issued(crew)
        self.tell.say(f"crew-0's key was issued on {old['crew-0/collections']}, now on {new['crew-0/collections']}")
        moved = sum(new[name] > old[name] for name in old)
        self.tell.expect("due keys whose issuedOn moved forward", CREW, moved)
        self.tell.expect("fresh keys that changed", 0, _changed(fresh, await self._issued(["anna", "ben"])))
        await world.fire_renewal_timer()
        await asyncio.sleep(0.5)
        calls = await world.control.count(path=RENEW, since=since)
        self.tell.expect("renewals that the Store was asked for, two timer runs later", CREW, calls)
        return f"{moved} renewed by {calls} calls, {len(fresh)} fresh ones untouched"

    async def revoked(self) -> str:
        """The Store revokes a key. Its renewal is refused for good; only the game can make a new one, and is told."""
        world = self.world
        key = await world.control.store_id("collections", "rita", issuedDaysAgo=15)
        await self._put("rita", key)
        await world.control.revoke(key)
        await world.fire_renewal_timer()
        await self._until_status("rita", "reissueNeeded")
        for _ in range(2):
            await world.fire_renewal_timer()
            await asyncio.sleep(0.5)
        events = await world.take_events()
        about = [(event["type"], event["data"]["userId"]) for event in events]
        self.tell.expect("rita's key after the renewal", "reissueNeeded", await self._status("rita"))
        self.tell.expect(
            "events in the queue store-events, two more timer runs later",
            [("storekeeper.store-id.reissue-needed", "rita")],
            about,
        )
        return f"reissueNeeded, {len(events)} event"

    async def rotation(self) -> str:
        """The publisher's client secret is replaced in Entra and in the vault, the old one withdrawn. No restart."""
        world = self.world
        client_id = world.settings["PUBLISHER_CLIENT_ID"]
        before = (await world.call("POST", "/tokens/purchase", self.anna)).raise_for_status().json()
        await world.control.rotate_client_secret(client_id, storeInVault="publisher-client-secret", revokeOthers=True)
        await world.control.set_token_lifetime(world.settings["PUBLISHER_TENANT_ID"], 3600)
        refresh_on = datetime.fromisoformat(before["expiresOn"]) - EARLY_REFRESH
        pause = max(0.0, (refresh_on - datetime.now(UTC)).total_seconds()) + 0.5
        self.tell.say(f"waiting {pause:.1f} s for the cached token to come within five minutes of its expiry")
        await asyncio.sleep(pause)

        since = await world.control.last_seen()
        answers = [await world.call("POST", "/tokens/purchase", self.anna) for _ in range(5)]
        after = {answer.json()["accessToken"] for answer in answers if answer.status_code == 200}
        world.handed_out.extend(after)
        statuses = [answer.status_code for answer in answers]
        entra = [call["status"] for call in await self._entra_calls(since)]
        reads = await world.control.count(service="vault", path="/secrets/publisher-client-secret", since=since)
        self.tell.expect("POST /tokens/purchase, five times", [200] * 5, statuses)
        self.tell.require(
            "tokens among the answers",
            len(after) == 1 and before["accessToken"] not in after,
            f"{len(after)} new",
            "1 new",
        )
        self.tell.expect("Entra's answers: the old secret, then the new one", [401, 200], entra)
        self.tell.expect("vault reads of the secret", 1, reads)
        return f"5 x 200; Entra {' then '.join(map(str, entra))}; {reads} vault read"

    async def crash(self) -> str:
        """The app is killed (SIGKILL) while the Store is slow to answer its renewals, and started again."""
        world = self.world
        keys = await world.control.store_ids("collections", CROWD, issuedDaysAgo=15, publisherUserIdFormat="crowd-{}")
        crowd = [f"crowd-{number}" for number in range(CROWD)]
        await asyncio.gather(*(self._put(player, key) for player, key in zip(crowd, keys, strict=True)))
        old, since = await self._issued(crowd), await world.control.last_seen()
        await world.control.disturb("collections", {"latencyMs": 3000}, path=RENEW, after=CROWD // 3)
        await world.fire_renewal_timer()

        async def under_way() -> bool:
            return any(fault["applied"] >= CROWD // 4 for fault in await world.control.faults())

        await until("renewals are under way", under_way)
        code = await world.kill_app()
        answered = await world.control.count(path=RENEW, since=since)
        await world.control.calm()
        self.tell.expect("the app's exit code", -9, code)
        self.tell.say(f"at that moment the Store had answered {answered} of {CROWD} renewals")
        with self.tell.timed("the app is started again"):
            await world.start_app()
        left = CROWD - _changed(old, await self._issued(crowd))
        self.tell.require("keys not yet renewed after the crash", left > 0, left, "some")

        async def all_renewed() -> bool:
            await world.fire_renewal_timer()
            await asyncio.sleep(0.5)
            return _changed(old, await self._issued(crowd)) == CROWD

        with self.tell.timed(
            "the leases of the dead worker run out (30 s after they were taken), the timer finds the rest"
        ):
            await until("all due keys are renewed", all_renewed, seconds=60, pause=1)
        renewed = _changed(old, await self._issued(crowd))
        self.tell.expect("due keys that are renewed in the end", CROWD, renewed)
        asked = await world.control.count(path=RENEW, since=since)
        self.tell.say(f"for that the Store was asked {asked} times: what the crash cut off was asked for again")
        self.tell.expect("their statuses", {"active"}, {await self._status(player) for player in crowd})
        return f"{left} of {CROWD} left by the crash, {renewed} of {CROWD} renewed in the end"

    async def retired_certificate(self) -> str:
        """The Store changes its signing certificate and retires the old one: a due key of before cannot be renewed."""
        world = self.world
        key = await world.control.store_id("purchase", "carl", issuedDaysAgo=15)
        await self._put("carl", key, "purchase")
        await world.control.rotate_signing_certificate(retire_old=True)
        await world.fire_renewal_timer()
        await self._until_status("carl", "reissueNeeded", "purchase")
        about = [event["data"]["userId"] for event in await world.take_events()]
        self.tell.expect("events", ["carl"], about)
        fresh = await world.control.store_id("purchase", "carl")
        again = await self._put("carl", fresh, "purchase")
        self.tell.expect("carl's key after his game handed in a new one", "active", again["status"])
        return f"{len(about)} event, then {again['status']} again"

    async def secrecy(self) -> str:
        """Every secret that was in use is looked for in the logs and in the storage."""
        world = self.world
        await asyncio.sleep(0.2)  # whatever was to be logged of the last calls
        secrets = [(each["kind"], each["value"]) for each in await world.control.secrets_in_use()]
        secrets += [("bearer or creation token", token) for token in world.handed_out]
        places = await world.stored()
        places |= {f"log {log.name}": log.read_bytes() for log in sorted(world.servers.folder.glob("*.log"))}
        hits = search(fragments(secrets), places)
        size = sum(map(len, places.values())) // 1024
        self.tell.say(f"{len(secrets)} secrets in {len(places)} logs, tables and queues, {size} KiB")
        for kind, place in hits:
            self.tell.say(f"found: a {kind} in {place}")
        self.tell.expect("secrets found", 0, len(hits))
        known = search([("player", b"crowd-7")], places)
        self.tell.require("the search finds what is known to be there (a player's id)", bool(known), "yes", "yes")
        return f"{len(secrets)} secrets sought, {len(hits)} found"

    # What steps share

    async def _put(self, user: str, key: str, kind: str = "collections") -> dict[str, str]:
        answer = await self.world.call("PUT", f"/users/{user}/store-ids/{kind}", self.operator, {"key": key})
        body: dict[str, str] = answer.raise_for_status().json()
        return body

    async def _issued(self, players: list[str]) -> dict[str, str]:
        kept = await asyncio.gather(*(self.world.store_ids(self.operator, player) for player in players))
        return {
            f"{player}/{kind}": key["issuedOn"]
            for player, keys in zip(players, kept, strict=True)
            for kind, key in keys.items()
        }

    async def _status(self, player: str, kind: str = "collections") -> str:
        return (await self.world.store_ids(self.operator, player))[kind]["status"]

    async def _until_status(self, player: str, status: str, kind: str = "collections") -> None:
        async def holds() -> bool:
            return await self._status(player, kind) == status

        await until(f"{player}'s {kind} key is {status}", holds)

    async def _entra_calls(self, since: int) -> list[dict[str, object]]:
        calls = await self.world.control.requests(service="entra", method="POST", since=since)
        return [call for call in calls if call["clientId"] == self.world.settings["PUBLISHER_CLIENT_ID"]]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it is called, what it should come to, and how it is played."""

    title: str
    expected: str
    act: Callable[[Play], Awaitable[str]]


STEPS = (
    Step("Callers prove who they are", "operator 200, player 403, nobody 401, another's keys 404", Play.callers),
    Step("Tokens for games", "two tokens, 2 calls to Entra; service: 404", Play.creation_tokens),
    Step("Games hand in their keys", "3 x 201; wrong kind 422", Play.hand_in),
    Step("A key made by the app", "201, kept: collections and purchase", Play.from_x_token),
    Step("Old keys come in", f"{CREW} keys due", Play.old_keys),
    Step("The renewal timer", f"{CREW} renewed by {CREW} calls, 4 fresh ones untouched", Play.renewal),
    Step("A revoked key", "reissueNeeded, 1 event", Play.revoked),
    Step("A rotated client secret", "5 x 200; Entra 401 then 200; 1 vault read", Play.rotation),
    Step("A crash during renewals", f"some of {CROWD} left, {CROWD} of {CROWD} renewed in the end", Play.crash),
    Step("A retired certificate", "1 event, then active again", Play.retired_certificate),
    Step("Secrets in logs and storage", "0 found", Play.secrecy),
)


def _changed(old: dict[str, str], new: dict[str, str]) -> int:
    return sum(new.get(name) != issued for name, issued in old.items())


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
