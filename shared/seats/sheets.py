"""Lists of users as spreadsheets write them, and results as spreadsheets read them: CSV (RFC 4180). Pure."""

import csv
import io
from collections.abc import Iterable, Sequence

from shared.errors import InputFault, UnprocessableError
from shared.seats.names import MAX_USERS, UserList, refuse

MEDIA_TYPE = "text/csv"
MAX_BYTES = 16 * 1024 * 1024
"""Bytes of a list: 100,000 names of the greatest length, and quotes around them."""

HEADER = "userName"

MAX_LINES = 4 * MAX_USERS
"""Lines of a list, blank ones too: each that is at fault is remembered until all are read."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def read_users(content: bytes) -> UserList:
    """One UPN a line. A header ``userName``, a byte order mark, quotes, blank lines and either line end are taken.

    :raises UnprocessableError: it is not CSV of one column in UTF-8; the lines at fault are named. Or it has more than
        :data:`MAX_LINES`.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        refuse([InputFault(_line(line), "is not UTF-8")])
        raise
    count = max(text.count("\n"), text.count("\r"))
    if count > MAX_LINES:
        detail = f"has {count} lines; at most {MAX_LINES} are read"
        raise UnprocessableError(f"The list {detail}", faults=(InputFault("", detail),))
    names: list[str] = []
    lines: list[int] = []
    faults: list[InputFault] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        began = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            # What follows an open quotation mark cannot be told from what it encloses.
            faults.append(InputFault(_line(began), f"is broken CSV: {error}"))
            break
        cells = [cell.strip(" ") for cell in row]
        if not any(cells):
            continue
        if len(cells) > 1:
            faults.append(InputFault(_line(began), f"has {len(cells)} columns; one is expected"))
        elif names or cells[0].casefold() != HEADER.casefold():
            names.append(cells[0])
            lines.append(began)
    refuse(faults)
    return UserList(names, lambda index: _line(lines[index]))


def write(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """A sheet with CRLF line ends. A cell that a spreadsheet would take for a formula begins with an apostrophe."""
    sheet = io.StringIO(newline="")
    writer = csv.writer(sheet)
    writer.writerow(header)
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return sheet.getvalue().encode()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _line(number: int) -> str:
    return f"line {number}"
