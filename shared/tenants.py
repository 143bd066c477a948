"""Which of the configured tenants is meant. Pure."""

from collections.abc import Sequence

from shared.errors import InputFault, NotFoundError, UnprocessableError

SWITCHED_OFF = "The Store for Business half is switched off: BUSINESS_TENANTS is empty"


def tenant_meant(named: str | None, configured: Sequence[str], pointer: str) -> str:
    """The tenant, as it is written in the settings; where there is but one, nobody has to name it.

    :param pointer: where the input names it.
    :raises NotFoundError: it is not configured.
    :raises UnprocessableError: none is named, and there are several.
    """
    if named is not None:
        for tenant_id in configured:
            if tenant_id.casefold() == named.casefold():
                return tenant_id
        raise NotFoundError("No such tenant is configured")
    if not configured:
        raise NotFoundError(SWITCHED_OFF)
    if len(configured) > 1:
        detail = f"is required, since {len(configured)} tenants are configured"
        raise UnprocessableError("The tenant is not named", faults=(InputFault(pointer, detail),))
    return configured[0]
