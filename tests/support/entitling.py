"""Players and products of whom no other test knows."""

from typing import Any
from uuid import uuid4

import httpx

from local.control import Control, Kind
from tests.support.app import App, Headers, unique


async def a_product(control: Control, kind: str, **options: Any) -> str:
    """A product."""
    product_id = f"9N{uuid4().hex[:10].upper()}"
    await control.store.product(product_id, kind, **options)
    return product_id


async def a_player(app: App, *kinds: Kind) -> str:
    """A player whose keys are kept."""
    name = unique()
    player = await app.player(name)
    for kind in kinds or ("collections", "purchase"):
        await app.keep(player, kind, await app.control.store_id(kind, name))
    return name


async def get(app: App, headers: Headers, path: str, **query: Any) -> httpx.Response:
    """An answer of the app."""
    return await app.http.get(path, headers=headers, params=query)
