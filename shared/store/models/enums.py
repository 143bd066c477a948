"""Enums of a wire whose documentation mixes the letter case of their values (Store for Business reference)."""

from enum import StrEnum
from typing import Self


class WireEnum(StrEnum):
    """Reads its values in any letter case.

    A value that nobody documented becomes a member of its own with its text as it came, equal to no other: one new
    word of the Store must not make a whole page unreadable.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        lowered = value.lower()
        for member in cls:
            if member.value.lower() == lowered:
                return member
        unknown = str.__new__(cls, value)
        unknown._name_ = unknown._value_ = value
        return unknown

    @property
    def known(self) -> bool:
        """Whether it is one of the documented values."""
        return type(self).__members__.get(self._name_) is self
