"""For the faults: work that takes as long as its message says. Messages are base64, the default."""

import asyncio
import logging
import time

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
log = logging.getLogger("sample")


@app.queue_trigger("message", "%IN_QUEUE%", "")
@app.queue_output("done", "%OUT_QUEUE%", "")
async def work(message: func.QueueMessage, done: func.Out[str]) -> None:
    log.info("begins, received %s times", message.dequeue_count)
    await asyncio.sleep(float(message.get_body().decode()))
    done.set(f"received {message.dequeue_count} times")


@app.route(route="hello", methods=["GET"])
async def hello(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("Hello")


@app.route(route="blocked", methods=["GET"])
def blocked(req: func.HttpRequest) -> func.HttpResponse:
    log.info("blocks")
    time.sleep(60)
    return func.HttpResponse("late")
