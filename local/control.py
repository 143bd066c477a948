"""A client of the emulator's control API: what the guided run and the tests ask of it."""

import ssl
from collections.abc import Mapping
from typing import Any, Literal

import httpx

from local.storefront import StoreFront

type Kind = Literal["collections", "purchase"]


class Control:
    """Mints, revokes, rotates, disturbs, and reads what the emulator saw."""

    def __init__(self, origin: str, ca: str) -> None:
        self.origin = origin
        context = ssl.create_default_context(cafile=ca)
        self._client = httpx.AsyncClient(base_url=f"{origin}/_emulator", verify=context, timeout=120)
        self.store = StoreFront(self._call)

    async def settings(self) -> dict[str, str]:
        """The settings of an app that runs against the emulator, but for its storage account."""
        values: dict[str, str] = (await self._call("GET", "/settings"))["Values"]
        return values

    async def admin(self) -> dict[str, str]:
        """``tenantId``, ``clientId`` and ``clientSecret`` of who may write to the vault."""
        admin: dict[str, str] = await self._call("GET", "/admin")
        return admin

    async def bearer(self, kind: Literal["player", "operator"], subject: str, **options: Any) -> dict[str, str]:
        """The header with which a caller proves itself."""
        body = {"kind": kind, "subject": subject, **options}
        return {"Authorization": f"Bearer {(await self._call('POST', '/bearer-tokens', body))['token']}"}

    async def x_token(self, player: str, kind: Kind, **options: Any) -> str:
        """A delegated X-token of a player."""
        return str((await self._call("POST", "/x-tokens", {"player": player, "kind": kind, **options}))["xToken"])

    async def store_id(self, kind: Kind, user: str, **options: Any) -> str:
        """A User Store ID key; ``issuedDaysAgo`` makes it as if it had been issued then."""
        body = {"kind": kind, "publisherUserId": user, **options}
        return str((await self._call("POST", "/store-ids", body))["key"])

    async def store_ids(self, kind: Kind, count: int, **options: Any) -> list[str]:
        """Many keys."""
        keys: list[str] = (await self._call("POST", "/store-ids", {"kind": kind, "count": count, **options}))["keys"]
        return keys

    async def revoke(self, key: str) -> None:
        """Revoke a key at the Store."""
        await self._call("POST", "/store-ids/revocations", {"key": key})

    async def rotate_signing_certificate(self, *, retire_old: bool) -> None:
        """New keys are signed by another certificate; keys of the old one may no longer be renewed."""
        await self._call("POST", "/signing-certificates/rotations", {"retireOld": retire_old})

    async def rotate_issuer(self, issuer: Literal["players", "operators"], *, keep_old: bool) -> None:
        """An issuer of our callers signs with another key from now on."""
        await self._call("POST", f"/issuers/{issuer}/rotations", {"keepOld": keep_old})

    async def rotate_client_secret(self, client_id: str, **options: Any) -> None:
        """Another client secret for an app."""
        await self._call("POST", f"/apps/{client_id}/secrets", options)

    async def set_token_lifetime(self, tenant_id: str, seconds: int) -> None:
        """How long the access tokens live that Entra issues from now on."""
        await self._call("PATCH", f"/tenants/{tenant_id}", {"tokenLifetimeSeconds": seconds})

    async def add_certificate(self, client_id: str, store_in_vault: str) -> None:
        """A certificate with which an app may prove itself."""
        await self._call("POST", f"/apps/{client_id}/certificates", {"storeInVault": store_in_vault})

    async def trust_managed_identity(self, client_id: str) -> dict[str, Any]:
        """Have an app trust the managed identity; what App Service would tell of that identity."""
        await self._call("POST", f"/apps/{client_id}/federated-credentials", {})
        identity: dict[str, Any] = await self._call("GET", "/managed-identity")
        return identity

    async def disturb(self, service: str, effect: Mapping[str, Any], **options: Any) -> str:
        """Put a fault in force; its id."""
        return str((await self._call("POST", "/faults", {"service": service, "effect": effect, **options}))["id"])

    async def faults(self) -> list[dict[str, Any]]:
        """The faults in force, each with how many requests it ``matched`` and was ``applied`` to."""
        faults: list[dict[str, Any]] = (await self._call("GET", "/faults"))["faults"]
        return faults

    async def calm(self) -> None:
        """Lift all faults, refusals of seats and disturbances of downloads."""
        for path in ("/faults", "/business/seat-refusals", "/business/cdn/disturbances"):
            await self._call("DELETE", path)

    async def business_tenants(self) -> list[dict[str, Any]]:
        """``tenantId``, ``clientId``, ``name``, ``domain`` and number of ``products`` of each business tenant."""
        tenants: list[dict[str, Any]] = (await self._call("GET", "/business/tenants"))["tenants"]
        return tenants

    async def business_products(self, tenant: str, *parts: str) -> list[dict[str, Any]]:
        """What a tenant (its id or name) owns: ``productKey``, ``vanished`` and the parts asked for, else all.

        Parts are ``entry``, ``details``, ``localized`` (by language), ``packages``, ``licenses`` and ``seats``, each as
        the service says it, but for addresses, which come without expiry and signature.
        """
        path, query = f"/business/tenants/{tenant}/products", {"parts": ",".join(parts)} if parts else {}
        products: list[dict[str, Any]] = []
        while True:
            page = await self._call("GET", path, query={**query, "start": len(products)})
            products += page["products"]
            if len(products) >= page["count"]:
                return products

    async def business_product(self, tenant: str, product_id: str, sku_id: str, *parts: str) -> dict[str, Any]:
        """One product, as :meth:`business_products` gives it."""
        query = {"productId": product_id, "skuId": sku_id} | ({"parts": ",".join(parts)} if parts else {})
        product: dict[str, Any] = (await self._call("GET", f"/business/tenants/{tenant}/products", query=query))[
            "products"
        ][0]
        return product

    async def add_business_products(self, tenant: str, count: int, **options: Any) -> list[dict[str, str]]:
        """More products, to measure (``NewProducts`` of the emulator); their keys."""
        body = {"count": count, **options}
        keys: list[dict[str, str]] = (await self._call("POST", f"/business/tenants/{tenant}/products", body))[
            "products"
        ]
        return keys

    async def change_business_products(self, tenant: str, **changes: Any) -> list[dict[str, str]]:
        """Change ``products`` (keys) or ``count`` at random (``Changes`` of the emulator); the keys of the changed."""
        keys: list[dict[str, str]] = (await self._call("POST", f"/business/tenants/{tenant}/changes", changes))[
            "products"
        ]
        return keys

    async def refuse_seats(self, reason: str, **options: Any) -> None:
        """Have seat operations fail for some users (``NewRefusal`` of the emulator)."""
        await self._call("POST", "/business/seat-refusals", {"reason": reason, **options})

    async def set_address_lifetime(self, seconds: float) -> None:
        """How long addresses on the CDN are good that are given out from now on."""
        await self._call("PATCH", "/business/cdn", {"addressLifetimeSeconds": seconds})

    async def expire_addresses(self) -> None:
        """Make all addresses on the CDN useless that were given out so far."""
        await self._call("PATCH", "/business/cdn", {"expireAll": True})

    async def disturb_downloads(self, **disturbance: Any) -> None:
        """Have downloads go wrong (``NewDisturbance`` of the emulator)."""
        await self._call("POST", "/business/cdn/disturbances", disturbance)

    async def count(self, **query: str | int) -> int:
        """How many requests the emulator saw: ``service``, ``path`` (a regular expression), ``method``, ``since``."""
        return int((await self._call("GET", "/requests", query={"limit": 0, **query}))["count"])

    async def requests(self, **query: str | int) -> list[dict[str, Any]]:
        """The requests themselves."""
        requests: list[dict[str, Any]] = (await self._call("GET", "/requests", query=query))["requests"]
        return requests

    async def last_seen(self) -> int:
        """The number of the newest request, for ``since``."""
        return int((await self._call("GET", "/requests", query={"limit": 0}))["lastSeq"])

    async def secrets_in_use(self) -> list[dict[str, str]]:
        """``kind`` and ``value`` of everything that must be seen nowhere."""
        secrets: list[dict[str, str]] = (await self._call("GET", "/secrets-in-use"))["secrets"]
        return secrets

    async def _call(
        self, method: str, path: str, body: object = None, *, query: Mapping[str, str | int] | None = None
    ) -> Any:
        response = await self._client.request(method, path, json=body, params=query)
        if not response.is_success:
            raise RuntimeError(f"the emulator answered {response.status_code} to {method} {path}: {response.text}")
        return response.json() if response.content else None

    async def close(self) -> None:
        """Give back the connections."""
        await self._client.aclose()
