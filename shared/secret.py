"""A value that must not be seen: it masks itself wherever a value is usually shown."""

import hmac
from typing import NoReturn, Self


class Secret:
    """Text that shows as ``***`` in ``repr``, ``str``, f-strings and logs, and cannot be pickled.

    Only :meth:`reveal` gives the text, so that ``grep reveal`` finds every place that handles it in the clear.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text in the clear."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(*(each.reveal().encode(errors="surrogatepass") for each in (self, other)))

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} is not to be pickled or copied to another process")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


def masked(holder: object) -> str:
    """A ``__repr__`` for what holds secrets in the clear because it is about to be sent, or was just received."""
    return f"{type(holder).__name__}(***)"
