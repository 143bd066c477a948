"""Every setting: its default, and what is said of one that is missing or malformed."""

import json
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.settings import CredentialSource, Identity, Issuer, Settings, SettingsError, described, schedule_defaults
from tests.support.environ import ENVIRON

REQUIRED = ["AzureWebJobsStorage", "KEY_VAULT_URL", "CALLER_ISSUERS"]
MARKER = "s3cr3t-m4rker"
ISSUER = {"issuer": "https://issuer.example", "audience": "app", "kind": "player"}
TENANT = {"tenantId": "t-1", "clientId": "c-1", "credential": "secret:name"}

MALFORMED = [
    ("AzureWebJobsStorage", MARKER),
    ("KEY_VAULT_URL", f"http://{MARKER}.example"),
    ("KEY_VAULT_URL", MARKER),
    ("KEY_VAULT_URL", f"https://user:{MARKER}@vault.example"),
    ("KEY_VAULT_URL", f"https://vault.example/?sig={MARKER}"),
    ("KEY_VAULT_URL", "https://vault.example:99999"),
    ("KEY_VAULT_URL", "https://vault.example:port"),
    ("KEY_VAULT_URL", "https://vault .example"),
    ("KEY_VAULT_URL", "https://"),
    ("KEY_VAULT_URL", "https://[::1"),
    ("ENTRA_AUTHORITY", "login.microsoftonline.com"),
    ("ENTRA_AUTHORITY", "ftp://login.microsoftonline.com"),
    ("AZURE_DISABLE_INSTANCE_DISCOVERY", MARKER),
    ("PUBLISHER_TENANT_ID", "no tenant id!"),
    ("PUBLISHER_TENANT_ID", "../common"),
    ("PUBLISHER_CLIENT_ID", "no client id!"),
    ("PUBLISHER_CREDENTIAL", MARKER),
    ("PUBLISHER_CREDENTIAL", "secret:"),
    ("PUBLISHER_CREDENTIAL", f"secret:{MARKER}/../other"),
    ("PUBLISHER_CREDENTIAL", "certificate:"),
    ("PUBLISHER_CREDENTIAL", "password:name"),
    ("BUSINESS_TENANTS", MARKER),
    ("BUSINESS_TENANTS", "{}"),
    ("BUSINESS_TENANTS", json.dumps([{**TENANT, "credential": MARKER}])),
    ("BUSINESS_TENANTS", json.dumps([{**TENANT, "secret": MARKER}])),
    ("BUSINESS_TENANTS", json.dumps([TENANT, TENANT])),
    ("BUSINESS_TENANTS", json.dumps([{**TENANT, "tenantId": ""}])),
    ("BUSINESS_TENANTS", "[" * 100_000),
    ("STORE_BUSINESS_URL", MARKER),
    ("STORE_COLLECTIONS_URL", "http://collections.example"),
    ("STORE_PURCHASE_URL", "https://purchase.example/#x"),
    ("KEY_VAULT_VERIFY_CHALLENGE", "yes, please"),
    ("STORE_ID_DATA_KEY", f"{MARKER}/x"),
    ("STORE_ID_DATA_KEY", "x" * 128),
    ("STORE_ID_MATCH_USER", "2"),
    ("CALLER_ISSUERS", MARKER),
    ("CALLER_ISSUERS", "[]"),
    ("CALLER_ISSUERS", json.dumps([{**ISSUER, "kind": MARKER}])),
    ("CALLER_ISSUERS", json.dumps([{**ISSUER, "issuer": MARKER}])),
    ("CALLER_ISSUERS", json.dumps([{**ISSUER, "issuer": "http://issuer.example"}])),
    ("CALLER_ISSUERS", json.dumps([{**ISSUER, "audience": ""}])),
    ("CALLER_ISSUERS", json.dumps([{**ISSUER, "jwksUrl": "http://issuer.example/keys"}])),
    ("CALLER_ISSUERS", json.dumps([{**ISSUER, "secret": MARKER}])),
    ("CATALOG_LANGUAGES", "english, of course"),
    ("CATALOG_LANGUAGES", "en-us,,de-de"),
    ("CATALOG_DOWNLOAD_PACKAGES", MARKER),
    ("SEAT_CHUNK_SIZE", "0"),
    ("SEAT_CHUNK_SIZE", "many"),
    ("STORE_CONCURRENCY", "-1"),
    ("STORE_CONCURRENCY", "10001"),
    ("STORE_CONCURRENCY", "1e3"),
    ("CATALOG_SYNC_SCHEDULE", "hourly"),
    ("KEY_RENEWAL_SCHEDULE", "*/5 * * * *"),
    ("KEY_RENEWAL_SCHEDULE", "99 * * * * *"),
    ("KEY_RENEWAL_SCHEDULE", "a b c d e f"),
    ("REFUND_SCHEDULE", "0 0 0 0 0 0 0"),
    ("REFUND_SCHEDULE", "0 0 0 * * 7"),
    ("SWEEP_SCHEDULE", MARKER),
]


def problems(environ: dict[str, str]) -> tuple[str, ...]:
    """What is wrong with an environment, of which no text may repeat a value."""
    with pytest.raises(SettingsError) as refusal:
        Settings.load(environ)
    assert MARKER not in str(refusal.value)
    return refusal.value.problems


@pytest.mark.parametrize(("name", "value"), MALFORMED, ids=lambda text: str(text)[:40])
def test_a_malformed_setting_is_named_and_never_repeated(name: str, value: str) -> None:
    (problem,) = problems(ENVIRON | {name: value})

    assert problem.startswith(f"{name} is malformed; expected ")


def test_every_setting_that_is_not_free_text_has_a_malformed_example() -> None:
    free = {"STORE_SANDBOX", "APPLICATIONINSIGHTS_CONNECTION_STRING"}

    assert {name for name, _ in MALFORMED} == {name for name, _, _ in described()} - free | {"AzureWebJobsStorage"}


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_a_missing_setting_is_named(name: str, nothing: str | None) -> None:
    environ = {**ENVIRON, name: nothing or ""}
    if nothing is None:
        del environ[name]

    (problem,) = problems(environ)

    assert problem.startswith(f"{name} is missing; expected ")


def test_everything_that_is_wrong_is_said_at_once() -> None:
    said = problems({"KEY_VAULT_URL": MARKER, "STORE_CONCURRENCY": MARKER, "PUBLISHER_CREDENTIAL": MARKER})

    assert [problem.split()[0] for problem in said] == [
        "AzureWebJobsStorage",
        "KEY_VAULT_URL",
        "PUBLISHER_CREDENTIAL",
        "CALLER_ISSUERS",
        "STORE_CONCURRENCY",
    ]


def test_what_is_left_out_has_its_default() -> None:
    environ = {name: ENVIRON[name] for name in REQUIRED}
    settings = Settings.load(environ)

    assert settings.entra_authority == "https://login.microsoftonline.com"
    assert settings.store_business_url == "https://bspmts.mp.microsoft.com"
    assert settings.store_collections_url == "https://collections.mp.microsoft.com"
    assert settings.store_purchase_url == "https://purchase.mp.microsoft.com"
    assert settings.disable_instance_discovery is False
    assert settings.key_vault_verify_challenge is True
    assert settings.store_id_match_user is False
    assert settings.publisher is None
    assert settings.publisher_credential == CredentialSource("secret", "publisher-client-secret")
    assert settings.business_tenants == ()
    assert settings.store_id_data_key == "store-id-data-key"
    assert settings.store_sandbox == "RETAIL"
    assert settings.catalog_languages == ("en-us",)
    assert settings.catalog_download_packages is True
    assert (settings.seat_chunk_size, settings.store_concurrency) == (25, 64)
    assert settings.telemetry.reveal() == ""
    assert schedule_defaults() == {
        "CATALOG_SYNC_SCHEDULE": "0 0 * * * *",
        "KEY_RENEWAL_SCHEDULE": "0 */5 * * * *",
        "REFUND_SCHEDULE": "0 */5 * * * *",
        "SWEEP_SCHEDULE": "0 * * * * *",
    }


def test_what_is_set_is_taken() -> None:
    settings = Settings.load(
        ENVIRON
        | {
            "KEY_VAULT_URL": " https://vault.example/ ",
            "PUBLISHER_CREDENTIAL": "certificate:store-cert",
            "BUSINESS_TENANTS": json.dumps([TENANT]),
            "CALLER_ISSUERS": json.dumps([{**ISSUER, "jwksUrl": "https://issuer.example/keys"}]),
            "CATALOG_LANGUAGES": "en-us, de-DE",
            "KEY_RENEWAL_SCHEDULE": "*/10 0-30 1,2 * JAN MON-FRI",
            "KEY_VAULT_VERIFY_CHALLENGE": "FALSE",
            "STORE_CONCURRENCY": "10000",
        }
    )

    assert settings.key_vault_url == "https://vault.example"
    assert settings.publisher == Identity(
        ENVIRON["PUBLISHER_TENANT_ID"], ENVIRON["PUBLISHER_CLIENT_ID"], CredentialSource("certificate", "store-cert")
    )
    assert settings.business_tenants == (Identity("t-1", "c-1", CredentialSource("secret", "name")),)
    assert settings.caller_issuers == (
        Issuer("https://issuer.example", "app", "player", "https://issuer.example/keys"),
    )
    assert settings.catalog_languages == ("en-us", "de-de")
    assert settings.key_renewal_schedule == "*/10 0-30 1,2 * JAN MON-FRI"
    assert settings.key_vault_verify_challenge is False
    assert settings.store_concurrency == 10_000


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("secret:a-1", CredentialSource("secret", "a-1")),
        ("managed-identity", CredentialSource("managed-identity", None)),
        ("managed-identity:c-1", CredentialSource("managed-identity", "c-1")),
    ],
)
def test_a_credential_names_its_kind_and_source(text: str, source: CredentialSource) -> None:
    assert Settings.load(ENVIRON | {"PUBLISHER_CREDENTIAL": text}).publisher_credential == source


@pytest.mark.parametrize("url", ["http://localhost:7000", "http://127.0.0.1:1", "http://[::1]:7000", "https://a.b/c"])
def test_plain_http_is_for_loopback_alone(url: str) -> None:
    assert Settings.load(ENVIRON | {"KEY_VAULT_URL": url}).key_vault_url == url


def test_half_of_the_publisher_is_refused() -> None:
    for name in ("PUBLISHER_TENANT_ID", "PUBLISHER_CLIENT_ID"):
        (problem,) = problems(ENVIRON | {name: ""})
        assert "PUBLISHER_TENANT_ID and PUBLISHER_CLIENT_ID go together" in problem


def test_the_storage_account_is_a_connection_string_or_a_name() -> None:
    by_string = Settings.load(ENVIRON | {"AzureWebJobsStorage": f"AccountName=a;AccountKey={MARKER}"}).storage
    by_name = Settings.load(
        ENVIRON | {"AzureWebJobsStorage": "", "AzureWebJobsStorage__accountName": "account1"}
    ).storage

    assert by_string.connection_string is not None
    assert MARKER not in repr(by_string)
    assert by_name.connection_string is None
    assert by_name.endpoint("queue") == "https://account1.queue.core.windows.net"
    (problem,) = problems(ENVIRON | {"AzureWebJobsStorage": "", "AzureWebJobsStorage__accountName": "Not A Name"})
    assert problem.startswith("AzureWebJobsStorage__accountName is malformed")


def test_settings_do_not_show_their_secrets() -> None:
    settings = Settings.load(
        ENVIRON
        | {
            "AzureWebJobsStorage": f"AccountName=a;AccountKey={MARKER}",
            "APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={MARKER}",
        }
    )

    assert MARKER not in repr(settings)


def refusal(environ: dict[str, str]) -> SettingsError | None:
    try:
        Settings.load(environ)
    except SettingsError as error:
        return error
    return None


NAMES = [name for name, _, _ in described()] + ["AzureWebJobsStorage", "AzureWebJobsStorage__accountName"]


@given(st.dictionaries(st.sampled_from(NAMES), st.text(), max_size=6), st.booleans())
def test_no_environment_raises_anything_but_a_settings_error(changes: dict[str, str], from_good: bool) -> None:
    error = refusal((ENVIRON if from_good else {}) | changes)

    assert error is None or {problem.split()[0] for problem in error.problems} & set(NAMES)


@given(st.sampled_from(NAMES), st.sampled_from(["{}", "[{}]", '["{}"]', "https://{}", "secret:{}!", "{} * * * * *"]))
def test_no_error_repeats_a_value(name: str, shape: str) -> None:
    error = refusal(ENVIRON | {name: shape.replace("{}", MARKER)})

    assert error is None or MARKER not in "".join(traceback.format_exception(error))
