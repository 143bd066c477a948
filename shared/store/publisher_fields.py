"""What calls to Collections and Purchase have in common (store-services reference, section 0). Pure."""

from shared.auth.tokens import ServiceToken

RETAIL = "RETAIL"
"""The sandbox that no ``sbx`` means."""


def bearer(token: ServiceToken) -> dict[str, str]:
    """The header that every call carries."""
    return {"Authorization": f"Bearer {token.reveal()}"}


def wire_sandbox(sandbox: str | None) -> str | None:
    """``sbx`` for a sandbox; None, which is left out, means :data:`RETAIL`."""
    return None if not sandbox or sandbox.upper() == RETAIL else sandbox
