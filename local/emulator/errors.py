"""The errors with which the emulated services answer.

::

    ServiceError              any answer that is not success
    ├── StoreError            Collections, Purchase: code, data, details, innererror, message, source
    ├── RateLimitedError      Collections, Purchase: message, a sentence (rate_limit.py)
    ├── BusinessError         Store for Business: code, description, data
    ├── CdnError              the CDN: error
    ├── EntraError            Entra ID: error, error_description (AADSTSnnnnn), error_codes, trace ids
    ├── VaultError            Key Vault: error.code, error.message, error.innererror
    ├── IdentityError         App Service managed identity: statusCode, message
    └── ControlError          the control API: error, naming what was wrong

Handlers raise them; the server turns them into answers.
"""

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from aiohttp import web


class ServiceError(Exception, ABC):
    """An answer other than success: ``status``, ``headers`` and a JSON body."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"HTTP {status}: {message}")
        self.status = status
        self.message = message
        self.headers = dict(headers or {})

    @abstractmethod
    def body(self, request: web.Request) -> object:
        """Return the JSON body that answers ``request``."""


class StoreError(ServiceError):
    """An error of a Store service (store-services reference, section 0, "Error body").

    Only the inner codes listed there are documented; ``ExpiredToken``, ``InvalidToken`` and ``UnsupportedMediaType``
    are this emulator's own words where only the status and the text are known.
    """

    def __init__(self, status: int, source: str, inner_code: str, message: str, *, field: str | None = None) -> None:
        """``field`` is the request's field at fault; ``source`` is the front end, such as ``CollectionsFD``."""
        super().__init__(status, message)
        self.source = source
        self.inner_code = inner_code
        self.field = field

    def body(self, request: web.Request) -> object:
        """Return the body in the shape of the fixtures ``error-*``."""
        return store_error_body(self.status, self.source, self.inner_code, self.message, field=self.field)


def store_error_body(
    status: int, source: str, inner_code: str, message: str, *, field: str | None = None
) -> dict[str, object]:
    """Return a Store error body in the shape of the fixtures ``error-*``."""
    data: list[str] = []
    details: list[dict[str, str]] = []
    # The two documented errors that name a field do it in different places.
    if field is not None and inner_code == "InvalidParameter":
        details.append({"code": inner_code, "message": message, "target": field})
    elif field is not None:
        data.append(field)
    inner = {"code": inner_code, "data": data, "details": details, "message": message, "source": source}
    # 403 says "Unauthorized" too (reference, section 0); other codes mirror the HTTP status name.
    code = "Unauthorized" if status in {401, 403} else status_name(status)
    return {"code": code, "data": [], "details": [], "innererror": inner, "message": message, "source": source}


def status_name(status: int) -> str:
    """Return the HTTP status name without spaces, such as ``InternalServerError``."""
    try:
        return HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")
    except ValueError:
        return f"Status{status}"


class BusinessError(ServiceError):
    """An error of Store for Business: ``code`` (the status), ``description`` and ``data``.

    The body is not documented; the names are those of the tables of errors (Store for Business reference,
    "Operations"): ``parameterName``, ``reason`` and ``details`` of a 400, ``itemType`` and ``values`` of a 404,
    ``reason`` of a 409.
    """

    def __init__(self, status: int, headers: Mapping[str, str] | None = None, **data: str | Sequence[str]) -> None:
        super().__init__(status, business_description(status), headers)
        self.data = data

    def body(self, request: web.Request) -> object:
        """Return the body."""
        return {"code": self.status, "description": self.message, "data": self.data}


def business_description(status: int) -> str:
    """Return what the tables of errors call a status."""
    return {400: "Invalid parameters", 404: "Not found", 409: "Conflict"}.get(status) or status_name(status)


class CdnError(ServiceError):
    """An error of the CDN; nobody reads its body."""

    def body(self, request: web.Request) -> object:
        """Return a sentence."""
        return {"error": self.message}


# AADSTS code: HTTP status and OAuth error. Source: store-services reference, section 1; Microsoft Entra error codes.
_ENTRA_ERRORS: dict[int, tuple[int, str]] = {
    70003: (400, "unsupported_grant_type"),
    70011: (400, "invalid_scope"),
    70021: (400, "invalid_request"),
    90002: (400, "invalid_request"),
    500011: (400, "invalid_resource"),
    700016: (400, "unauthorized_client"),
    700027: (401, "invalid_client"),
    900144: (400, "invalid_request"),
    7000215: (401, "invalid_client"),
    7000218: (401, "invalid_client"),
    7000222: (401, "invalid_client"),
}


class EntraError(ServiceError):
    """An error of Entra, by its AADSTS number, which decides status and OAuth error."""

    def __init__(self, code: int, message: str) -> None:
        status, self.error = _ENTRA_ERRORS[code]
        super().__init__(status, message)
        self.code = code

    def body(self, request: web.Request) -> object:
        """Return the body with the correlation id of the request, fresh trace ids and the error's address."""
        correlation_id = request.headers.get("client-request-id") or str(uuid.uuid4())
        body = entra_error_body(self.error, self.code, self.message, correlation_id)
        if self.error == "invalid_client":
            body["error_uri"] = f"{request.url.origin()}/error?code={self.code}"
        return body


def entra_error_body(error: str, code: int, message: str, correlation_id: str) -> dict[str, object]:
    """Return Entra's error body (fixtures ``entra-token-error-*``)."""
    trace_id = str(uuid.uuid4())
    timestamp = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    ids = f"Trace ID: {trace_id} Correlation ID: {correlation_id} Timestamp: {timestamp}"
    return {
        "error": error,
        "error_description": f"AADSTS{code}: {message} {ids}",
        "error_codes": [code],
        "timestamp": timestamp,
        "trace_id": trace_id,
        "correlation_id": correlation_id,
    }


class VaultError(ServiceError):
    """An error of Key Vault: ``{"error": {"code", "message", "innererror"?: {"code"}}}``."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        inner_code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.code = code
        self.inner_code = inner_code

    def body(self, request: web.Request) -> object:
        """Return Key Vault's error body."""
        return vault_error_body(self.code, self.message, self.inner_code)


def vault_error_body(code: str, message: str, inner_code: str | None = None) -> dict[str, object]:
    """Return Key Vault's error body."""
    error: dict[str, object] = {"code": code, "message": message}
    if inner_code is not None:
        error["innererror"] = {"code": inner_code}
    return {"error": error}


class IdentityError(ServiceError):
    """An error of App Service's identity endpoint: ``{"statusCode", "message"}``."""

    def body(self, request: web.Request) -> object:
        """Return the endpoint's error body."""
        return {"statusCode": self.status, "message": self.message}


class ControlError(ServiceError):
    """An error of the control API: ``{"error"}``, a sentence that names what was wrong."""

    def body(self, request: web.Request) -> object:
        """Return the sentence."""
        return {"error": self.message}
