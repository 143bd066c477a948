"""What a worker that died had done to the books, but not filed, is judged anew by what has come since."""

from collections.abc import AsyncIterator

import pytest

from local.control import Control
from shared.ledger.corrections import Clawback
from shared.wiring import Wiring
from tests.support.app import Storage
from tests.support.refunding import COINS, Refunding, text_of


@pytest.fixture
async def world(wiring: Wiring, control: Control, storage: Storage) -> AsyncIterator[Refunding]:
    world = Refunding(wiring, control, storage)
    await world.prepare()
    yield world
    await world.queue.close()


async def test_a_refund_that_found_nothing_to_take_takes_what_a_reversal_has_given_back_since(
    world: Refunding,
) -> None:
    """At the Store: charged back, reversed, refunded. The refund comes before the reversal, and its worker dies."""
    user = await world.player()
    order_id = await world.buy(user, COINS, 3)
    await world.fulfill(user, COINS, 3)
    front, desk = world.control.store, world.desk()
    (charged,) = await front.charge_back(user, order_id, send=False)
    (reversed_,) = await front.reverse_chargeback(user, order_id, send=False)
    (refunded,) = await front.refund(user, order_id, send=False)
    await desk.settle(desk.open("1", text_of(charged)))
    lines = await world.ledger.lines_of_order(order_id)
    line_id = refunded["data"]["lineItemId"]
    clawback = Clawback(refunded["id"].lower(), order_id, line_id, COINS)
    taken = await world.ledger.apply_refund(user, lines, clawback)
    assert (taken.quantity, taken.is_new) == (0, True)

    await desk.settle(desk.open("2", text_of(reversed_)))
    await desk.settle(desk.open("3", text_of(refunded)))

    assert await world.truth(user) == 0
    assert await world.balance(user) == 0
