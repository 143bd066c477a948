"""What may have become of a change or a grant: apart, since every start of the app needs the words."""

from enum import StrEnum


class ChangeStatus(StrEnum):
    """``pending``: somebody acts, or nothing was carried out yet. ``unknown``: the Store gave no answer."""

    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class GrantStatus(StrEnum):
    """``pending``: not granted yet, and to be sent again. ``unknown``: so too, and it may have been granted."""

    PENDING = "pending"
    GRANTED = "granted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
