"""Bytes over several properties of a row: one holds 64 KiB, a row 1 MiB (Azure Tables). Pure."""

import zlib
from typing import Any

from shared.storage.rows import Row

SLICE = 60_000
MAX_PACKED = 900_000
"""Bytes that one row takes beside its other properties."""

_FAST = 1


def pack(name: str, data: bytes) -> dict[str, Any]:
    """``data``, compressed, as the properties ``name0``, ``name1`` and so on.

    :raises OverflowError: more than a row takes.
    """
    packed = zlib.compress(data, _FAST)
    if len(packed) > MAX_PACKED:
        raise OverflowError(f"{len(packed)} bytes do not fit into a row")
    return {f"{name}{at // SLICE}": packed[at : at + SLICE] for at in range(0, len(packed), SLICE)}


def unpack(name: str, row: Row) -> bytes:
    """The inverse of :func:`pack`.

    :raises KeyError: the row has no such properties.
    """
    slices = [row[f"{name}0"]]
    while (following := row.get(f"{name}{len(slices)}")) is not None:
        slices.append(following)
    return zlib.decompress(b"".join(slices))
