"""Timers; what they did is told over HTTP."""

import asyncio
import json
from datetime import UTC, datetime

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
ticks: list[str] = []
told: dict[str, int] = {"startup": 0, "never": 0, "overlaps": 0, "long": 0, "off": 0}
long_runs = 0


@app.timer_trigger("timer", "%TICK_SCHEDULE%")
async def tick(timer: func.TimerRequest) -> None:
    ticks.append(f"{datetime.now(UTC).isoformat()} {timer.past_due}")


@app.timer_trigger("timer", "00:00:00.300")
async def overrun(timer: func.TimerRequest) -> None:
    global long_runs  # noqa: PLW0603 - what is measured
    long_runs += 1
    told["overlaps"] += long_runs > 1
    told["long"] += 1
    await asyncio.sleep(0.7)
    long_runs -= 1


@app.timer_trigger("timer", "0 0 0 1 1 *", run_on_startup=True)
async def startup(timer: func.TimerRequest) -> None:
    told["startup"] += 1


@app.timer_trigger("timer", "0 0 0 1 1 *")
async def never(timer: func.TimerRequest) -> None:
    told["never"] += 1
    if told["never"] > 1:
        raise RuntimeError("only once")


@app.timer_trigger("timer", "* * * * * *")
async def off(timer: func.TimerRequest) -> None:
    told["off"] += 1


@app.route(route="told", methods=["GET"])
async def tell(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps({"ticks": ticks, **told}), mimetype="application/json")
