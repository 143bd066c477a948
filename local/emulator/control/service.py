"""The control API under ``/_emulator``: how tests, the demo and a developer arrange the emulated world.

JSON in and out, loopback only, no token. It never returns a private key of the emulated services. Bad input is 400 with
``{"error"}`` naming what was wrong. Its requests are neither logged nor subject to faults. ``?`` marks what may be left
out, ``{t}`` for the id or the name of a business tenant.

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
``POST store-ids``                                :class:`~.tokens.NewStoreIds`: ``{"key"}`` or ``{"keys"}``
``POST store-ids/revocations``                    ``key``, or ``publisherUserId kind``: 204
``POST signing-certificates/rotations``           ``retireOld?``: ``{"kid"}``
``POST faults``                                   :class:`~.faults.FaultRequest`: 201, ``{"id"}``
``GET faults``                                    ``{"faults"}`` with how often each matched and was applied
``DELETE faults[/{id}]``                          204
``GET requests?service path method since limit``  ``{"count", "lastSeq", "requests"}``
``GET requests/summary``                          ``{"summary"}``: counts by service, method, route and status
``DELETE requests``                               204
``GET secrets-in-use``                            ``{"secrets"}``, for leak tests alone
``GET business/tenants``                          ``{"tenants"}``: ids, ``name``, ``domain`` and number of products
``GET business/tenants/{t}/products?...``         ``{"count", "products"}``: the whole truth of each product, by
                                                  ``productId skuId`` or ``start limit``; ``parts=entry,seats,...``
``POST business/tenants/{t}/products``            :class:`~.business.NewProducts`: 201, ``{"products"}`` (keys)
``POST business/tenants/{t}/changes``             :class:`~.business.Changes`: ``{"products"}`` (keys)
``POST business/seat-refusals``                   :class:`~.business_faults.NewRefusal`: 204
``DELETE business/seat-refusals``                 204
``PATCH business/cdn``                            ``addressLifetimeSeconds? expireAll?``; answers with the lifetime
``POST business/cdn/disturbances``                :class:`~.business_faults.NewDisturbance`: 204
``DELETE business/cdn/disturbances``              204
``POST store/products``                           :class:`~.store.NewProduct`: the product, new or replaced
``GET store/products``                            ``{"products"}``
``POST store/purchases``                          :class:`~.store.NewPurchase`: 201, the order (``{"orders"}``)
``POST store/refunds``                            :class:`~.store.NewRefund`: 201, ``{"events", "sent"}``
``POST store/reversals``                          :class:`~.store.NewReversal`: 201, ``{"events", "sent"}``
``POST store/subscriptions``                      :class:`~.subscriptions.NewSubscription`: 201, with its ``id``
``POST store/subscriptions/{id}/lapses``          :class:`~.subscriptions.Lapse`: 201, the subscription
``POST store/subscriptions/{id}/renewals``        201, the subscription; recovers one that lapsed
``POST store/subscriptions/{id}/ends``            :class:`~.subscriptions.End`: 201, the subscription
``POST store/subscriptions/{id}/refunds``         :class:`~.subscriptions.Refund`: 201, ``{"events", "sent"}``
``POST store/subscriptions/{id}/reversals``       :class:`~.subscriptions.Reversal`: 201, ``{"events", "sent"}``
``GET store/books?player``                        :mod:`~.market.truth`: ``{"players", "events"}``, the whole truth
``GET store/settings``                            :class:`~.market.records.Settings`: rate limit, spellings, shapes
``PATCH store/settings``                          some of them; answers with all. Rate counts begin anew
``DELETE store/settings``                         all as they were at first
``PUT clawback``                                  :class:`~.clawback.Connection`: ``{"queue"}``, made if need be
``DELETE clawback``                               204; the publisher has no queue
``POST clawback/messages``                        :class:`~.clawback.NewMessage`: 201
================================================  ===================================================================
"""

from pathlib import Path

from local.emulator.business.world import BusinessWorld
from local.emulator.context import Context
from local.emulator.control.apps import app_routes
from local.emulator.control.business import business_routes
from local.emulator.control.business_faults import business_fault_routes
from local.emulator.control.observation import observation_routes
from local.emulator.control.settings import settings_routes
from local.emulator.control.tokens import token_routes
from local.emulator.errors import status_name
from local.emulator.faults import Faults
from local.emulator.identity.issuers import Issuers
from local.emulator.identity.x_tokens import XTokens
from local.emulator.market.market import Market
from local.emulator.request_log import RequestLog
from local.emulator.service import Service
from local.emulator.store.keys import StoreIds


def control_service(
    context: Context,
    *,
    ca_path: Path,
    faults: Faults,
    log: RequestLog,
    store_ids: StoreIds,
    x_tokens: XTokens,
    issuers: Issuers,
    business: BusinessWorld,
    market: Market,
) -> Service:
    """Return the service with the routes of all its parts."""
    return Service(
        name="control",
        routes=(
            *settings_routes(context, ca_path),
            *app_routes(context),
            *token_routes(context, store_ids, x_tokens, issuers),
            *business_routes(business),
            *business_fault_routes(business),
            *market.control_routes(),
            *observation_routes(context, faults, log),
        ),
        error_body=lambda status: {"error": status_name(status)},
        observed=False,
    )
