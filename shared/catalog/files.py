"""Which files a product has, and under which name each is held. Pure.

A name says what the file is, so that what is held already is not downloaded again, for whatever product or tenant.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec

from shared.catalog.content import lasting
from shared.store.models.business import (
    FrameworkPackageDetails,
    LocalizedProductDetail,
    ProductImage,
    ProductKey,
    ProductPackageSet,
)

ARTWORK: Final = "artwork"
PACKAGES: Final = "packages"
"""The two containers."""

ARTWORK_GROUP = 64
MAX_ARTWORK_GROUPS = 12
PACKAGE_GROUP_BYTES = 32 * 1024 * 1024
MAX_PACKAGE_GROUPS = 36
"""Groups of files that one piece of products makes at most; with its products they fit into one transaction."""


class File(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A file to be held as blob ``name`` of ``container``.

    ``address`` is the one that came with the product and may have expired since. ``part`` is the package's id, or the
    language in which the artwork was found: by it the Store is asked for another address. ``sha256`` in hexadecimal.
    ``fresh``: look for the blob, even where this process has seen it before.
    """

    container: Literal["artwork", "packages"]
    name: str
    product: ProductKey
    part: str
    address: str
    size: int | None = None
    sha256: str | None = None
    fresh: bool = False

    @property
    def problem_part(self) -> str:
        """What a problem with this file is filed under."""
        return f"package:{self.part}" if self.container == PACKAGES else f"artwork:{self.name}"


def artwork_name(image: ProductImage) -> str:
    """The name of an image's blob: of its address without what expires, and of its size, which may stand there."""
    facts = "\n".join((lasting(image.location), image.width, image.height, str(image.file_size)))
    return hashlib.sha256(facts.encode()).hexdigest()


def package_name(tenant_id: str, product: ProductKey, package: FrameworkPackageDetails) -> str:
    """The name of a package's blob: its hash where the Store gives it, otherwise all that the Store says of it."""
    sha256 = sha256_of(package)
    if sha256:
        return f"sha256/{sha256}"
    facts = msgspec.json.encode((tenant_id, product, package.package_id, package.content_id, package.package_full_name))
    named = hashlib.sha256(facts + str(package.file_size).encode()).hexdigest()
    return f"unhashed/{named}"


def sha256_of(package: FrameworkPackageDetails) -> str | None:
    """The package's SHA-256 in hexadecimal, where the Store gives one that can be read, as base64 or hexadecimal."""
    algorithm = (package.file_hash_algorithm or "").upper().replace("-", "")
    text = package.file_hash or ""
    if algorithm != "SHA256" or not text:
        return None
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return text.lower()
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return raw.hex() if len(raw) == hashlib.sha256().digest_size else None


def artwork_of(product: ProductKey, localized: Mapping[str, LocalizedProductDetail]) -> list[File]:
    """The images of a product, each once."""
    found: dict[str, File] = {}
    for language, detail in localized.items():
        for image in detail.images:
            name = artwork_name(image)
            file = File(ARTWORK, name, product, language, image.location, image.file_size or None)
            found.setdefault(name, file)
    return list(found.values())


def packages_of(tenant_id: str, product: ProductKey, packages: ProductPackageSet) -> list[File]:
    """The packages of a product with the frameworks that they need, each once."""
    found: dict[str, File] = {}
    for package in every_package(packages):
        name = package_name(tenant_id, product, package)
        size = package.file_size or None
        file = File(PACKAGES, name, product, package.package_id, package.location.url, size, sha256_of(package))
        found.setdefault(name, file)
    return list(found.values())


def every_package(packages: ProductPackageSet) -> Iterator[FrameworkPackageDetails]:
    """The packages of a set and the frameworks that they need."""
    for package in packages.product_packages:
        yield package
        yield from package.framework_dependency_packages


def grouped(files: Iterable[File]) -> list[list[File]]:
    """Files that are downloaded together: artwork by number, packages by size."""
    found = {file.container + file.name: file for file in files}.values()
    artwork = [file for file in found if file.container == ARTWORK]
    packages = [file for file in found if file.container == PACKAGES]
    share = max(ARTWORK_GROUP, -(-len(artwork) // MAX_ARTWORK_GROUPS))
    groups = [artwork[at : at + share] for at in range(0, len(artwork), share)]
    return groups + _by_size(packages)


def _by_size(packages: Sequence[File]) -> list[list[File]]:
    groups: list[list[File]] = []
    room = 0
    for file in packages:
        size = file.size or PACKAGE_GROUP_BYTES
        if not groups or (size > room and len(groups) < MAX_PACKAGE_GROUPS):
            groups.append([])
            room = PACKAGE_GROUP_BYTES
        groups[-1].append(file)
        room -= size
    return groups
