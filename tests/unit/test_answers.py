"""What goes back to a caller, and what never may."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from functions.http.answers import Answer, to_response
from functions.http.problems import PROBLEM_JSON, to_answer, unforeseen
from functions.tokens import Token
from shared import errors
from shared.auth.tokens import CreationToken, ServiceToken
from shared.correlation import HEADER
from shared.secret import Secret
from shared.store.user_store_id import UserStoreIdKey

EXPIRY = datetime(2026, 11, 21, 15, 0, tzinfo=UTC)


class Holder(msgspec.Struct):
    value: Any


def test_a_creation_token_is_handed_out() -> None:
    body = Token("collections", "https://audience", CreationToken("the-token", EXPIRY), EXPIRY)

    response = to_response(Answer(200, body, {"Cache-Control": "no-store"}), {HEADER: "c-1"})

    assert json.loads(response.get_body()) == {
        "kind": "collections",
        "audience": "https://audience",
        "accessToken": "the-token",
        "expiresOn": "2026-11-21T15:00:00Z",
    }
    assert (response.status_code, response.mimetype) == (200, "application/json")
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers[HEADER] == "c-1"


class Sly(CreationToken):
    """Not a creation token, however much it looks like one."""


@pytest.mark.parametrize(
    "secret",
    [Secret("s3cr3t"), UserStoreIdKey("s3cr3t"), ServiceToken("s3cr3t", EXPIRY), Sly("s3cr3t", EXPIRY)],
    ids=lambda secret: type(secret).__name__,
)
@pytest.mark.parametrize("wrap", [lambda secret: {"a": [secret]}, Holder], ids=["dict", "struct"])
def test_no_other_secret_can_be_put_into_an_answer(secret: Secret, wrap: Any) -> None:
    with pytest.raises(NotImplementedError) as refusal:
        to_response(Answer(200, wrap(secret)), {})

    assert "s3cr3t" not in str(refusal.value)


def test_an_empty_answer_has_no_body() -> None:
    response = to_response(Answer(204), {HEADER: "c-1"})

    assert (response.status_code, response.get_body()) == (204, b"")


def every_error() -> list[errors.StorekeeperError]:
    fault = (errors.InputFault("/key", "is wrong"),)
    kinds = [kind for kind in errors.StorekeeperError.__subclasses__() if kind is not errors.UnavailableError]
    return [*(kind("What was wrong", faults=fault) for kind in kinds), errors.UnavailableError("vault", "is away")]


@pytest.mark.parametrize("error", every_error(), ids=lambda error: type(error).__name__)
def test_every_error_is_told_as_a_problem_document(error: errors.StorekeeperError) -> None:
    response = to_response(to_answer(error, "c-1"), {HEADER: "c-1"})
    problem = json.loads(response.get_body())

    assert response.mimetype == PROBLEM_JSON
    assert response.status_code == problem["status"] == error.status
    assert problem["type"] == f"urn:storekeeper:problem:{type(error).__name__.removesuffix('Error')}"
    assert problem["title"]
    assert problem["detail"] == error.detail
    assert problem["correlationId"] == "c-1"
    expected = [{"pointer": fault.pointer, "detail": fault.detail} for fault in error.faults]
    assert problem.get("errors", []) == expected


def test_every_status_of_the_errors_is_one_of_its_own() -> None:
    statuses = [kind.status for kind in errors.StorekeeperError.__subclasses__()]

    assert sorted(statuses) == sorted(set(statuses))


@pytest.mark.parametrize(("seconds", "header"), [(0, "1"), (0.2, "1"), (1.0, "1"), (1.1, "2"), (37, "37")])
def test_an_outage_says_when_to_come_again(seconds: float, header: str) -> None:
    error = errors.UnavailableError("vault", "is away", retry_after=seconds)

    assert to_answer(error, "c").headers["Retry-After"] == header


def test_who_is_not_known_is_told_how_to_be() -> None:
    assert to_answer(errors.UnauthenticatedError("no"), "c").headers["WWW-Authenticate"] == "Bearer"


def test_what_nobody_foresaw_is_told_without_its_cause() -> None:
    response = to_response(unforeseen("c-1"), {})

    assert (response.status_code, response.mimetype) == (500, PROBLEM_JSON)
    assert json.loads(response.get_body())["correlationId"] == "c-1"
