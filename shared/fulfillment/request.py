"""What may be asked for. Pure."""

import re
import uuid
from dataclasses import dataclass
from datetime import datetime

from shared.errors import InputFault, UnprocessableError
from shared.fulfillment.messages import TRACKING_ID
from shared.ledger.kinds import RETAIL, ConsumableType
from shared.ledger.record import Job

MAX_USER_ID_BYTES = 256

_NAMESPACE = uuid.UUID("c1b9a1f4-9d0e-4b55-8f53-0f1f2c7c6a52")
"""Never to be changed: a consume is replayed under the id of its first try."""


@dataclass(frozen=True, slots=True)
class Request:
    """A fulfilment as its sender wants it; each field by itself is of the shape that the contract says."""

    user_id: str
    tracking_id: str | None
    product_id: str
    quantity: int
    consumable_type: ConsumableType
    sandbox: str | None


def new_job(request: Request, now: datetime) -> Job:
    """The job of a request; without a tracking id it gets one. Ids in other letter case are the same ids.

    The Store writes its product ids in capitals. So do the books: one product is one balance, however it is asked for.

    :raises UnprocessableError: the fields contradict each other, or the Store could not do it.
    """
    sandbox = _sandbox(request.sandbox)
    faults = []
    if len(request.user_id.encode()) > MAX_USER_ID_BYTES:
        faults.append(InputFault("/userId", f"has more than {MAX_USER_ID_BYTES} bytes"))
    if request.consumable_type == "UnmanagedConsumable":
        if request.quantity != 1:
            faults.append(InputFault("/quantity", "is exactly 1 for a developer-managed consumable"))
        if sandbox != RETAIL:
            detail = "the Store consumes developer-managed consumables outside RETAIL with the player's X-token alone"
            faults.append(InputFault("/sandbox", detail))
    if faults:
        detail = "; ".join(f"{fault.pointer.removeprefix('/')} {fault.detail}" for fault in faults)
        raise UnprocessableError(f"This cannot be fulfilled: {detail}", faults=tuple(faults))
    return Job(
        user_id=request.user_id,
        tracking_id=(request.tracking_id or str(uuid.uuid4())).lower(),
        product_id=request.product_id.upper(),
        quantity=request.quantity,
        consumable_type=request.consumable_type,
        sandbox=sandbox,
        accepted_on=now,
    )


def tracking_id_at_store(user_id: str, tracking_id: str) -> str:
    """The tracking id under which the Store is asked to consume: the player's own, whoever else uses the same text.

    Two users of a game may play on one Store account. Under one tracking id the Store would take its second consume for
    a replay of the first, and both would be granted what was bought once.
    """
    return str(uuid.uuid5(_NAMESPACE, f"{tracking_id}|{user_id}"))


def is_tracking_id(text: str) -> bool:
    """Whether a text is a GUID as tracking ids are written."""
    return re.fullmatch(TRACKING_ID, text) is not None


def _sandbox(named: str | None) -> str:
    return RETAIL if named is None or named.upper() == RETAIL else named
