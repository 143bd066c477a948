"""How an app proves to Entra who it is: a secret, a certificate, or a token of a trusted issuer."""

import secrets
import time
from collections.abc import Mapping

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from local.emulator.context import Context
from local.emulator.errors import EntraError
from local.emulator.identity.audiences import EXCHANGE_AUDIENCE
from local.emulator.signing import Claims, base64url, thumbprint, verify
from local.emulator.state import App, Tenant

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

# RS256 is what MSAL and v1 clients sign with, PS256 what azure-identity's asynchronous client does.
_ASSERTION_ALGORITHMS = ["RS256", "PS256"]


def authenticate(context: Context, tenant: Tenant, app: App, form: Mapping[str, str]) -> bool:
    """Check the client's proof in a token request; return whether it was an assertion rather than a secret.

    :raises EntraError: 7000215, 7000222, 7000218, 700027, 70021 or 900144, as section 1 of the reference lists them.
    """
    if "client_assertion" in form:
        if form.get("client_assertion_type") != JWT_BEARER:
            raise EntraError(900144, f"The request body must contain 'client_assertion_type' with value {JWT_BEARER}.")
        _check_assertion(context, tenant, app, form["client_assertion"])
        return True
    if "client_secret" not in form:
        raise EntraError(
            7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
        )
    _check_secret(app, form["client_secret"])
    return False


def _check_secret(app: App, presented: str) -> None:
    for secret in app.secrets:
        if secrets.compare_digest(secret.value.encode(), presented.encode()):
            if secret.expires_on is not None and secret.expires_on <= time.time():
                raise EntraError(
                    7000222, f"The provided client secret keys for app '{app.client_id}' are expired. Create new keys."
                )
            return
    raise EntraError(
        7000215,
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
        f"not the client secret ID, for a secret added to app '{app.client_id}'.",
    )


def _check_assertion(context: Context, tenant: Tenant, app: App, assertion: str) -> None:
    try:
        claims: Claims = jwt.decode(assertion, options={"verify_signature": False})
        if claims.get("iss") == claims.get("sub") == app.client_id:
            _check_certificate_assertion(context, tenant, app, assertion)
            return
        # The managed identity's tokens are Entra's own; no other issuer exists here.
        trusted = verify(assertion, context.state.entra_key, audience=EXCHANGE_AUDIENCE)
    except jwt.InvalidTokenError as error:
        raise EntraError(700027, f"Client assertion failed validation: {error}.") from error
    _check_federation(context, app, trusted)


def _check_certificate_assertion(context: Context, tenant: Tenant, app: App, assertion: str) -> None:
    header = jwt.get_unverified_header(assertion)
    root = f"{context.origin}/{tenant.tenant_id}"
    jwt.decode(
        assertion,
        _certificate(app, header).public_key(),  # type: ignore[arg-type]  # a registered certificate is always RSA
        algorithms=_ASSERTION_ALGORITHMS,
        audience=[f"{root}/oauth2/v2.0/token", f"{root}/oauth2/token", f"{root}/v2.0", f"{root}/"],
        issuer=app.client_id,
        options={"require": ["exp", "aud", "iss", "sub"]},
    )


def _certificate(app: App, header: Mapping[str, object]) -> x509.Certificate:
    # Clients differ in padding their thumbprints.
    sha1, sha256 = (str(header.get(name, "")).rstrip("=") for name in ("x5t", "x5t#S256"))
    for pem in app.certificates:
        known = (base64url(thumbprint(pem, hashes.SHA1())), base64url(thumbprint(pem, hashes.SHA256())))
        if sha1 == known[0] or sha256 == known[1]:
            return x509.load_pem_x509_certificate(pem.encode())
    raise EntraError(
        700027, "The certificate with identifier used to sign the client assertion is not registered on application."
    )


def _check_federation(context: Context, app: App, claims: Claims) -> None:
    presented = (claims["iss"], claims["sub"], claims["aud"])
    for credential in app.federated_credentials:
        issuer = credential.issuer.replace("{origin}", context.origin)
        if presented == (issuer, credential.subject, credential.audience):
            return
    raise EntraError(
        70021,
        "No matching federated identity record found for presented assertion. "
        f"Assertion Issuer: '{presented[0]}'. Assertion Subject: '{presented[1]}'. "
        f"Assertion Audience: '{presented[2]}'.",
    )
