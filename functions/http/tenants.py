"""The tenant that a call is about."""

from functions.http.calls import Call
from functions.http.queries import Query
from functions.parts import settings
from shared.tenants import tenant_meant

TENANT = Query("the tenant; optional where one is configured")
"""The query parameter ``tenantId``."""


def tenants() -> list[str]:
    """All that are configured."""
    return [identity.tenant_id for identity in settings().business_tenants]


def tenant_named(named: str | None, pointer: str) -> str:
    """Which one an input means; raises as :func:`shared.tenants.tenant_meant`."""
    return tenant_meant(named, tenants(), pointer)


def tenant_of(call: Call) -> str:
    """Which one the query names, or the only one; raises as :func:`shared.tenants.tenant_meant`."""
    return tenant_named(call.query.text("tenantId"), "?tenantId")
