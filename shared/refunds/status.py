"""What may have become of a clawback event: apart, since every start of the app needs the words."""

from enum import StrEnum


class RefundStatus(StrEnum):
    """What became of an event."""

    APPLIED = "applied"
    """Done what had to be done."""
    UNMATCHED = "unmatched"
    """Waits for what it is about: a grant, or the chargeback that it reverses."""
    REVIEW = "review"
    """For a person: nobody knows what it asks for."""
    IGNORED = "ignored"
    """There is nothing to do about it; the reason says why."""
