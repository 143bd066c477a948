"""A parameter that no binding has."""

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="one")
async def one(req: func.HttpRequest, extra: str) -> func.HttpResponse:
    return func.HttpResponse(extra)
