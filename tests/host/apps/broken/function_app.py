"""Cannot be imported."""

import azure.functions as func
import there_is_no_such_module  # type: ignore[import-not-found]

app = func.FunctionApp()
there_is_no_such_module.register(app)
