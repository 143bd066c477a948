"""Rows as Azure Tables writes them in JSON (its REST reference, "Payload format for Table service operations")."""

import base64
from collections.abc import Mapping
from typing import Any

import msgspec

type Row = Mapping[str, Any]
"""One entity: ``PartitionKey``, ``RowKey`` and its properties (text, whole numbers of 32 bits, truth values, bytes)."""

_TYPE = "@odata.type"
_BINARY = "Edm.Binary"


class _Page(msgspec.Struct):
    value: list[dict[str, Any]]


def encode_row(row: Row) -> bytes:
    """The row as JSON.

    :raises TypeError: a property is of a type that rows do not hold.
    """
    values: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, bytes):
            values[name] = base64.b64encode(value).decode()
            values[name + _TYPE] = _BINARY
        elif isinstance(value, str | bool) or (isinstance(value, int) and -(2**31) <= value < 2**31):
            values[name] = value
        else:
            raise TypeError(f"the property {name} is of a type that rows do not hold")
    return msgspec.json.encode(values)


def decode_row(body: bytes) -> Row:
    """The row of an answer that holds one."""
    return _from_wire(msgspec.json.decode(body, type=dict[str, Any]))


def decode_rows(body: bytes) -> list[Row]:
    """The rows of an answer that holds a page of them."""
    return [_from_wire(values) for values in msgspec.json.decode(body, type=_Page).value]


def _from_wire(values: dict[str, Any]) -> Row:
    row = {name: value for name, value in values.items() if "odata." not in name}
    for name, kind in values.items():
        if kind == _BINARY and name.endswith(_TYPE):
            binary = name.removesuffix(_TYPE)
            row[binary] = base64.b64decode(values[binary])
    return row
