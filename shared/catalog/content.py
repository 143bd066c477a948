"""What is kept of a product beside its inventory entry. Pure.

Addresses are left out, but for the lasting part of artwork's: those of the CDN expire, and two answers that differ in
nothing else are the same content.
"""

import hashlib
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

import msgspec

from shared.storage.sealing import Sealed
from shared.store.models.business import (
    FrameworkPackageDetails,
    InventoryEntry,
    LocalizedProductDetail,
    PackageLocation,
    ProductDetails,
    ProductPackageDetails,
    ProductPackageSet,
)

_NOWHERE = PackageLocation("")


class KeptLicense(msgspec.Struct, frozen=True, rename="camel"):
    """An offline license, its blob sealed for tenant, product and content id."""

    content_id: str
    license_instance_id: str
    requestor_id: str
    sealed: bytes
    key_version: str

    def __repr__(self) -> str:
        return f"KeptLicense({self.content_id!r}, {self.license_instance_id!r})"

    @property
    def blob(self) -> Sealed:
        """The blob at rest."""
        return Sealed(self.sealed, self.key_version)


class Problem(msgspec.Struct, frozen=True, rename="camel"):
    """Something of a product that cannot be had: which part (``details``, ``localized:fr-fr``, ``packages``,
    ``license:CONTENT_ID``, ``artwork:NAME``, ``package:PACKAGE_ID``), and why.
    """

    part: str
    reason: str


class Content(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """``localized`` by the language that was asked for; a detail's own ``language`` is another where the Store fell
    back to one.
    """

    details: ProductDetails | None = None
    localized: Mapping[str, LocalizedProductDetail] = {}
    package_set: ProductPackageSet | None = None
    licenses: tuple[KeptLicense, ...] = ()


def lasting(address: str) -> str:
    """An address without its query and fragment, where the CDN has expiry and signature."""
    return urlunsplit((*urlsplit(address)[:3], "", ""))


def without_addresses(packages: ProductPackageSet) -> ProductPackageSet:
    """The packages as they are kept."""
    return msgspec.structs.replace(packages, product_packages=tuple(map(_package, packages.product_packages)))


def with_lasting_addresses(detail: LocalizedProductDetail) -> LocalizedProductDetail:
    """The localized details as they are kept."""
    images = tuple(msgspec.structs.replace(image, location=lasting(image.location)) for image in detail.images)
    return msgspec.structs.replace(detail, images=images)


def digest(entry: InventoryEntry, content: Content, problems: tuple[Problem, ...]) -> str:
    """Tells one state of a product from another: 16 bytes in hexadecimal.

    A license counts by its instance id, since the same license is sealed differently each time.
    """
    licenses = [(each.content_id, each.license_instance_id, each.requestor_id) for each in content.licenses]
    plain = msgspec.structs.replace(content, licenses=())
    return hashlib.blake2b(msgspec.json.encode((entry, plain, licenses, problems)), digest_size=16).hexdigest()


def stamp(entry: InventoryEntry, basis: str) -> str:
    """Tells whether an entry is one that was fetched already, on the same settings: 8 bytes in hexadecimal."""
    return hashlib.blake2b(msgspec.json.encode((entry, basis)), digest_size=8).hexdigest()


def _package(package: ProductPackageDetails) -> ProductPackageDetails:
    frameworks = tuple(map(_framework, package.framework_dependency_packages))
    return msgspec.structs.replace(package, location=_NOWHERE, framework_dependency_packages=frameworks)


def _framework(package: FrameworkPackageDetails) -> FrameworkPackageDetails:
    return msgspec.structs.replace(package, location=_NOWHERE)
