"""What goes back to a caller."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from azure.functions import HttpResponse

from shared.auth.tokens import CreationToken

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a body (None: empty; bytes: as they are, of ``content_type``) and headers."""

    status: int
    body: msgspec.Struct | dict[str, Any] | bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON


def _reveal(value: object) -> str:
    """The one secret that an answer may hold. Of any other the encoder makes an error, never text."""
    if type(value) is CreationToken:
        return value.reveal()
    raise NotImplementedError(f"{type(value).__name__} must not be put into an answer")


_encoder = msgspec.json.Encoder(enc_hook=_reveal)


def to_response(answer: Answer, headers: Mapping[str, str]) -> HttpResponse:
    """The answer as Azure Functions sends it; ``headers`` are added to its own."""
    body = answer.body or b"" if isinstance(answer.body, bytes | None) else _encoder.encode(answer.body)
    mimetype = answer.content_type if answer.body is not None else None
    return HttpResponse(body, status_code=answer.status, headers={**answer.headers, **headers}, mimetype=mimetype)
