"""The catalogue for those who look at it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import msgspec

from shared.catalog.content import KeptLicense
from shared.catalog.files import ARTWORK, PACKAGES, artwork_name, every_package, package_name
from shared.catalog.licensing import LicenseSealer
from shared.catalog.record import AFTER, PREFIX, SHOWN, Listed, Product, listed
from shared.catalog.shelf import PAGE, Shelf
from shared.catalog.side_by_side import side_by_side
from shared.errors import NotFoundError, StateConflictError, UnavailableError
from shared.storage.blobs import Blob, Container
from shared.storage.sealing import UnsealError
from shared.store.models.business import InventoryEntry, LicenseBlob, LicenseType, ProductKey

ARTWORK_ADDRESS = timedelta(hours=1)
PACKAGE_ADDRESS = timedelta(minutes=5)
"""How long the addresses of blobs are good that callers get."""

MAX_REMEMBERED = 50_000
"""Names of artwork that is known to be held: it is looked for once, and not for every page that shows it."""

MAX_SCANNED = 5_000
"""Products that one question looks at: where few match, a page may have fewer than were asked for, and go on."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which products to show; None: any. ``search`` is looked for in names in all languages, in any letter case."""

    license_type: str | None = None
    status: str | None = None
    search: str | None = None

    def match(self, product: Listed) -> bool:
        """Whether to show a product."""
        entry = product.entry
        return (
            (self.license_type is None or entry.license_type.lower() == self.license_type.lower())
            and (self.status is None or entry.status.lower() == self.status.lower())
            and (
                self.search is None or any(self.search.casefold() in name.casefold() for name in product.names.values())
            )
        )


@dataclass(frozen=True, slots=True)
class CataloguePage:
    """``after``: where the next page begins, None at the end."""

    products: list[Listed]
    after: str | None


@dataclass(frozen=True, slots=True)
class HeldPackage:
    """A package that is held. ``sha256`` in hexadecimal."""

    name: str
    file_name: str
    blob: Blob

    @property
    def sha256(self) -> str:
        """The hash that was computed when it was downloaded."""
        return self.blob.metadata.get("sha256", "")


class Reading:
    """Reads what is held. Every method raises UnavailableError where storage is away."""

    def __init__(self, shelf: Shelf, licenses: LicenseSealer, containers: Mapping[str, Container]) -> None:
        self._shelf = shelf
        self._licenses = licenses
        self._containers = containers
        self._shown: set[str] = set()

    async def page(self, tenant_id: str, filters: Filters, count: int, after: str | None = None) -> CataloguePage:
        """Up to ``count`` products that the filters let through, in the order of their ids."""
        found: list[Listed] = []
        start = f"{after} " if after else PREFIX
        for _ in range(MAX_SCANNED // PAGE):
            # Some more than are wanted, so that it is known whether there are others.
            wanted = PAGE if filters != Filters() else count - len(found) + 1
            rows = await self._shelf.table.first(tenant_id, start, AFTER, wanted, select=SHOWN)
            for row in rows:
                if len(found) == count:
                    return CataloguePage(found, start.rstrip(" "))
                product = listed(row)
                start = row["RowKey"] + " "
                if filters.match(product):
                    found.append(product)
            if len(rows) < wanted:
                return CataloguePage(found, None)
        return CataloguePage(found, start.rstrip(" "))

    async def entry(self, tenant_id: str, product: ProductKey) -> InventoryEntry | None:
        """A product's inventory entry as it was last listed, or None where the product is not held."""
        found = await self._shelf.product(tenant_id, product)
        return found.entry if found else None

    async def product(self, tenant_id: str, product: ProductKey) -> Product:
        """All that is held of a product; images that are not held yet are left out.

        :raises NotFoundError: the product is not held.
        """
        found = await self._known(tenant_id, product)
        details = found.content.localized
        held = await self._held_artwork({artwork_name(image) for each in details.values() for image in each.images})
        localized = {
            language: msgspec.structs.replace(
                detail, images=tuple(image for image in detail.images if artwork_name(image) in held)
            )
            for language, detail in details.items()
        }
        return replace(found, content=msgspec.structs.replace(found.content, localized=localized))

    async def license(self, tenant_id: str, product: ProductKey, content_id: str) -> tuple[KeptLicense, LicenseBlob]:
        """An offline license, and its blob in the clear.

        :raises NotFoundError: product or license are not held.
        :raises StateConflictError: the product is licensed online.
        """
        found = await self._offline(tenant_id, product)
        kept = next((each for each in found.content.licenses if each.content_id == content_id), None)
        if kept is None:
            raise NotFoundError("No license for that content id is held")
        try:
            return kept, await self._licenses.open(tenant_id, product, content_id, kept.blob)
        except UnsealError as error:
            raise UnavailableError("key-vault", f"the license cannot be opened: {error}", retry_after=60.0) from error

    async def package(self, tenant_id: str, product: ProductKey, package_id: str) -> HeldPackage:
        """A package, or a framework that one depends on.

        :raises NotFoundError: product or package are not known, or the package is not held.
        :raises StateConflictError: the product is licensed online.
        """
        found = await self._offline(tenant_id, product)
        packages = found.content.package_set
        package = (
            next((each for each in every_package(packages) if each.package_id == package_id), None)
            if packages
            else None
        )
        if package is None:
            raise NotFoundError("No such package of that product")
        name = package_name(tenant_id, product, package)
        blob = await self._containers[PACKAGES].find(name)
        if blob is None:
            raise NotFoundError("That package is not held; it was not downloaded yet, or could not be")
        suffix = (package.package_format or "package").lower()
        return HeldPackage(name, f"{package.package_full_name}.{suffix}", blob)

    async def held_packages(self, tenant_id: str, product: Product) -> set[str]:
        """The ids of those packages and frameworks of a product that are held."""
        if product.content.package_set is None:
            return set()
        names = {
            each.package_id: package_name(tenant_id, product.entry.product_key, each)
            for each in every_package(product.content.package_set)
        }
        found = await asyncio.gather(*(self._containers[PACKAGES].find(name) for name in names.values()))
        return {package_id for package_id, blob in zip(names, found, strict=True) if blob}

    async def package_address(self, package: HeldPackage) -> str:
        """An address from which the package can be read for some minutes."""
        return await self._containers[PACKAGES].address(package.name, PACKAGE_ADDRESS, file_name=package.file_name)

    async def artwork_addresses(self, names: Sequence[str]) -> dict[str, str]:
        """Addresses from which artwork that is held can be shown for an hour, by the names of its blobs."""
        container = self._containers[ARTWORK]
        return {name: await container.address(name, ARTWORK_ADDRESS) for name in await self._held_artwork(set(names))}

    async def _held_artwork(self, names: set[str]) -> set[str]:
        unknown = list(names - self._shown)
        blobs = await side_by_side(self._containers[ARTWORK].find, unknown)
        held = {name for name, blob in zip(unknown, blobs, strict=True) if blob}
        known = names & self._shown
        if len(self._shown) + len(held) > MAX_REMEMBERED:
            self._shown.clear()
        self._shown |= held
        return known | held

    async def _known(self, tenant_id: str, product: ProductKey) -> Product:
        found = await self._shelf.product(tenant_id, product)
        if found is None:
            raise NotFoundError("No such product in the catalogue")
        return found

    async def _offline(self, tenant_id: str, product: ProductKey) -> Product:
        found = await self._known(tenant_id, product)
        if found.entry.license_type is not LicenseType.OFFLINE:
            raise StateConflictError("Not offline: this product has no packages and licenses to distribute")
        return found
