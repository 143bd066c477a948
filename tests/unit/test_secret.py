"""A secret masks itself wherever a value is usually shown."""

import copy
import dataclasses
import json
import logging
import pickle
from datetime import UTC, datetime

import msgspec
import pytest

from shared.auth.tokens import CreationToken, ServiceToken
from shared.secret import Secret
from shared.store.user_store_id import UserStoreIdKey

TEXT = "p4ssw0rd-that-nobody-may-see"
SECRETS = [
    Secret(TEXT),
    UserStoreIdKey(TEXT),
    ServiceToken(TEXT, datetime.now(UTC)),
    CreationToken(TEXT, datetime.now(UTC)),
]


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: type(secret).__name__)
def test_a_secret_shows_nothing_of_itself(secret: Secret) -> None:
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", format(secret, ">40"), f"{secret}"]
    shown += [repr([secret]), repr({"key": secret}), json.dumps({"key": secret}, default=str)]

    assert not any(TEXT in text for text in shown)
    assert secret.reveal() == TEXT


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: type(secret).__name__)
def test_a_log_line_does_not_hold_a_secret(secret: Secret, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").info("%s %r %20s", secret, secret, secret)
        logging.getLogger("test").info("%(key)s", {"key": secret})

    assert caplog.text.count("***") == 4
    assert TEXT not in caplog.text


def test_an_error_or_a_dataclass_that_holds_a_secret_does_not_show_it() -> None:
    @dataclasses.dataclass
    class Holder:
        secret: Secret

    assert TEXT not in repr(Holder(Secret(TEXT)))
    assert TEXT not in str(ValueError("bad", Secret(TEXT)))


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: type(secret).__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_cannot_be_pickled(secret: Secret, protocol: int) -> None:
    with pytest.raises(TypeError, match=type(secret).__name__):
        pickle.dumps(secret, protocol=protocol)


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: type(secret).__name__)
def test_a_secret_cannot_be_encoded_by_accident(secret: Secret) -> None:
    with pytest.raises(TypeError):
        msgspec.json.encode({"key": secret})
    with pytest.raises(TypeError):
        json.dumps({"key": secret})


def test_a_copy_is_the_secret_itself() -> None:
    secret = Secret(TEXT)

    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_secrets_compare_by_their_text() -> None:
    assert Secret(TEXT) == Secret(TEXT)
    assert Secret(TEXT) != Secret(TEXT + "x")
    assert Secret(TEXT) != TEXT
    assert Secret("é") == Secret("é")


def test_equal_secrets_have_equal_hashes_whatever_their_types() -> None:
    assert Secret(TEXT) == UserStoreIdKey(TEXT)
    assert len({Secret(TEXT), UserStoreIdKey(TEXT), Secret(TEXT)}) == 1


def test_any_text_can_be_compared_even_half_a_surrogate_pair() -> None:
    assert Secret("\ud800") != Secret("x")
    assert Secret("\ud800") == Secret("\ud800")
