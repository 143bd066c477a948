"""What is kept of one product, and how it is written as one table row. Pure.

The row shows in its properties what a page of the catalogue shows, and holds all the rest compressed: a page reads the
former alone, and a pass writes one row a product.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec

from shared.catalog.content import Content, Problem, digest, stamp
from shared.catalog.files import artwork_name
from shared.catalog.packing import MAX_PACKED, pack, unpack
from shared.clock import from_iso, to_iso
from shared.storage.rows import Row
from shared.store.models.business import (
    DistributionPolicy,
    InventoryEntry,
    InventoryStatus,
    LicenseType,
    LocalizedProductDetail,
    ProductKey,
)

PREFIX = "product|"
AFTER = "product~"
"""No row of a product sorts behind it."""

SHOWN = (
    "RowKey",
    "productId",
    "skuId",
    "lastModified",
    "licenseType",
    "policy",
    "status",
    "capacity",
    "available",
    "names",
    "publisher",
    "category",
    "applicationType",
    "logo",
    "problems",
    "changedOn",
)
"""The properties that a page of the catalogue shows."""

_LONGEST_NAME = 256
_LONGEST_NAMES = 30_000
"""Characters; a property of text holds 32 Ki."""

_names = msgspec.json.Decoder(dict[str, str])
_problems = msgspec.json.Decoder(tuple[Problem, ...])
_content = msgspec.json.Decoder(Content)


@dataclass(frozen=True, slots=True)
class Listed:
    """A product as a page of the catalogue shows it. ``names`` by language; ``logo`` is the name of a blob."""

    entry: InventoryEntry
    names: Mapping[str, str]
    publisher: str
    category: str
    application_type: str
    logo: str | None
    problems: tuple[Problem, ...]
    changed_on: datetime

    def name(self, language: str | None) -> str:
        """The name in a language, or in the first of those that are kept."""
        return self.names.get(language or "") or next(iter(self.names.values()), "")


@dataclass(frozen=True, slots=True)
class Product:
    """A product.

    ``basis`` are the settings it was fetched on; not ``complete`` where something could not be had that another try may
    bring; ``changed_on`` is when we wrote another state than before.
    """

    entry: InventoryEntry
    content: Content
    problems: tuple[Problem, ...]
    complete: bool
    basis: str
    changed_on: datetime
    etag: str | None = None


def row_name(product: ProductKey) -> str:
    """The row key: ids in characters that one may hold."""
    return f"{PREFIX}{_safe(product.product_id)}|{_safe(product.sku_id)}"


def to_row(tenant_id: str, product: Product, *, doubted: bool = False) -> dict[str, Any]:
    """The product's row. A ``doubted`` one is written anew by the next fetch, whatever that brings."""
    entry, content = product.entry, product.content
    names = _shown_names(content.localized)
    publisher = next((each.publisher.publisher_name for each in content.localized.values() if each.publisher), "")
    details = content.details
    row: dict[str, Any] = {
        "PartitionKey": tenant_id,
        "RowKey": row_name(entry.product_key),
        "productId": entry.product_key.product_id,
        "skuId": entry.product_key.sku_id,
        "lastModified": entry.last_modified,
        "licenseType": str(entry.license_type),
        "policy": str(entry.distribution_policy),
        "status": str(entry.status),
        "capacity": str(entry.seat_capacity),
        "available": str(entry.available_seats),
        "names": names,
        "publisher": publisher[:_LONGEST_NAME],
        "category": details.category[:_LONGEST_NAME] if details else "",
        "applicationType": str(details.application_type or "") if details else "",
        "logo": _logo(content.localized) or "",
        "problems": msgspec.json.encode(product.problems),
        "basis": product.basis,
        "stamp": stamp(entry, product.basis) if product.complete else "",
        "digest": "" if doubted else digest(entry, content, product.problems),
        "changedOn": to_iso(product.changed_on),
    }
    return row | _packed(content)


def listed(row: Row) -> Listed:
    """What a page shows of a row, of which :data:`SHOWN` was read."""
    return Listed(
        entry=_entry(row),
        names=_names.decode(row["names"]),
        publisher=row["publisher"],
        category=row["category"],
        application_type=row["applicationType"],
        logo=row["logo"] or None,
        problems=_problems.decode(row["problems"]),
        changed_on=from_iso(row["changedOn"]),
    )


def summary(product: Product) -> Listed:
    """What a page shows of a product that was read as a whole."""
    return listed(to_row("", product))


def from_row(row: Row, etag: str) -> Product:
    """The inverse of :func:`to_row`."""
    return Product(
        entry=_entry(row),
        content=_content.decode(unpack("content", row)),
        problems=_problems.decode(row["problems"]),
        complete=bool(row["stamp"]),
        basis=row["basis"],
        changed_on=from_iso(row["changedOn"]),
        etag=etag,
    )


def _entry(row: Row) -> InventoryEntry:
    return InventoryEntry(
        ProductKey(row["productId"], row["skuId"]),
        int(row["capacity"]),
        int(row["available"]),
        row["lastModified"],
        LicenseType(row["licenseType"]),
        DistributionPolicy(row["policy"]),
        InventoryStatus(row["status"]),
    )


def _packed(content: Content) -> dict[str, Any]:
    """The content's properties; what is too much for a row loses its descriptions, the one part without a bound."""
    try:
        return pack("content", msgspec.json.encode(content))
    except OverflowError:
        share = MAX_PACKED // 4 // (len(content.localized) or 1)
        shortened = {
            language: msgspec.structs.replace(detail, description=detail.description[: share // 4])
            for language, detail in content.localized.items()
        }
        return pack("content", msgspec.json.encode(msgspec.structs.replace(content, localized=shortened)))


def _shown_names(localized: Mapping[str, LocalizedProductDetail]) -> str:
    names: dict[str, str] = {}
    room = _LONGEST_NAMES
    for language, detail in localized.items():
        names[language] = detail.display_name[:_LONGEST_NAME]
        room -= len(msgspec.json.encode({language: names[language]}).decode())
        if room < 0:
            del names[language]
            break
    return msgspec.json.encode(names).decode()


def _logo(localized: Mapping[str, LocalizedProductDetail]) -> str | None:
    images = [image for detail in localized.values() for image in detail.images]
    chosen = next((image for image in images if "logo" in image.purpose.lower()), images[0] if images else None)
    return artwork_name(chosen) if chosen else None


def _safe(part: str) -> str:
    # A row key takes no slashes; quote() writes neither "!" nor "|" itself.
    return re.sub("%", "!", quote(part, safe=""))
