"""The smallest app there is: one function that says hello."""

from azure.functions import AuthLevel, FunctionApp, HttpRequest, HttpResponse

app = FunctionApp(http_auth_level=AuthLevel.ANONYMOUS)


@app.route(route="hello", methods=["POST"])
async def hello(req: HttpRequest) -> HttpResponse:
    """Say hello."""
    return HttpResponse("hello")
