"""What the catalogue's routes take and answer."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from shared.catalog.content import KeptLicense, Problem
from shared.catalog.files import artwork_name
from shared.catalog.record import Listed, Product
from shared.catalog.work import Pass
from shared.secret import masked
from shared.store.models.business import (
    DistributionPolicy,
    FrameworkPackageDetails,
    InventoryStatus,
    LicenseBlob,
    LicenseType,
    PackageFormat,
    ProductArchitecture,
    ProductDetails,
    ProductImage,
    ProductPlatform,
    PublisherDetails,
    VersionInfo,
)

type Status = Literal["running", "completed", "completedWithFailures", "failed"]
type Count = Annotated[int, msgspec.Meta(ge=0)]


class SyncRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A pass over one tenant's catalogue, or over all; ``full``: over everything, whatever is held already."""

    tenant_id: str | None = None
    full: bool = False


class SyncStarted(msgspec.Struct, rename="camel"):
    """Where to ask; ``begun`` is false where passes that ran already are all that there is."""

    sync_id: str
    begun: bool


class TenantSync(msgspec.Struct, rename="camel", omit_defaults=True):
    """One tenant's part. ``syncId`` is another where the tenant's pass ran already; ``reason``: why it waits or failed.

    ``seen``: products listed; ``fetched``: asked for; ``changed``: written; ``failed``: given up on; ``problems``: what
    the Store refuses for good; ``repaired``: drift that a full pass found; ``unlisted``: not listed, and yet known.
    """

    tenant_id: str
    sync_id: str
    status: Status
    full: bool
    started_on: datetime
    pages: Count
    seen: Count
    fetched: Count
    changed: Count
    failed: Count
    problems: Count
    repaired: Count
    removed: Count
    unlisted: Count
    files: Count
    downloaded_bytes: Count
    ended_on: datetime | None = None
    reason: str = ""


class SyncState(msgspec.Struct, rename="camel", omit_defaults=True):
    """A pass over one or more tenants, its counts added up."""

    sync_id: str
    status: Status
    started_on: datetime
    pages: Count
    seen: Count
    changed: Count
    failed: Count
    downloaded_bytes: Count
    tenants: list[TenantSync]
    ended_on: datetime | None = None


class ProductProblem(msgspec.Struct, rename="camel"):
    """Something of a product that could not be had, and why."""

    part: str
    reason: str


class CatalogProduct(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """A product of the catalogue. ``name`` in the language asked for or, where that is not kept, in another;
    ``lastModified`` exactly as the Store wrote it; ``logo`` is an address that is good for an hour.
    """

    product_id: str
    sku_id: str
    name: str
    publisher: str
    category: str
    application_type: str
    license_type: LicenseType
    distribution_policy: DistributionPolicy
    status: InventoryStatus
    seat_capacity: int
    available_seats: int
    last_modified: str
    changed_on: datetime
    logo: str | None = None
    problems: list[ProductProblem] = []


class CatalogPage(msgspec.Struct, rename="camel", omit_defaults=True):
    """A page of the catalogue; with a ``continuationToken`` there is another, and this one may be short or empty."""

    products: list[CatalogProduct]
    continuation_token: str | None = None


class CatalogImage(msgspec.Struct, rename="camel"):
    """Artwork; ``url`` is good for an hour."""

    url: str
    purpose: str
    height: str
    width: str
    caption: str
    background_color: str
    foreground_color: str
    file_size: int | None


class LocalizedProduct(msgspec.Struct, rename="camel"):
    """A product in a language that was asked for. ``language`` is what the Store gave: for a ``fallback`` another."""

    requested_language: str
    language: str
    fallback: bool
    display_name: str
    description: str
    publisher: PublisherDetails | None
    images: list[CatalogImage]


class FrameworkPackage(msgspec.Struct, rename="camel"):
    """A package; where ``held``, its content can be downloaded from ``packages/{packageId}/content``."""

    package_id: str
    content_id: str
    package_full_name: str
    package_identity_name: str
    architectures: list[ProductArchitecture]
    package_format: PackageFormat | None
    platforms: list[ProductPlatform]
    version: VersionInfo | None
    package_rank: int | None
    file_size: int
    file_hash: str | None
    file_hash_algorithm: str | None
    held: bool


class Package(FrameworkPackage, rename="camel"):
    """A package of an offline product, with the frameworks that it needs."""

    framework_dependency_packages: list[FrameworkPackage]


class HeldLicense(msgspec.Struct, rename="camel"):
    """An offline license that is held; its blob is at ``offline-licenses/{contentId}``."""

    content_id: str
    license_instance_id: str
    requestor_id: str


class License(msgspec.Struct, rename="camel"):
    """An offline license in the clear, for the management tool that distributes it."""

    product_id: str
    sku_id: str
    content_id: str
    license_instance_id: str
    requestor_id: str
    license_blob: str

    __repr__ = masked


class ProductPage(CatalogProduct, rename="camel", omit_defaults=True, kw_only=True):
    """All that is held of a product; ``details`` and the rest as far as the Store gave them."""

    details: ProductDetails | None = None
    localized: list[LocalizedProduct] = []
    packages: list[Package] = []
    licenses: list[HeldLicense] = []


def sync_state(sync_id: str, passes: Sequence[Pass]) -> SyncState:
    """The parts of a pass, and their sums."""
    tenants = [_tenant_sync(each) for each in passes]
    ended = [each.ended_on for each in tenants if each.ended_on]
    return SyncState(
        sync_id,
        _status([each.status for each in tenants]),
        min(each.started_on for each in tenants),
        sum(each.pages for each in tenants),
        sum(each.seen for each in tenants),
        sum(each.changed for each in tenants),
        sum(each.failed for each in tenants),
        sum(each.downloaded_bytes for each in tenants),
        tenants,
        max(ended) if len(ended) == len(tenants) else None,
    )


def shown(product: Listed, language: str | None, logos: Mapping[str, str]) -> CatalogProduct:
    """A product in a page."""
    entry = product.entry
    return CatalogProduct(
        product_id=entry.product_key.product_id,
        sku_id=entry.product_key.sku_id,
        name=product.name(language),
        publisher=product.publisher,
        category=product.category,
        application_type=product.application_type,
        license_type=entry.license_type,
        distribution_policy=entry.distribution_policy,
        status=entry.status,
        seat_capacity=entry.seat_capacity,
        available_seats=entry.available_seats,
        last_modified=entry.last_modified,
        changed_on=product.changed_on,
        logo=logos.get(product.logo or ""),
        problems=_problems(product.problems),
    )


def product_page(
    product: Product, summary: CatalogProduct, language: str | None, held: set[str], artwork: Mapping[str, str]
) -> ProductPage:
    """A product on a page of its own, in all languages or in one."""

    def image(each: ProductImage) -> CatalogImage:
        return CatalogImage(
            artwork[artwork_name(each)],
            each.purpose,
            each.height,
            each.width,
            each.caption,
            each.background_color,
            each.foreground_color,
            each.file_size,
        )

    content = product.content
    packages = content.package_set.product_packages if content.package_set else ()
    return ProductPage(
        **{name: getattr(summary, name) for name in summary.__struct_fields__},
        details=content.details,
        localized=[
            LocalizedProduct(
                asked,
                detail.language,
                detail.language.lower() != asked.lower(),
                detail.display_name,
                detail.description,
                detail.publisher,
                [image(each) for each in detail.images],
            )
            for asked, detail in content.localized.items()
            if language in {None, asked}
        ],
        packages=[
            Package(
                *_package(each, held),
                [FrameworkPackage(*_package(framework, held)) for framework in each.framework_dependency_packages],
            )
            for each in packages
        ],
        licenses=[
            HeldLicense(each.content_id, each.license_instance_id, each.requestor_id) for each in content.licenses
        ],
    )


def license_in_the_clear(product_id: str, sku_id: str, kept: KeptLicense, blob: LicenseBlob) -> License:
    """A license as its route answers it."""
    return License(product_id, sku_id, kept.content_id, kept.license_instance_id, kept.requestor_id, blob.reveal())


def digest_header(sha256: str) -> str:
    """The ``Digest`` header (RFC 3230) of a SHA-256 in hexadecimal."""
    return f"sha-256={base64.b64encode(bytes.fromhex(sha256)).decode()}"


def _tenant_sync(sync: Pass) -> TenantSync:
    tally = sync.tally
    return TenantSync(
        tenant_id=sync.tenant_id,
        sync_id=sync.sync_id,
        status=sync.state.value,
        full=sync.full,
        started_on=sync.started_on,
        ended_on=sync.ended_on,
        reason=sync.reason,
        **{name: getattr(tally, name) for name in tally.__struct_fields__},
    )


def _status(each: Sequence[Status]) -> Status:
    if "running" in each:
        return "running"
    if set(each) <= {"completed"}:
        return "completed"
    return "failed" if set(each) == {"failed"} else "completedWithFailures"


def _problems(problems: Sequence[Problem]) -> list[ProductProblem]:
    return [ProductProblem(each.part, each.reason) for each in problems]


def _package(
    package: FrameworkPackageDetails, held: set[str]
) -> tuple[
    str,
    str,
    str,
    str,
    list[ProductArchitecture],
    PackageFormat | None,
    list[ProductPlatform],
    VersionInfo | None,
    int | None,
    int,
    str | None,
    str | None,
    bool,
]:
    return (
        package.package_id,
        package.content_id,
        package.package_full_name,
        package.package_identity_name,
        list(package.architectures),
        package.package_format,
        list(package.platforms),
        package.version,
        package.package_rank,
        package.file_size,
        package.file_hash,
        package.file_hash_algorithm,
        package.package_id in held,
    )
