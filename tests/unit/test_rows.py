"""Rows on the wire of Azure Tables."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.storage.rows import decode_row, decode_rows, encode_row

texts = st.text(st.characters(codec="utf-8"))
names = st.from_regex(r"[A-Za-z]{1,20}", fullmatch=True)
values = texts | st.integers(-(2**31), 2**31 - 1) | st.booleans() | st.binary()


@given(st.dictionaries(names, values))
def test_a_row_survives_the_way_over_the_wire(row: dict[str, Any]) -> None:
    assert decode_row(encode_row(row)) == row
    page = b'{"odata.metadata":"m","value":[' + encode_row(row) + b"," + encode_row(row) + b"]}"
    assert decode_rows(page) == [row, row]


def test_what_the_service_adds_is_left_out() -> None:
    body = {
        "odata.metadata": "http://127.0.0.1/$metadata#storeids/@Element",
        "odata.etag": "W/1",
        "PartitionKey": "0a",
        "Timestamp@odata.type": "Edm.DateTime",
        "sealed@odata.type": "Edm.Binary",
        "sealed": "AP8=",
    }

    assert decode_row(json.dumps(body).encode()) == {"PartitionKey": "0a", "sealed": b"\x00\xff"}


def test_an_empty_page_has_no_rows() -> None:
    assert decode_rows(b'{"value":[]}') == []
