"""How an offline license rests: sealed, and bound to its tenant, product and content id."""

from shared.storage.sealing import Sealed, Sealer
from shared.store.models.business import LicenseBlob, ProductKey

_PURPOSE = "storekeeper/offline-license/1"


class LicenseSealer:
    """Seals and opens license blobs."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def seal(self, tenant_id: str, product: ProductKey, content_id: str, blob: LicenseBlob) -> Sealed:
        """Seal for this place alone. Raises as :meth:`Sealer.seal`."""
        return await self._sealer.seal(blob.reveal().encode(), _bound_to(tenant_id, product, content_id))

    async def open(self, tenant_id: str, product: ProductKey, content_id: str, sealed: Sealed) -> LicenseBlob:
        """The blob in the clear. Raises as :meth:`Sealer.open`."""
        return LicenseBlob((await self._sealer.open(sealed, _bound_to(tenant_id, product, content_id))).decode())


def _bound_to(tenant_id: str, product: ProductKey, content_id: str) -> bytes:
    return "\0".join((_PURPOSE, tenant_id, product.product_id, product.sku_id, content_id)).encode()
