"""The first and the last step of the guided run: who calls, and what of all this may be seen nowhere."""

import asyncio

from local.demo.play import Play
from local.demo.search import fragments, search
from local.demo.step import Step

TOKEN_LIFETIME_SECONDS = 305
"""Short enough that the app's refresh, five minutes before a token's expiry, falls into this run."""


async def callers(play: Play) -> str:
    """An operator and two players get bearer tokens of the issuers in CALLER_ISSUERS."""
    world = play.world
    await world.control.set_token_lifetime(world.settings["PUBLISHER_TENANT_ID"], TOKEN_LIFETIME_SECONDS)
    play.operator = await world.bearer("operator", "olivia")
    play.anna, play.ben = await world.bearer("player", "anna"), await world.bearer("player", "ben")
    ready = await world.call("GET", "/health/ready", play.operator)
    checks = ready.json().get("checks", [])
    healthy = sum(check["status"] == "ready" for check in checks)
    play.tell.expect("GET /health/ready as operator", 200, ready.status_code)
    play.tell.require("dependencies that answer", healthy == len(checks) > 0, f"{healthy} of {len(checks)}", "all")
    player = (await world.call("GET", "/health/ready", play.anna)).status_code
    play.tell.expect("GET /health/ready as player", 403, player)
    nobody = (await world.call("GET", "/users/me/store-ids")).status_code
    play.tell.expect("GET /users/me/store-ids without a token", 401, nobody)
    other = (await world.call("GET", "/users/ben/store-ids", play.anna)).status_code
    play.tell.expect("GET /users/ben/store-ids as anna", 404, other)
    return f"operator {ready.status_code}, player {player}, nobody {nobody}, another's keys {other}"


async def secrecy(play: Play) -> str:
    """Every secret that was in use is looked for in the logs and in the storage."""
    world = play.world
    await asyncio.sleep(0.2)  # whatever was to be logged of the last calls
    secrets = [(each["kind"], each["value"]) for each in await world.control.secrets_in_use()]
    secrets += [("bearer or creation token", token) for token in world.handed_out]
    places = await world.stored()
    places |= {f"log {log.name}": log.read_bytes() for log in sorted(world.servers.folder.glob("*.log"))}
    hits = search(fragments(secrets), places)
    size = sum(map(len, places.values())) // 1024
    play.tell.say(f"{len(secrets)} secrets in {len(places)} logs, tables and queues, {size} KiB")
    for kind, place in hits:
        play.tell.say(f"found: a {kind} in {place}")
    play.tell.expect("secrets found", 0, len(hits))
    known = search([("player", b"crowd-7")], places)
    play.tell.require("the search finds what is known to be there (a player's id)", bool(known), "yes", "yes")
    return f"{len(secrets)} secrets sought, {len(hits)} found"


CALLERS = Step("Callers prove who they are", "operator 200, player 403, nobody 401, another's keys 404", callers)
SECRECY = Step("Secrets in logs and storage", "0 found", secrecy)
