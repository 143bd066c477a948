"""Queue triggers and outputs; each function tells what it saw in the queue ``seen``."""

import asyncio
import json
import logging
from typing import List  # noqa: UP035 - the worker library does not know list[str]

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
log = logging.getLogger("sample")
running = 0
most = 0


@app.queue_trigger("message", "%IN_QUEUE%", "AzureWebJobsStorage")
@app.queue_output("seen", "seen", "AzureWebJobsStorage")
async def work(message: func.QueueMessage, seen: func.Out[str]) -> None:
    text = message.get_body().decode()
    log.info("works")
    if text == "fail":
        raise RuntimeError("as told")
    if text == "fail once" and message.dequeue_count == 1:
        raise RuntimeError("as told")
    if text.startswith("sleep "):
        await asyncio.sleep(float(text.removeprefix("sleep ")))
    told = {
        "text": text,
        "id": message.id,
        "count": message.dequeue_count,
        "receipt": bool(message.pop_receipt),
        "inserted": message.insertion_time.isoformat() if message.insertion_time else None,
        "expires": message.expiration_time.isoformat() if message.expiration_time else None,
        "next": message.time_next_visible.isoformat() if message.time_next_visible else None,
    }
    seen.set(json.dumps(told))


@app.queue_trigger("message", "crowd", "AzureWebJobsStorage")
@app.queue_output("$return", "crowded", "AzureWebJobsStorage")
async def crowd(message: func.QueueMessage) -> str:
    """Returns how many of it ran at most."""
    global running, most  # noqa: PLW0603 - what is measured
    running += 1
    most = max(most, running)
    await asyncio.sleep(0.2)
    running -= 1
    return str(most)


@app.route(route="out/{kind}", methods=["POST"])
@app.queue_output("text", "out", "AzureWebJobsStorage")
@app.queue_output("many", "out", "AzureWebJobsStorage")
@app.queue_output("message", "out", "AzureWebJobsStorage")
@app.queue_output("raw", "out", "AzureWebJobsStorage")
async def out(
    req: func.HttpRequest,
    text: func.Out[str],
    many: func.Out[List[str]],  # noqa: UP006 - see above
    message: func.Out[func.QueueMessage],
    raw: func.Out[bytes],
) -> func.HttpResponse:
    match req.route_params["kind"]:
        case "text":
            text.set('["one", "message"]')
        case "many":
            many.set(["first", '{"a": 1}'])
        case "message":
            message.set(func.QueueMessage(body="a message"))
        case "raw":
            raw.set(b"some bytes")
    return func.HttpResponse(status_code=204)
