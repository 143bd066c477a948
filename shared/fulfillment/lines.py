"""Which order lines a consume was filled by, as the books keep them. Pure."""

from shared.ledger.record import Job, Line
from shared.store.models.collections import CollectionsItem, ConsumeAnswer, ItemStatus


def lines_of(job: Job, answer: ConsumeAnswer) -> list[Line]:
    """The lines, together of the fulfilment's quantity.

    What the answer does not tell is of the order that was looked up before, its line unknown; or of no known order. So
    it is with every replay of a developer-managed consume (store-services reference, section 6, "Replay").
    """
    taken: dict[tuple[str, str], int] = {}
    missing = job.quantity
    for each in answer.order_transactions:
        quantity = min(each.quantity_consumed, missing)
        if quantity > 0:
            place = each.order_id.lower(), each.order_line_item_id.lower()
            taken[place] = taken.get(place, 0) + quantity
            missing -= quantity
    if missing:
        place = (job.transaction_id or "").lower(), ""
        taken[place] = taken.get(place, 0) + missing
    return [Line(order_id, line_id, quantity) for (order_id, line_id), quantity in taken.items()]


def transaction_of(product_id: str, items: list[CollectionsItem]) -> str | None:
    """The order that a developer-managed consume of the product will be filled by, as far as its items tell.

    What is used up or was taken back fills none: its order would have a refund take from whom it does not concern.
    """
    for item in items:
        can_be_consumed = item.status == ItemStatus.ACTIVE and item.quantity != 0
        if item.transaction_id and can_be_consumed and item.product_id.upper() == product_id.upper():
            return item.transaction_id
    return None
