"""The access token of a bare loop, which asks Entra as any client would."""

import httpx

from local.control import Control


async def access_token(control: Control, tenant_id: str, client_id: str) -> str:
    """A token of an app for the Store."""
    settings = await control.settings()
    # Which of the secrets is the app's own, only Entra says.
    secrets = [each["value"] for each in await control.secrets_in_use() if each["kind"] == "clientSecret"]
    async with httpx.AsyncClient(verify=settings["SSL_CERT_FILE"]) as client:
        for secret in secrets:
            answer = await client.post(
                f"{settings['ENTRA_AUTHORITY']}/{tenant_id}/oauth2/v2.0/token",
                data={
                    "grant_type": "client_credentials",
                    "client_id": client_id,
                    "client_secret": secret,
                    "scope": "https://onestore.microsoft.com/.default",
                },
            )
            if answer.is_success:
                return str(answer.json()["access_token"])
    raise RuntimeError("no client secret of the emulator fits the app")
