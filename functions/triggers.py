"""What wakes each function: the whole surface of the app, on one page.

A host that starts reads this page and nothing behind it. A process that scales out for one subject never loads the
others, and the first answer of a cold process waits for one subject alone.
"""

from functions.subject import Access, Subject

_TOKENS = Subject("functions.tokens")
_TOKENS.http("create_token", "POST", "tokens/{kind}", Access.PLAYER_OR_OPERATOR)

_KEYS = Subject("functions.keys")
_KEYS.http("put_store_id", "PUT", "users/{userId}/store-ids/{kind}", Access.PLAYER_OR_OPERATOR)
_KEYS.http("create_store_id", "POST", "users/{userId}/store-ids/{kind}/from-xtoken", Access.PLAYER_OR_OPERATOR)
_KEYS.http("list_store_ids", "GET", "users/{userId}/store-ids", Access.PLAYER_OR_OPERATOR)
_KEYS.http("delete_store_id", "DELETE", "users/{userId}/store-ids/{kind}", Access.PLAYER_OR_OPERATOR)
_KEYS.timer("plan_renewals", "KEY_RENEWAL_SCHEDULE")
_KEYS.queue("renew_store_ids", "store-id-renewals")

_ENTITLEMENTS = Subject("functions.entitlements")
_ENTITLEMENTS.http("list_owned_products", "GET", "users/{userId}/products", Access.PLAYER_OR_OPERATOR)
_ENTITLEMENTS.http("list_subscriptions", "GET", "users/{userId}/subscriptions", Access.PLAYER_OR_OPERATOR)
_ENTITLEMENTS.http(
    "change_subscription", "POST", "users/{userId}/subscriptions/{recurrenceId}/changes", Access.OPERATOR
)
_ENTITLEMENTS.http("grant_free_product", "POST", "users/{userId}/free-products", Access.OPERATOR)

_FULFILLMENT = Subject("functions.fulfillment")
_FULFILLMENT.http("create_fulfillment", "POST", "users/{userId}/fulfillments", Access.PLAYER_OR_OPERATOR)
_FULFILLMENT.http("get_fulfillment", "GET", "users/{userId}/fulfillments/{trackingId}", Access.PLAYER_OR_OPERATOR)
_FULFILLMENT.http("list_balances", "GET", "users/{userId}/balances", Access.PLAYER_OR_OPERATOR)
_FULFILLMENT.queue("take_fulfillment", "fulfillment-jobs")
_FULFILLMENT.queue("work_on_fulfillment", "fulfillment-work")

_REFUNDS = Subject("functions.refunds")
_REFUNDS.http("list_refunds", "GET", "refunds", Access.OPERATOR)
_REFUNDS.timer("fetch_refunds", "REFUND_SCHEDULE")

_CATALOG = Subject("functions.catalog")
_CATALOG.http("list_products", "GET", "catalog/products", Access.OPERATOR)
_CATALOG.http("get_product", "GET", "catalog/products/{productId}/{skuId}", Access.OPERATOR)
_CATALOG.http(
    "get_package_content",
    "GET",
    "catalog/products/{productId}/{skuId}/packages/{packageId}/content",
    Access.OPERATOR,
)
_CATALOG.http(
    "get_offline_license",
    "GET",
    "catalog/products/{productId}/{skuId}/offline-licenses/{contentId}",
    Access.OPERATOR,
)
_CATALOG.http("start_sync", "POST", "catalog/syncs", Access.OPERATOR)
_CATALOG.http("get_sync", "GET", "catalog/syncs/{syncId}", Access.OPERATOR)
_CATALOG.timer("plan_catalog_syncs", "CATALOG_SYNC_SCHEDULE")
_CATALOG.queue("list_inventory", "catalog-passes")
_CATALOG.queue("fetch_products", "catalog-pieces")
_CATALOG.queue("download_files", "catalog-downloads")

_SEATS = Subject("functions.seats")
_SEATS.http("create_seat_job", "POST", "seat-jobs", Access.OPERATOR)
_SEATS.http("get_seat_job", "GET", "seat-jobs/{jobId}", Access.OPERATOR)
_SEATS.http("list_seat_job_results", "GET", "seat-jobs/{jobId}/results", Access.OPERATOR)
_SEATS.http("list_product_seats", "GET", "catalog/products/{productId}/{skuId}/seats", Access.OPERATOR)
_SEATS.http("get_seat", "GET", "catalog/products/{productId}/{skuId}/seats/{user}", Access.OPERATOR)
_SEATS.http("list_user_seats", "GET", "seats", Access.OPERATOR)
_SEATS.queue("take_seat_job", "seat-jobs")
_SEATS.queue("advance_seat_jobs", "seat-turns")
_SEATS.queue("change_seats", "seat-blocks")

_SWEEP = Subject("functions.sweep")
_SWEEP.timer("sweep", "SWEEP_SCHEDULE")

_POISON = Subject("functions.poison")
_POISON.http("list_poison", "GET", "poison", Access.OPERATOR)
_POISON.http("replay_poison", "POST", "poison/{queue}/{messageId}/replays", Access.OPERATOR)

_HEALTH = Subject("functions.health")
_HEALTH.http("get_health", "GET", "health", Access.ANYONE)
_HEALTH.http("get_readiness", "GET", "health/ready", Access.OPERATOR)
_HEALTH.http("get_openapi", "GET", "openapi.json", Access.ANYONE)

SUBJECTS = (
    _TOKENS,
    _KEYS,
    _ENTITLEMENTS,
    _FULFILLMENT,
    _REFUNDS,
    _CATALOG,
    _SEATS,
    _SWEEP,
    _POISON,
    _HEALTH,
)
"""All of them, in the order in which the host lists their functions."""
