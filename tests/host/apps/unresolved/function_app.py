"""A schedule in a setting that does not exist."""

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.timer_trigger("timer", "%NO_SUCH_SCHEDULE%")
async def tick(timer: func.TimerRequest) -> None: ...
