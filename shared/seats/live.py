"""Seats as the Store has them at this moment."""

from shared.errors import InputFault, NotFoundError, UnprocessableError
from shared.seats.calls import Stores
from shared.seats.names import PRODUCT_PART, fault_of
from shared.seats.refusals import told_to_callers
from shared.store.models.business import ProductKey, SeatDetails


class LiveSeats:
    """Reads seats. What the Store refuses is raised as :func:`shared.seats.refusals.told_to_callers` has it."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def of_product(self, tenant_id: str, product: ProductKey) -> list[SeatDetails]:
        """All seats of a product."""
        _check_product(product)
        with told_to_callers("productId"):
            return [seat async for page in self._stores(tenant_id).seats(product) for seat in page.seats]

    async def of_user(self, tenant_id: str, user_name: str) -> list[SeatDetails]:
        """All seats of a user."""
        _check(user_name, "?user")
        with told_to_callers("?user"):
            return [seat async for page in self._stores(tenant_id).seats_of_user(user_name) for seat in page.seats]

    async def one(self, tenant_id: str, product: ProductKey, user_name: str) -> SeatDetails:
        """A user's seat of a product."""
        _check_product(product)
        _check(user_name, "user")
        with told_to_callers("user"):
            return await self._stores(tenant_id).get_seat(product, user_name)


def _check(user_name: str, pointer: str) -> None:
    if fault := fault_of(user_name):
        raise UnprocessableError(f"The user {fault}", faults=(InputFault(pointer, fault),))


def _check_product(product: ProductKey) -> None:
    if not all(PRODUCT_PART.fullmatch(part) for part in (product.product_id, product.sku_id)):
        raise NotFoundError("No such product")
