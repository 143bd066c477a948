"""Access tokens: cached, refreshed early, replaced when refused, and what Entra's refusals mean."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import ClientAuthenticationError

from shared.auth.entra import EARLY_REFRESH, FRESH_FOR, LAST_MOMENT, Entra, EntraRefusedError, _Cached, _classified
from shared.auth.tokens import SERVICE_AUDIENCE, StoreIdKind
from shared.auth.vault import SecretUnusableError
from shared.errors import BadGatewayError, UnavailableError
from shared.secret import Secret
from shared.settings import CredentialSource, Identity
from tests.support.environ import settings
from tests.support.fixtures import wire
from tests.support.polling import eventually
from tests.support.vaults import MemoryVault

ME = Identity("tenant", "client", CredentialSource("secret", "name"))
REFUSED = EntraRefusedError("invalid_client", "AADSTS7000215")


class ScriptedEntra(Entra):
    """Entra without its network: what each request gives is said beforehand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
        self.ticks = 0.0
        self.lifetime = timedelta(minutes=60)
        self.requests: list[tuple[str, str, bool]] = []
        self.failures: list[Exception] = []
        super().__init__(settings(), MemoryVault(), clock=lambda: self.now, monotonic=lambda: self.ticks)

    async def _request(self, identity: Identity, audience: str, *, fresh_secret: bool) -> _Cached:
        self.requests.append((identity.client_id, audience, fresh_secret))
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        token = Secret(f"token-{len(self.requests)}")
        return _Cached(token, int((self.now + self.lifetime).timestamp()), self.ticks)

    def pass_time(self, time: timedelta) -> None:
        self.now += time
        self.ticks += time.total_seconds()


async def replaced(entra: Entra, token: Secret) -> bool:
    return await entra.get_service_token(ME) != token


async def test_a_thousand_callers_cost_one_request_an_audience() -> None:
    entra = ScriptedEntra()

    await asyncio.gather(
        *(entra.get_creation_token(ME, kind) for kind in StoreIdKind for _ in range(500)),
        *(entra.get_service_token(ME) for _ in range(500)),
    )

    assert sorted(audience for _, audience, _ in entra.requests) == sorted(
        [SERVICE_AUDIENCE, *(kind.audience for kind in StoreIdKind)]
    )


async def test_each_tenant_and_client_has_tokens_of_its_own() -> None:
    entra = ScriptedEntra()
    others = [Identity("tenant2", "client", ME.credential), Identity("tenant", "client2", ME.credential)]

    tokens = {(await entra.get_service_token(identity)).reveal() for identity in [ME, *others]}

    assert len(tokens) == 3


async def test_a_token_says_when_it_expires() -> None:
    entra = ScriptedEntra()

    assert (await entra.get_service_token(ME)).expires_on == entra.now + entra.lifetime


async def test_a_token_is_replaced_five_minutes_before_its_expiry() -> None:
    entra = ScriptedEntra()
    first = await entra.get_service_token(ME)

    entra.pass_time(entra.lifetime - EARLY_REFRESH)
    assert await entra.get_service_token(ME) == first
    assert len(entra.requests) == 1
    entra.pass_time(timedelta(seconds=1))
    assert await entra.get_service_token(ME) == first, "nobody waits for the new one"
    assert await eventually(lambda: replaced(entra, first))
    assert len(entra.requests) == 2


async def test_a_token_in_its_last_moments_is_not_handed_out() -> None:
    entra = ScriptedEntra()
    first = await entra.get_service_token(ME)

    entra.pass_time(entra.lifetime - timedelta(seconds=LAST_MOMENT - 1))

    assert await entra.get_service_token(ME) != first


async def test_a_failed_early_refresh_is_not_repeated_at_every_request() -> None:
    entra = ScriptedEntra()
    await entra.get_service_token(ME)
    entra.pass_time(entra.lifetime - timedelta(minutes=1))
    entra.failures = [UnavailableError("entra", "away") for _ in range(100)]

    for _ in range(100):
        await entra.get_service_token(ME)
        await asyncio.sleep(0)

    assert len(entra.failures) >= 99


@pytest.mark.parametrize(
    "failure",
    [UnavailableError("entra", "away"), REFUSED, SecretUnusableError("the vault answered 403"), BadGatewayError("bad")],
    ids=lambda failure: type(failure).__name__,
)
async def test_an_early_refresh_that_fails_costs_nobody_a_good_token(failure: Exception) -> None:
    entra = ScriptedEntra()
    first = await entra.get_service_token(ME)
    entra.pass_time(entra.lifetime - timedelta(minutes=1))
    entra.failures = [failure, failure]

    assert await entra.get_service_token(ME) == first

    entra.pass_time(timedelta(minutes=2))
    entra.failures = [failure, failure]
    with pytest.raises((UnavailableError, BadGatewayError)):
        await entra.get_service_token(ME)


async def test_a_refused_token_is_replaced_once_and_not_while_it_is_fresh() -> None:
    entra = ScriptedEntra()
    first = await entra.get_service_token(ME)
    assert await entra.get_service_token(ME, refused=first) == first

    entra.pass_time(timedelta(seconds=FRESH_FOR + 1))
    replaced = await asyncio.gather(*(entra.get_service_token(ME, refused=first) for _ in range(100)))

    assert len({token.reveal() for token in replaced}) == 1
    assert replaced[0] != first
    assert len(entra.requests) == 2


async def test_a_refused_token_does_not_come_back_because_entra_is_away() -> None:
    entra = ScriptedEntra()
    first = await entra.get_service_token(ME)
    entra.pass_time(timedelta(seconds=FRESH_FOR + 1))
    entra.failures = [UnavailableError("entra", "away")]

    with pytest.raises(UnavailableError):
        await entra.get_service_token(ME, refused=first)


async def test_a_rotated_secret_is_read_again_once() -> None:
    entra = ScriptedEntra()
    entra.failures = [REFUSED]

    await entra.get_service_token(ME)

    assert [fresh for _, _, fresh in entra.requests] == [False, True]


async def test_a_secret_that_stays_wrong_is_told() -> None:
    entra = ScriptedEntra()
    entra.failures = [REFUSED, REFUSED]

    with pytest.raises(EntraRefusedError, match="AADSTS7000215"):
        await entra.get_service_token(ME)
    assert len(entra.requests) == 2


async def test_no_other_refusal_has_the_vault_read_again() -> None:
    entra = ScriptedEntra()
    entra.failures = [EntraRefusedError("invalid_resource", "AADSTS500011")]

    with pytest.raises(EntraRefusedError):
        await entra.get_service_token(ME)
    assert len(entra.requests) == 1


async def test_a_secret_that_the_vault_does_not_give_is_told() -> None:
    entra = ScriptedEntra()
    entra.failures = [SecretUnusableError("the vault answered 404 for the secret name")]

    with pytest.raises(BadGatewayError, match="404 for the secret name"):
        await entra.get_service_token(ME)


class _Answer:
    def __init__(self, status: int) -> None:
        self.status_code = status
        self.reason = ""
        self.headers: dict[str, str] = {}


def told(name: str, status: int) -> ClientAuthenticationError:
    """The SDK's error for an answer of Entra; the words are those of azure.identity's aad_client."""
    body = wire(name)
    error = ClientAuthenticationError(
        message=f"Authentication failed: Unexpected response from Microsoft Entra ID\n({body['error']}) "
        f"{body['error_description']}"
    )
    error.status_code = status
    return error


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("entra-token-error-invalid-client", 401, "invalid_client: AADSTS7000215"),
        ("entra-token-error-invalid-resource", 400, "invalid_resource: AADSTS500011"),
    ],
)
def test_a_refusal_for_good_names_its_code_and_nothing_more(name: str, status: int, code: str) -> None:
    error = _classified(told(name, status))

    assert isinstance(error, EntraRefusedError)
    assert str(error) == f"Entra refused a token: {code}"


@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_a_refusal_for_now_is_an_outage(status: int) -> None:
    assert isinstance(_classified(told("entra-token-error-temporarily-unavailable", status)), UnavailableError)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_the_status_alone_can_make_an_outage(status: int) -> None:
    assert isinstance(_classified(told("entra-token-error-invalid-client", status)), UnavailableError)


def test_a_refusal_in_unknown_words_is_an_outage() -> None:
    assert isinstance(_classified(ClientAuthenticationError(message="no words we know")), UnavailableError)
