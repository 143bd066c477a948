"""The data structures of Store for Business as they go over the wire (reference, section "Data structures").

Property names are camelCase there; unknown ones are ignored. What identifies a thing is required; what the reference
does not promise has a default: an empty text or tuple where nothing is said, ``None`` where that is a fact to act on.
Date-times are texts, exactly as received: they have up to 7 fractional digits and one of them is sent back as it was
(:mod:`shared.store.wire_time` compares them).
"""

from datetime import datetime
from enum import StrEnum

import msgspec

from shared.secret import Secret
from shared.store.models.enums import WireEnum


class LicenseType(WireEnum):
    """Online: users get seats. Offline: packages and licenses are downloaded and distributed."""

    ONLINE = "Online"
    OFFLINE = "Offline"


class InventoryStatus(WireEnum):
    """Removed: no longer in the organization's inventory."""

    ACTIVE = "Active"
    REMOVED = "Removed"


class DistributionPolicy(WireEnum):
    """Open: seats without limit. Restricted: limited to the available seats."""

    OPEN = "Open"
    RESTRICTED = "Restricted"


class ApplicationType(WireEnum):
    """Enterprise: a line-of-business app."""

    STORE = "Store"
    ENTERPRISE = "Enterprise"


class ProductArchitecture(WireEnum):
    """What a package runs on."""

    NEUTRAL = "Neutral"
    ARM = "Arm"
    X86 = "x86"
    X64 = "x64"


class PackageFormat(WireEnum):
    """How a package is packed."""

    APPX = "Appx"
    APPX_BUNDLE = "appxBundle"
    XAP = "Xap"


class SeatState(WireEnum):
    """Whether a seat is held."""

    ACTIVE = "Active"
    REVOKED = "Revoked"


class SeatAction(StrEnum):
    """What a bulk call does; only sent, hence strict."""

    ASSIGN = "Assign"
    RECLAIM = "Reclaim"


class LicenseBlob(Secret):
    """The blob of an offline license: base64, installed on devices through a configuration service provider."""

    __slots__ = ()


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class ProductKey(_Wire, frozen=True):
    """What identifies a product of the inventory."""

    product_id: str
    sku_id: str


class InventoryEntry(_Wire, frozen=True):
    """InventoryEntryDetails. ``last_modified`` changes with details, packages and seat counts."""

    product_key: ProductKey
    seat_capacity: int
    available_seats: int
    last_modified: str
    license_type: LicenseType
    distribution_policy: DistributionPolicy
    status: InventoryStatus


class InventoryResultSet(_Wire, frozen=True):
    """The answer that an :class:`InventoryPage` is read from."""

    inventory_entries: tuple[InventoryEntry, ...] = ()
    continuation_token: str | None = None


class InventoryPage(msgspec.Struct, frozen=True):
    """A page of the inventory. ``continuation_token`` is for the next one, if any.

    ``answered_on`` is the Store's own clock, from the ``Date`` header.
    """

    entries: tuple[InventoryEntry, ...]
    continuation_token: str | None
    answered_on: datetime | None


class AlternateIdentifier(_Wire, frozen=True):
    """Another id of a product; ``type`` such as ``LegacyWindowStoreProductId``."""

    type: str = ""
    value: str = ""


class VersionInfo(_Wire, frozen=True):
    """A version of four numbers."""

    major: int = 0
    minor: int = 0
    build: int = 0
    revision: int = 0


class ProductPlatform(_Wire, frozen=True):
    """A platform with the versions that a package is for."""

    platform_name: str = ""
    min_version: VersionInfo | None = None
    max_tested_version: VersionInfo | None = None


class SupportedProductPlatform(_Wire, frozen=True):
    """A platform with the versions and architectures that a product is for."""

    platform_name: str = ""
    min_version: VersionInfo | None = None
    max_tested_version: VersionInfo | None = None
    architectures: tuple[ProductArchitecture, ...] = ()


class ProductDetails(_Wire, frozen=True):
    """What a product is, in no language."""

    product_key: ProductKey
    product_type: str = ""
    application_type: ApplicationType | None = None
    supported_languages: tuple[str, ...] = ()
    publisher_id: str = ""
    category: str = ""
    alternate_ids: tuple[AlternateIdentifier, ...] = ()
    package_family_name: str = ""
    supported_platforms: tuple[SupportedProductPlatform, ...] = ()


class ProductImage(_Wire, frozen=True):
    """Artwork at a CDN address; ``height`` and ``width`` are texts of pixels, colors ``#RRGGBB`` or empty."""

    location: str
    purpose: str = ""
    height: str = ""
    width: str = ""
    caption: str = ""
    background_color: str = ""
    foreground_color: str = ""
    file_size: int | None = None


class PublisherDetails(_Wire, frozen=True):
    """Who publishes a product."""

    publisher_name: str = ""
    publisher_website: str = ""


class LocalizedProductDetail(_Wire, frozen=True):
    """What a product is in one language: the one asked for, or a fallback."""

    language: str
    display_name: str = ""
    description: str = ""
    images: tuple[ProductImage, ...] = ()
    publisher: PublisherDetails | None = None


class PackageLocation(_Wire, frozen=True):
    """A CDN address; it expires, so ask again when it has."""

    url: str


class FrameworkPackageDetails(_Wire, frozen=True):
    """A package that others depend on. ``file_size`` is in bytes; a hash is text as the Store gives it."""

    package_id: str
    content_id: str
    location: PackageLocation
    package_full_name: str
    file_size: int
    package_identity_name: str = ""
    architectures: tuple[ProductArchitecture, ...] = ()
    package_format: PackageFormat | None = None
    platforms: tuple[ProductPlatform, ...] = ()
    package_rank: int | None = None
    version: VersionInfo | None = None
    file_hash: str | None = None
    file_hash_algorithm: str | None = None


class ProductPackageDetails(FrameworkPackageDetails, frozen=True):
    """A package of a product, with the frameworks that it needs."""

    framework_dependency_packages: tuple[FrameworkPackageDetails, ...] = ()


class ProductPackageSet(_Wire, frozen=True):
    """All packages of a product."""

    package_set_id: str
    product_packages: tuple[ProductPackageDetails, ...] = ()


class OfflineLicense(_Wire, frozen=True):
    """A license to distribute with a package; ``license_instance_id`` is its version."""

    product_key: ProductKey
    license_blob: LicenseBlob
    license_instance_id: str
    requestor_id: str = ""
    content_id: str = ""


class SeatDetails(_Wire, frozen=True):
    """A user's seat. ``assigned_to`` is a UPN."""

    assigned_to: str
    date_assigned: str
    state: SeatState
    product_key: ProductKey


class SeatPage(_Wire, frozen=True):
    """SeatDetailsResultSet. ``continuation_token`` is for the next page, if any."""

    seats: tuple[SeatDetails, ...] = ()
    continuation_token: str | None = None


class FailedSeatRequest(_Wire, frozen=True, kw_only=True):
    """A user whom a bulk call did not do its action for, and the Store's reason."""

    failure_reason: str = ""
    product_key: ProductKey | None = None
    user_name: str


class BulkSeatResult(_Wire, frozen=True):
    """BulkSeatOperationResultSet: who got through and who did not."""

    seat_details: tuple[SeatDetails, ...] = ()
    failed_seat_operations: tuple[FailedSeatRequest, ...] = ()
