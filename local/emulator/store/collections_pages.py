"""The pages of a Collections query.

A continuation token looks like JSON, as the real ones do (``{"checkSatisfactionIndex":2}``), and is bound to the body
of the query it came from: the contract is to send the same body again (store-services reference, section 5, "Paging").
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from local.emulator.store.collections_items import Item
from local.emulator.store.fields import Fields

# The key may be renewed between two pages.
_MAY_CHANGE = {"continuationtoken", "beneficiaries"}


class _Token(msgspec.Struct, rename="camel", omit_defaults=True):
    check_satisfaction_index: int
    of: str
    rested: bool = False


@dataclass(frozen=True)
class Page:
    """The items of a page and the token of the next one, ``None`` at the end."""

    items: Sequence[Item]
    token: str | None


def page_of(items: Sequence[Item], fields: Fields, size: int, *, empty_pages: bool) -> Page:
    """Return the page of ``items`` that the body's token asks for.

    With ``empty_pages`` an empty page comes before the last of several.

    :raises StoreError: 400, the token is not one, or the body is not that of the query before.
    """
    query = _digest(fields)
    token = _read(fields, query)
    start = token.check_satisfaction_index
    end = start + size
    is_last = end >= len(items)
    if is_last and start and empty_pages and not token.rested:
        return Page((), _write(_Token(start, query, rested=True)))
    return Page(items[start:end], None if is_last else _write(_Token(end, query)))


def _digest(fields: Fields) -> str:
    query = {name: value for name, value in fields.values.items() if name not in _MAY_CHANGE}
    return hashlib.sha256(msgspec.json.encode(query, order="sorted")).hexdigest()[:12]


def _read(fields: Fields, query: str) -> _Token:
    written = fields.optional_text("continuationToken")
    if not written:
        return _Token(0, query)
    try:
        token = msgspec.json.decode(written, type=_Token)
    except msgspec.DecodeError:
        raise fields.wrong("continuationToken", "is not a continuation token") from None
    if token.of != query:
        raise fields.wrong("continuationToken", "belongs to a query with another body")
    return token


def _write(token: _Token) -> str:
    return msgspec.json.encode(token).decode()
