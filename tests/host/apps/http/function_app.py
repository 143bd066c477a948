"""What the HTTP front must carry to a function and back."""

import asyncio
import json
import logging
import time
from urllib.parse import parse_qs, urlsplit

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
log = logging.getLogger("sample")


def _json(content: object, status: int = 200) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(content), status_code=status, mimetype="application/json")


@app.route(route="hello", methods=["GET"])
async def hello(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("Hello, world")


@app.route(route="things/{thing}/parts/{part?}", methods=["GET"])
async def parts(req: func.HttpRequest) -> func.HttpResponse:
    return _json(dict(req.route_params))


@app.route(route="things/{thing}", methods=["GET", "DELETE", "HEAD"])
async def thing(req: func.HttpRequest) -> func.HttpResponse:
    return _json({"method": req.method, **req.route_params})


@app.route(route="things/special", methods=["GET"])
async def special(req: func.HttpRequest) -> func.HttpResponse:
    return _json("special")


@app.route(route="files/{*path}", methods=["GET"])
async def files(req: func.HttpRequest) -> func.HttpResponse:
    return _json(dict(req.route_params))


@app.route(route="echo", methods=["POST"])
async def echo(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    seen = {
        "url": req.url,
        "ids": parse_qs(urlsplit(req.url).query).get("id", []),
        "params": dict(req.params),
        "headers": dict(req.headers),
        "length": len(req.get_body()),
        "name": context.function_name,
        "trace": context.trace_context.trace_parent,
    }
    return _json(seen)


@app.route(route="bytes", methods=["POST"])
def raw(req: func.HttpRequest) -> func.HttpResponse:
    """A sync function: runs in a thread."""
    return func.HttpResponse(req.get_body()[::-1], mimetype="application/octet-stream")


@app.route(route="answer/{status:int}", methods=["GET"])
async def answer(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse(
        "grün",
        status_code=int(req.route_params["status"]),
        headers={"X-One": "1"},
        mimetype="text/html",
        charset="latin-1",
    )
    response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly")
    response.headers.add("Set-Cookie", "b=2; Secure")
    return response


@app.route(route="text")
async def text(req: func.HttpRequest) -> str:
    return "plain"


@app.route(route="fails", methods=["GET"])
async def fails(req: func.HttpRequest) -> func.HttpResponse:
    log.info("about to fail")
    raise RuntimeError("as told")


@app.route(route="never", methods=["GET"])
async def never(req: func.HttpRequest) -> func.HttpResponse:
    await asyncio.sleep(60)
    return func.HttpResponse("late")


@app.route(route="slow", methods=["GET"])
async def slow(req: func.HttpRequest) -> func.HttpResponse:
    log.info("slow begins")
    await asyncio.sleep(0.6)
    return func.HttpResponse("done")


@app.route(route="thread", methods=["GET"])
def thread(req: func.HttpRequest) -> func.HttpResponse:
    log.info("in a thread")
    time.sleep(0.01)
    return func.HttpResponse("done")


@app.route(route="leaves", methods=["GET"])
async def leaves(req: func.HttpRequest) -> func.HttpResponse:
    raise SystemExit(3)


@app.route(route="cancels", methods=["GET"])
async def cancels(req: func.HttpRequest) -> func.HttpResponse:
    raise asyncio.CancelledError
