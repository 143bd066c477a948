"""The Store's books: the publisher's catalogue, the accounts, and what is sold to them."""

import uuid
from collections.abc import Iterator
from pathlib import Path

from local.emulator.market.account import Account, NotPossibleError
from local.emulator.market.file import BooksFile
from local.emulator.market.records import CONSUMABLE_KINDS, AccountRecord, Line, Order, Product, Settings
from local.emulator.market.times import TICKS_PER_SECOND, now


class Books:
    """All that was bought and consumed. After a change that is not made by a method of this class, :meth:`touch`."""

    def __init__(self, path: Path) -> None:
        """Load the books or begin new ones.

        :raises StateError: the file is not of this version.
        """
        self._file = BooksFile(path)
        self._accounts = {player: Account(player, record) for player, record in self._file.record.accounts.items()}

    @property
    def settings(self) -> Settings:
        """Which way the Store goes where the documentation leaves it open."""
        return self._file.record.settings

    def set_settings(self, settings: Settings) -> None:
        """Replace the settings."""
        self._file.record.settings = settings
        self.touch()

    def touch(self) -> None:
        """Note a change."""
        self._file.touch()

    def close(self) -> None:
        """Write what is not written."""
        self._file.close()

    def put_product(self, product: Product) -> None:
        """Add a product or replace it; what was bought stays as it was."""
        self._file.record.products[product.product_id] = product
        self.touch()

    def product(self, product_id: str) -> Product | None:
        """Return a product of the catalogue."""
        return self._file.record.products.get(product_id)

    def products(self) -> Iterator[Product]:
        """Yield the catalogue."""
        yield from self._file.record.products.values()

    def account(self, player: str) -> Account:
        """Return a player's account; everybody has one."""
        account = self._accounts.get(player)
        if account is None:
            record = self._file.record.accounts[player] = AccountRecord()
            account = self._accounts[player] = Account(player, record)
        return account

    def accounts(self) -> Iterator[Account]:
        """Yield all accounts."""
        yield from self._accounts.values()

    def sell(
        self,
        player: str,
        product: Product,
        *,
        quantity: int = 1,
        sandbox: str,
        order_id: str | None = None,
        days_ago: float = 0,
        trial_seconds: float | None = None,
        recurrence_id: str | None = None,
    ) -> Order:
        """Sell a product to a player; a bundle's consumables are fulfilled with it.

        :raises NotPossibleError: it is not sold in this sandbox, or not to who has it already.
        """
        account = self.account(player)
        if not product.is_in(sandbox):
            raise NotPossibleError(f"{product.product_id} is not published to {sandbox}")
        consumables = self._consumables(product)
        account.check_purchase(product, quantity, sandbox)
        for part, count in consumables:
            account.check_purchase(part, count, sandbox)
        moment = now() - int(days_ago * 86_400 * TICKS_PER_SECOND)
        main = _line(product, quantity, moment)
        if trial_seconds is not None:
            main.trial_until = moment + int(trial_seconds * TICKS_PER_SECOND)
        self._file.record.last_short_id += 1
        order = Order(
            order_id=order_id or str(uuid.uuid4()),
            short_id=self._file.record.last_short_id,
            purchased=moment,
            sandbox=sandbox,
            amount=round(product.price * quantity, 2),
            lines=[main, *(_line(part, count * quantity, moment, within=main) for part, count in consumables)],
            recurrence_id=recurrence_id,
        )
        account.add_order(order)
        self.touch()
        return order

    def _consumables(self, bundle: Product) -> list[tuple[Product, int]]:
        parts = [(self.product(product_id), quantity) for product_id, quantity in bundle.contains.items()]
        return [(part, quantity) for part, quantity in parts if part is not None and part.kind in CONSUMABLE_KINDS]


def _line(product: Product, quantity: int, moment: int, within: Line | None = None) -> Line:
    return Line(
        line_item_id=str(uuid.uuid4()) if within is None else within.line_item_id,
        product_id=product.product_id,
        sku_id=product.sku_id,
        kind=product.kind,
        quantity=quantity,
        modified=moment,
        bundle=None if within is None else within.product_id,
    )
