"""The words in which a fulfilment is spoken of: apart from its record, since every start of the app needs them."""

from enum import StrEnum
from typing import Literal

RETAIL = "RETAIL"

type ConsumableType = Literal["Consumable", "UnmanagedConsumable"]


class JobStatus(StrEnum):
    """Where a fulfilment stands. ``granted`` and ``refused`` are for ever."""

    PENDING = "pending"
    GRANTED = "granted"
    REFUSED = "refused"
    STUCK = "stuck"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self in {JobStatus.GRANTED, JobStatus.REFUSED}
