"""The catalogue: passes begun and carried out, products shown, packages and licenses handed out."""

from azure.functions import TimerRequest

from functions.catalog_shapes import (
    CatalogPage,
    License,
    ProductPage,
    SyncRequest,
    SyncStarted,
    SyncState,
    digest_header,
    license_in_the_clear,
    product_page,
    shown,
    sync_state,
)
from functions.http.answers import Answer
from functions.http.calls import Call
from functions.http.endpoints import endpoint
from functions.http.queries import Query
from functions.http.tenants import TENANT, tenant_named, tenant_of, tenants
from functions.parts import parts, settings
from functions.queues import queue_function
from functions.timers import timer_function
from shared.catalog import tokens
from shared.catalog.files import artwork_name
from shared.catalog.messages import DOWNLOADS_QUEUE, PASSES_QUEUE, PIECES_QUEUE, WorkMessage
from shared.catalog.reading import Filters
from shared.catalog.record import summary
from shared.correlation import get_logger
from shared.errors import BadRequestError, InputFault, NotFoundError
from shared.store.models.business import InventoryStatus, LicenseType, ProductKey
from shared.tenants import SWITCHED_OFF

_LANGUAGE = Query("one of the languages of CATALOG_LANGUAGES, such as en-us")
_DEFAULT_PAGE, _MAX_PAGE = 50, 200

_log = get_logger(__name__)


@endpoint(
    answers={200: CatalogPage},
    query={
        "tenantId": TENANT,
        "licenseType": Query("only products so licensed", choices=tuple(LicenseType)),
        "status": Query("only products of this status", choices=tuple(InventoryStatus)),
        "search": Query("only products with this in their name, in any language and letter case"),
        "language": _LANGUAGE,
        "pageSize": Query(f"products in a page; {_DEFAULT_PAGE} unless told", kind="count", most=_MAX_PAGE),
        "continuationToken": Query("where the page before said that it goes on"),
    },
)
async def list_products(call: Call) -> Answer:
    """A page of a tenant's catalogue, in the order of the products' ids."""
    tenant_id, query = tenant_of(call), call.query
    language = (query.text("language") or "").lower() or None
    filters = Filters(query.text("licenseType"), query.text("status"), query.text("search"))
    question = (tenant_id, filters.license_type, filters.status, filters.search)
    token, after = query.text("continuationToken"), None
    if token:
        try:
            after = tokens.decode(question, token)
        except tokens.ContinuationError as error:
            raise _bad("?continuationToken", str(error)) from error
    reading = parts().catalog.reading
    page = await reading.page(tenant_id, filters, query.count("pageSize", _DEFAULT_PAGE), after)
    logos = await reading.artwork_addresses([each.logo for each in page.products if each.logo])
    following = tokens.encode(question, page.after) if page.after else None
    return Answer(200, CatalogPage([shown(each, language, logos) for each in page.products], following))


@endpoint(
    answers={200: ProductPage},
    query={"tenantId": TENANT, "language": _LANGUAGE},
)
async def get_product(call: Call) -> Answer:
    """All that is held of a product: inventory, details, localized details, images, packages, licenses held."""
    tenant_id = tenant_of(call)
    language = (call.query.text("language") or "").lower() or None
    if language and language not in settings().catalog_languages:
        raise _bad("?language", f"expected one of {', '.join(settings().catalog_languages)}")
    reading = parts().catalog.reading
    product = await reading.product(tenant_id, _product(call))
    images = [image for detail in product.content.localized.values() for image in detail.images]
    artwork = await reading.artwork_addresses([artwork_name(image) for image in images])
    held = await reading.held_packages(tenant_id, product)
    return Answer(200, product_page(product, shown(summary(product), language, artwork), language, held, artwork))


@endpoint(
    answers={302: None},
    query={"tenantId": TENANT},
)
async def get_package_content(call: Call) -> Answer:
    """Leads to a package or framework, by an address that is good for five minutes; its hash is in ``Digest``."""
    reading = parts().catalog.reading
    package = await reading.package(tenant_of(call), _product(call), _part(call, "packageId"))
    headers = {"Location": await reading.package_address(package), "Cache-Control": "no-store"}
    if package.sha256:
        headers["Digest"] = digest_header(package.sha256)
    return Answer(302, headers=headers)


@endpoint(
    answers={200: License},
    query={"tenantId": TENANT},
)
async def get_offline_license(call: Call) -> Answer:
    """An offline license with its blob in the clear."""
    product = _product(call)
    kept, blob = await parts().catalog.reading.license(tenant_of(call), product, _part(call, "contentId"))
    shown_license = license_in_the_clear(product.product_id, product.sku_id, kept, blob)
    return Answer(200, shown_license, {"Cache-Control": "no-store"})


@endpoint(body=SyncRequest, answers={202: SyncStarted})
async def start_sync(call: Call) -> Answer:
    """Begins a pass over one tenant's catalogue or over all; where passes run already, leads to those."""
    request = call.body(SyncRequest)
    tenant_ids = tenants() if request.tenant_id is None else [tenant_named(request.tenant_id, "/tenantId")]
    if not tenant_ids:
        raise NotFoundError(SWITCHED_OFF)
    started = await parts().catalog.starting.start(tenant_ids, full=request.full)
    headers = {"Location": f"/api/catalog/syncs/{started.sync_id}"}
    return Answer(202, SyncStarted(started.sync_id, started.begun), headers)


@endpoint(
    answers={200: SyncState},
    query={"tenantId": TENANT},
)
async def get_sync(call: Call) -> Answer:
    """How far a pass is, in all and for each tenant."""
    named = call.query.text("tenantId")
    tenant_ids = tenants() if named is None else [tenant_of(call)]
    passes = await parts().catalog.starting.find(tenant_ids, call.path("syncId"))
    if not passes:
        raise NotFoundError("No such pass; passes are forgotten 30 days after their end")
    return Answer(200, sync_state(call.path("syncId"), passes))


@timer_function
async def plan_catalog_syncs(timer: TimerRequest) -> None:
    """Begins a pass over every tenant's catalogue."""
    if not tenants():
        return
    started = await parts().catalog.starting.start(tenants())
    _log.info("pass %s %s", started.sync_id, "begun" if started.begun else "runs already")


@queue_function(PASSES_QUEUE, WorkMessage)
async def list_inventory(message: WorkMessage) -> None:
    """Lists a tenant's inventory."""
    await parts().catalog.working.carry_out(message)


@queue_function(PIECES_QUEUE, WorkMessage)
async def fetch_products(message: WorkMessage) -> None:
    """Fetches some products of a listing."""
    await parts().catalog.working.carry_out(message)


@queue_function(DOWNLOADS_QUEUE, WorkMessage)
async def download_files(message: WorkMessage) -> None:
    """Downloads some artwork or packages."""
    await parts().catalog.working.carry_out(message)


def _product(call: Call) -> ProductKey:
    return ProductKey(_part(call, "productId"), _part(call, "skuId"))


def _part(call: Call, name: str) -> str:
    # Hosts decode a path but for its slashes, which would part it anew.
    return call.path(name).replace("%2F", "/").replace("%2f", "/")


def _bad(pointer: str, detail: str) -> BadRequestError:
    return BadRequestError("The query cannot be read", faults=(InputFault(pointer, detail),))
