"""A business tenant at the emulator: its token, its products, and the calls that most tests make."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tests.emulator.world import SERVICE, World


@dataclass
class Tenant:
    """One of the three tenants, acting with a token of its own."""

    world: World
    name: str
    tenant_id: str
    client_id: str
    domain: str
    token: str

    @classmethod
    async def named(cls, world: World, name: str) -> "Tenant":
        """The tenant of this name, with a fresh token."""
        tenants = (await world.http.get("/_emulator/business/tenants")).json()["tenants"]
        found = next(each for each in tenants if each["name"] == name)
        secret = (await world.control(f"apps/{found['clientId']}/secrets"))["secret"]
        form = {
            "grant_type": "client_credentials",
            "client_id": found["clientId"],
            "client_secret": secret,
            "resource": SERVICE,
        }
        answer = await world.http.post(f"/{found['tenantId']}/oauth2/token", data=form)
        token = answer.json()["access_token"]
        return cls(world, name, found["tenantId"], found["clientId"], found["domain"], token)

    def user(self, name: str) -> str:
        """A user's name in this tenant."""
        return f"{name}@{self.domain}"

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One operation; ``path`` is what follows ``V1``."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return await self.world.http.request(method, f"/business/V1{path}", headers=headers, **options)

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.call("GET", path, params=query)

    async def body(self, path: str, **query: Any) -> Any:
        """The body of a GET that must succeed."""
        answer = await self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def pages(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All pages of a listing."""
        pages = [await self.body(path, **query)]
        while "continuationToken" in pages[-1]:
            pages.append(await self.body(path, **query, continuationToken=pages[-1]["continuationToken"]))
        return pages

    async def inventory(self, **query: Any) -> list[dict[str, Any]]:
        """All inventory entries."""
        pages = await self.pages("/Inventory", maxResults=100, **query)
        return [entry for page in pages for entry in page["inventoryEntries"]]

    async def entry(self, path: str) -> dict[str, Any]:
        """The inventory entry of the product of a path such as :func:`product` gives."""
        return next(entry for entry in await self.inventory() if product(entry) == path)

    async def add(self, count: int = 1, **options: Any) -> list[str]:
        """New products; their paths."""
        made = await self.control("products", count=count, **options)
        return [f"/{key['productId']}/{key['skuId']}" for key in made["products"]]

    async def add_online(self, **options: Any) -> str:
        """A new product with seats; its path."""
        return (await self.add(licenseType="online", **options))[0]

    async def add_offline(self, **options: Any) -> str:
        """A new product with packages; its path."""
        return (await self.add(licenseType="offline", **options))[0]

    async def control(self, path: str, **body: Any) -> Any:
        return await self.world.control(f"business/tenants/{self.name}/{path}", **body)

    async def change(self, path: str, **changes: Any) -> None:
        """Change one product."""
        _, product_id, sku_id = path.split("/")
        await self.control("changes", products=[{"productId": product_id, "skuId": sku_id}], **changes)

    async def truth(self, path: str) -> Any:
        """Everything the emulator knows of one product."""
        _, product_id, sku_id = path.split("/")
        query = {"productId": product_id, "skuId": sku_id}
        found = await self.world.http.get(f"/_emulator/business/tenants/{self.name}/products", params=query)
        return found.json()["products"][0]

    async def bulk(self, path: str, action: str, users: Sequence[str]) -> Any:
        """A bulk operation that must succeed as a whole."""
        answer = await self.call("POST", f"/Inventory{path}/Seats", json={"userNames": users, "seatAction": action})
        assert answer.status_code == 200, answer.text
        return answer.json()


def product(entry: dict[str, Any]) -> str:
    """``/productId/skuId`` of an entry."""
    return f"/{entry['productKey']['productId']}/{entry['productKey']['skuId']}"


def error(answer: httpx.Response) -> tuple[int, dict[str, Any]]:
    """Status and ``data`` of an error, which must have the service's shape."""
    body = json.loads(answer.text)
    assert set(body) == {"code", "description", "data"}
    assert body["code"] == answer.status_code
    return answer.status_code, body["data"]
