"""A trigger that the local host does not have."""

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.blob_trigger("blob", "container/{name}", "AzureWebJobsStorage")
async def changed(blob: func.InputStream) -> None: ...
