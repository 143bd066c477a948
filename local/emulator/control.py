"""The control API under ``/_emulator``: how tests, the demo and a developer arrange the emulated world.

JSON in and out, loopback only, no token. It never returns a private key of the emulated services. Bad input is 400 with
``{"error"}`` naming what was wrong. Its requests are neither logged nor subject to faults. ``?`` marks what may be left
out.

================================================  ===================================================================
``GET settings``                                  ``{"IsEncrypted", "Values"}``: all an app needs
``GET ca.pem``                                    the private CA
``GET health``                                    ``{"status", "url"}``
``GET admin``                                     ``{"tenantId", "clientId", "clientSecret"}``: may write secrets
``GET managed-identity``                          ``{"clientId", "objectId", "environment"}``
``GET apps``                                      ``{"apps"}``, without secrets
``POST apps/{clientId}/secrets``                  ``revokeOthers? storeInVault? expiresInSeconds?``: ``{"secret"}``
``POST apps/{clientId}/certificates``             ``storeInVault``: ``{"certificate"}``; its key is in the vault only
``POST apps/{clientId}/federated-credentials``    the app trusts the managed identity
``PATCH tenants/{tenantId}``                      ``tokenLifetimeSeconds? audiences?``; answers with both
``POST bearer-tokens``                            :class:`~.issuers.BearerTokenRequest`: ``{"token"}``
``POST issuers/{players|operators}/rotations``    ``keepOld?``: ``{"kid"}``
``POST x-tokens``                                 ``player kind expiresInSeconds?``: ``{"xToken"}``
``POST store-ids``                                :class:`~.control_tokens.NewStoreIds`: ``{"key"}`` or ``{"keys"}``
``POST store-ids/revocations``                    ``key``, or ``publisherUserId kind``: 204
``POST signing-certificates/rotations``           ``retireOld?``: ``{"kid"}``
``POST faults``                                   :class:`~.faults.FaultRequest`: 201, ``{"id"}``
``GET faults``                                    ``{"faults"}`` with how often each matched and was applied
``DELETE faults[/{id}]``                          204
``GET requests?service path method since limit``  ``{"count", "lastSeq", "requests"}``
``GET requests/summary``                          ``{"summary"}``: counts by service, method, route and status
``DELETE requests``                               204
``GET secrets-in-use``                            ``{"secrets"}``, for leak tests alone
================================================  ===================================================================
"""

from pathlib import Path

from local.emulator.context import Context
from local.emulator.control_apps import app_routes
from local.emulator.control_observation import observation_routes
from local.emulator.control_settings import settings_routes
from local.emulator.control_tokens import token_routes
from local.emulator.errors import status_name
from local.emulator.faults import Faults
from local.emulator.issuers import Issuers
from local.emulator.request_log import RequestLog
from local.emulator.service import Service
from local.emulator.store_ids import StoreIds
from local.emulator.xtokens import XTokens


def control_service(
    context: Context,
    *,
    ca_path: Path,
    faults: Faults,
    log: RequestLog,
    store_ids: StoreIds,
    x_tokens: XTokens,
    issuers: Issuers,
) -> Service:
    """Return the service with the routes of all its parts."""
    return Service(
        name="control",
        routes=(
            *settings_routes(context, ca_path),
            *app_routes(context),
            *token_routes(context, store_ids, x_tokens, issuers),
            *observation_routes(context, faults, log),
        ),
        error_body=lambda status: {"error": status_name(status)},
        observed=False,
    )
