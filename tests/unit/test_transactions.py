"""Entity-group transactions on the wire."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import UnavailableError
from shared.storage.transactions import ConflictError, Operation, TransactionError, encode, etags

TABLE = "http://127.0.0.1:10002/devstoreaccount1/storeids"
ROW = {
    "PartitionKey": "0a",
    "RowKey": "user|cGxheWVy",
    "text": "é\r\n--batch",
    "count": 3,
    "flag": True,
    "data": b"\0\xff",
}


def parts(operations: list[Operation]) -> list[tuple[str, dict[str, str], Any]]:
    """Method and address, headers and content of each operation, read as the service reads them."""
    content_type, body = encode(TABLE, operations)
    batch = content_type.partition("boundary=")[2].encode()
    assert body.startswith(b"--" + batch + b"\r\n")
    assert body.endswith(b"--" + batch + b"--\r\n")
    found = re.search(rb"boundary=(changeset_\S+)", body)
    assert found
    chunks = body.split(b"--" + found[1])[1:-1]
    read = []
    for chunk in chunks:
        _, _, request = chunk.partition(b"\r\n\r\n")
        head, _, content = request.partition(b"\r\n\r\n")
        line, *headers = head.decode().split("\r\n")
        named = dict(header.split(": ", 1) for header in headers)
        length = int(named.get("Content-Length", 0))
        assert content[length:] == b"\r\n"
        read.append((line, named, json.loads(content[:length]) if length else None))
    return read


def test_each_kind_of_operation_is_a_request_of_its_own() -> None:
    key = "(PartitionKey='0a',RowKey='user%7CcGxheWVy')"

    create, put, replace, delete, withdraw = parts(
        [
            Operation("create", ROW),
            Operation("put", ROW),
            Operation("replace", ROW, 'W/"1"'),
            Operation("delete", ROW, 'W/"1"'),
            Operation("delete", ROW),
        ]
    )

    assert create[0] == f"POST {TABLE} HTTP/1.1"
    assert put[0] == f"PUT {TABLE}{key} HTTP/1.1"
    assert "If-Match" not in put[1]
    assert (replace[0], replace[1]["If-Match"]) == (put[0], 'W/"1"')
    assert (delete[0], delete[1]["If-Match"]) == (f"DELETE {TABLE}{key} HTTP/1.1", 'W/"1"')
    assert withdraw[1]["If-Match"] == "*"
    assert delete[2] is None
    assert create[2] == put[2] == replace[2]
    assert create[2] == {**ROW, "data": "AP8=", "data@odata.type": "Edm.Binary"}


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8")))
def test_no_key_and_no_text_breaks_out_of_its_place(key: str, text: str) -> None:
    row = {"PartitionKey": key, "RowKey": key, "text": text}

    (create,), (delete,) = parts([Operation("create", row)]), parts([Operation("delete", row)])

    assert create[2] == row
    assert re.fullmatch(rf"DELETE {TABLE}\(PartitionKey='[!-~]*',RowKey='[!-~]*'\) HTTP/1\.1", delete[0])
    assert "'" not in delete[0].partition("='")[2].partition("',")[0].replace("''", "")


@pytest.mark.parametrize("value", [1.5, None, 2**31, [1], {"a": 1}])
def test_a_property_that_rows_do_not_hold_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="property more"):
        encode(TABLE, [Operation("create", {**ROW, "more": value})])


def answer(status: int, message: str = "") -> bytes:
    body = json.dumps(
        {"odata.error": {"code": "Code", "message": {"lang": "en-us", "value": message}}}, separators=(",", ":")
    )
    return (
        "--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_1\r\n\r\n"
        "--changesetresponse_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        f"HTTP/1.1 {status} Phrase\r\nContent-Type: application/json\r\n\r\n{body}\r\n"
        "--changesetresponse_1--\r\n--batchresponse_1--\r\n"
    ).encode()


THREE = [Operation("create", ROW)] * 3


def test_a_transaction_that_was_carried_out_gives_the_etags_of_what_was_written() -> None:
    written = "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nETag: {}\r\n\r\n"
    body = written.format('W/"1"') + "HTTP/1.1 204 No Content\r\n\r\n" + written.format('W/"2"')

    assert etags(body.encode(), THREE) == ['W/"1"', 'W/"2"']
    assert etags(answer(204), THREE) == []


@pytest.mark.parametrize("status", [404, 409, 412])
@pytest.mark.parametrize(("message", "index"), [("0:It exists", 0), ("2:It is gone", 2), ("It", 0), ("99:It", 2)])
def test_an_operation_that_did_not_hold_is_a_conflict_by_its_index(status: int, message: str, index: int) -> None:
    with pytest.raises(ConflictError) as conflict:
        etags(answer(status, message), THREE)
    assert conflict.value.index == index


@pytest.mark.parametrize("status", [400, 403, 413])
def test_an_operation_that_can_never_hold_is_an_error(status: int) -> None:
    with pytest.raises(TransactionError, match=str(status)):
        etags(answer(status, "0:Wrong"), THREE)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_service_that_is_busy_is_an_outage(status: int) -> None:
    with pytest.raises(UnavailableError, match=str(status)):
        etags(answer(status, "0:Server busy"), THREE)
