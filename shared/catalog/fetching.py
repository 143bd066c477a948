"""A product, fetched from the Store: details, localized details, packages, licenses, side by side.

What the Store definitively refuses (400, 404, 409: reference, "Operations") is a problem of the product and holds up
nothing else of it; anything else (throttled, no answer, no token, 403) raises, and the product is tried again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from shared.catalog.basis import Basis
from shared.catalog.content import Content, KeptLicense, Problem, with_lasting_addresses, without_addresses
from shared.catalog.files import File, artwork_of, packages_of
from shared.catalog.licensing import LicenseSealer
from shared.store.business import BusinessStore
from shared.store.errors import StoreRefusedError
from shared.store.models.business import (
    InventoryEntry,
    InventoryStatus,
    LicenseType,
    LocalizedProductDetail,
    ProductKey,
    ProductPackageSet,
)

DETAILS = "details"
PACKAGES = "packages"
LOCALIZED = "localized:"
LICENSE = "license:"

_LONGEST_REASON = 300
_DEFINITIVE = frozenset({None, 400, 404, 409, 410})
"""Statuses; None where we ourselves find that the Store no longer has something."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """``files`` with the addresses of just now. Parts that ``problems`` name are missing from ``content``."""

    content: Content
    problems: tuple[Problem, ...]
    files: list[File] = field(default_factory=list)


class Fetching:
    """Fetches products of any tenant."""

    def __init__(self, licenses: LicenseSealer) -> None:
        self._licenses = licenses

    async def fetch(self, store: BusinessStore, entry: InventoryEntry, basis: Basis) -> Fetched:
        """A product as the Store has it now.

        Of a product that was removed from the inventory nothing is asked that only owners get.

        :raises StoreError: not to be had now, though not refused for good.
        :raises StorekeeperError: no token, or no data key for a license.
        """
        key, owned = entry.product_key, entry.status is not InventoryStatus.REMOVED
        offline = entry.license_type is LicenseType.OFFLINE and owned
        asked = (
            asyncio.ensure_future(_asked(DETAILS, partial(store.get_product, key))),
            asyncio.ensure_future(_asked(PACKAGES, partial(store.get_packages, key)) if offline else _nothing()),
            asyncio.ensure_future(_all(partial(self._localized, store, key, language) for language in basis.languages)),
        )
        await asyncio.gather(*asked, return_exceptions=True)
        details, packages, localized = asked[0].result(), asked[1].result(), asked[2].result()
        if isinstance(details, Problem):
            # Without the product itself the rest is refused for the same reason.
            return Fetched(Content(), (details,))
        problems = [each for each in (packages, *localized) if isinstance(each, Problem)]
        in_languages = {
            language: detail
            for language, detail in zip(basis.languages, localized, strict=True)
            if isinstance(detail, LocalizedProductDetail)
        }
        files = artwork_of(key, in_languages)
        licenses: list[KeptLicense | Problem] = []
        package_set = None
        if isinstance(packages, ProductPackageSet):
            licenses = await self._licenses_of(store, key, packages)
            problems += [each for each in licenses if isinstance(each, Problem)]
            package_set = without_addresses(packages)
            files += packages_of(store.tenant_id, key, packages) if basis.with_packages else []
        content = Content(
            details,
            {language: with_lasting_addresses(detail) for language, detail in in_languages.items()},
            package_set,
            tuple(each for each in licenses if isinstance(each, KeptLicense)),
        )
        return Fetched(content, tuple(problems), files)

    async def _localized(
        self, store: BusinessStore, key: ProductKey, language: str
    ) -> LocalizedProductDetail | Problem:
        return await _asked(f"{LOCALIZED}{language}", partial(store.get_localized_product, key, language))

    async def _licenses_of(
        self, store: BusinessStore, key: ProductKey, packages: ProductPackageSet
    ) -> list[KeptLicense | Problem]:
        content_ids = dict.fromkeys(each.content_id for each in packages.product_packages if each.content_id)
        return await _all(
            partial(_asked, f"{LICENSE}{content_id}", partial(self._license, store, key, content_id))
            for content_id in content_ids
        )

    async def _license(self, store: BusinessStore, key: ProductKey, content_id: str) -> KeptLicense:
        license_ = await store.get_offline_license(key, content_id)
        sealed = await self._licenses.seal(store.tenant_id, key, content_id, license_.license_blob)
        return KeptLicense(
            content_id, license_.license_instance_id, license_.requestor_id, sealed.data, sealed.key_version
        )


async def _asked[T](part: str, ask: Callable[[], Awaitable[T]]) -> T | Problem:
    try:
        return await ask()
    except StoreRefusedError as refusal:
        if not is_about_product(refusal):
            raise
        return Problem(part, str(refusal)[:_LONGEST_REASON])
    except ValueError as error:
        # An id that no path can carry: the Store lists it, and nobody can ask for it.
        return Problem(part, str(error)[:_LONGEST_REASON])


def is_about_product(refusal: StoreRefusedError) -> bool:
    """Whether the Store says no to the product; else (403, say) to us, which whoever manages the tenant may mend."""
    return refusal.answer.status in _DEFINITIVE


async def _nothing() -> None:
    return None


async def _all[T](calls: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
    """All answers, or the first error once all have ended: none is left to fail unseen."""
    asked = [asyncio.ensure_future(call()) for call in calls]
    await asyncio.gather(*asked, return_exceptions=True)
    return [each.result() for each in asked]
