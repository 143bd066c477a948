"""The packages of a product and the framework packages that they need, made from the product's record.

Source: Store for Business reference, "Data structures"; fixtures ``product-package*``. Values are JSON as on the wire
with addresses as ``cdn:PATH`` (see ``content.py``).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from local.emulator.business.content import Json, identity_name, publisher, stable_id, version
from local.emulator.business.records import Product

type HashOf = Callable[[str, int], str]
"""Gives the base64 SHA-256 of the file of a package id and a size."""

# Shared by the products of all tenants: identity name and version; in three architectures each.
_FRAMEWORKS = (
    ("Microsoft.VCLibs.140.00", (14, 0, 24123, 0)),
    ("Microsoft.NET.Native.Framework.1.7", (1, 7, 27413, 0)),
    ("Microsoft.NET.Native.Runtime.1.7", (1, 7, 27422, 0)),
    ("Microsoft.UI.Xaml.2.8", (8, 2212, 15002, 0)),
)
_MICROSOFT = "8wekyb3d8bbwe"
_ARCHITECTURES = ("x64", "x86", "Arm", "neutral", "Neutral", "arm")
_FORMATS = ("appxBundle", "Appx", "appx", "AppxBundle")


@dataclass(frozen=True)
class Package:
    """A package as its content follows from it. ``hashed`` ones come with their hash."""

    package_id: str
    content_id: str
    identity_name: str
    publisher_id: str
    version: tuple[int, int, int, int]
    architecture: str
    package_format: str
    size: int
    rank: int
    hashed: bool
    frameworks: tuple["Package", ...] = ()

    @property
    def full_name(self) -> str:
        """Such as ``Microsoft.BingTranslator_1.1.10917.2059_x86__8wekyb3d8bbwe``."""
        number = ".".join(str(part) for part in self.version)
        return f"{self.identity_name}_{number}_{self.architecture.lower()}__{self.publisher_id}"

    @property
    def path(self) -> str:
        """Where the CDN has the file: id and size in the path are all that its bytes follow from."""
        return f"packages/{self.package_id}/{self.size}/{self.full_name}.{self.package_format.lower()}"

    def as_json(self, hash_of: HashOf) -> Json:
        """Return the ProductPackageDetails."""
        return {
            "frameworkDependencyPackages": [each.as_framework(hash_of) for each in self.frameworks],
            **self.as_framework(hash_of),
        }

    def as_framework(self, hash_of: HashOf) -> Json:
        """Return the FrameworkPackageDetails."""
        hashes = {"fileHash": hash_of(self.package_id, self.size), "fileHashAlgorithm": "SHA256"} if self.hashed else {}
        return {
            "packageId": self.package_id,
            "contentId": self.content_id,
            "location": {"url": f"cdn:{self.path}"},
            "packageFullName": self.full_name,
            "packageIdentityName": self.identity_name,
            "architectures": [self.architecture],
            "packageFormat": self.package_format,
            "platforms": [
                {
                    "platformName": "Windows.Universal",
                    "minVersion": version(10, 0, 10240, 0),
                    "maxTestedVersion": version(10, 0, 14393, 0),
                }
            ],
            "fileSize": self.size,
            "packageRank": self.rank,
            "version": version(*self.version),
            **hashes,
        }


def packages(product: Product, slug: str) -> list[Package]:
    """Return the packages; an update makes them new ones with the content ids, and so the licenses, of before."""
    name, publisher_id = identity_name(product, slug), publisher(product, slug)[2]
    update = product.revisions.packages
    made = []
    for number in range(product.packages):
        random = Random(f"package {product.seed} {number}")
        architecture = _ARCHITECTURES[(product.seed + number) % len(_ARCHITECTURES)]
        size = Random(f"size {product.seed} {number} {update}").randrange(20_000, 200_000)
        made.append(
            Package(
                package_id=f"pkg-{stable_id(f'{product.seed} {number} {update} {product.package_size}')}",
                content_id=stable_id(f"content {product.seed} {number}"),
                identity_name=name,
                publisher_id=publisher_id,
                version=(1, random.randrange(20), random.randrange(20_000) + update, 0),
                architecture=architecture,
                package_format=random.choice(_FORMATS),
                size=size if product.package_size is None else product.package_size,
                rank=30_000 + number,
                hashed=(product.seed + number) % 8 != 5 if product.hashed is None else product.hashed,
                frameworks=tuple(_frameworks(random, architecture)),
            )
        )
    return made


def package_set(product: Product, made: list[Package], hash_of: HashOf) -> Json:
    """Return the ProductPackageSet."""
    identifier = stable_id(f"set {product.seed} {product.revisions.packages}")
    return {"packageSetId": f"set-{identifier}", "productPackages": [each.as_json(hash_of) for each in made]}


def _frameworks(random: Random, architecture: str) -> Iterator[Package]:
    wanted = architecture.lower() if architecture.lower() != "neutral" else "x86"
    for identity, number in random.sample(_FRAMEWORKS, random.randrange(len(_FRAMEWORKS))):
        name = f"{identity} {wanted}"
        yield Package(
            package_id=f"fw-{stable_id(name)}",
            content_id=stable_id(f"content {name}"),
            identity_name=identity,
            publisher_id=_MICROSOFT,
            version=number,
            architecture=wanted,
            package_format="Appx",
            size=Random(name).randrange(40_000, 160_000),
            rank=30_000,
            hashed=True,
        )
