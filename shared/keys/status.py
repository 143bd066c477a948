"""What a caller sees of a key."""

from enum import StrEnum


class Status(StrEnum):
    """``status`` of a User Store ID (interfaces: ``GET /users/{userId}/store-ids``)."""

    ACTIVE = "active"
    REISSUE_NEEDED = "reissueNeeded"
    EXPIRED = "expired"
