"""Blobs: whole files, written in blocks that nobody sees until all of them are there."""

import base64
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

from shared.clock import Clock, utc_now
from shared.errors import PayloadTooLargeError, UnavailableError
from shared.storage.account import Account, storage_errors

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient, ContainerClient

OCTETS = "application/octet-stream"

SMALL = 512 * 1024
"""Bytes that are written in one request; more are better staged."""

_CLOCK_ALLOWANCE = timedelta(minutes=5)
"""How far behind ours a clock of the service may be: addresses are good from so long ago on."""


@dataclass(frozen=True, slots=True)
class Blob:
    """What is known of a blob: its size in bytes, and what was said of it when it was written."""

    size: int
    content_type: str
    metadata: Mapping[str, str]


class Container:
    """One container of the account; made on first use where it does not exist."""

    def __init__(self, account: Account, name: str, *, clock: Clock = utc_now) -> None:
        self.name = name
        self._account = account
        self._clock = clock
        self._client: ContainerClient | None = None

    async def find(self, name: str) -> Blob | None:
        """What is known of a blob, or None where there is none.

        :raises UnavailableError: the account is away.
        """
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - loaded with the client

        async with self._connected() as client:
            try:
                found = await client.get_blob_client(name).get_blob_properties()
            except ResourceNotFoundError as error:
                self._miss(error)
                return None
        return Blob(found.size, found.content_settings.content_type or OCTETS, found.metadata or {})

    async def put(
        self, name: str, content: bytes, *, content_type: str = OCTETS, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Write a blob of at most :data:`SMALL` bytes in one request, in place of what was there.

        :raises UnavailableError: the account is away; whether it was written is not known.
        """
        async with self._connected() as client:
            await client.get_blob_client(name).upload_blob(
                content, overwrite=True, metadata=dict(metadata or {}), content_settings=_settings(content_type)
            )

    async def read(self, name: str, limit: int) -> bytes | None:
        """The content of a blob of at most ``limit`` bytes, or None where there is no blob.

        :raises PayloadTooLargeError: it has more.
        :raises UnavailableError: the account is away.
        """
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - loaded with the client

        async with self._connected() as client:
            try:
                download = await client.get_blob_client(name).download_blob(offset=0, length=limit + 1)
                content = await download.readall()
            except ResourceNotFoundError as error:
                self._miss(error)
                return None
        if len(content) > limit:
            raise PayloadTooLargeError(f"The blob {name} has more than {limit} bytes")
        return content

    def upload(self, name: str) -> "Upload":
        """A blob to be written in blocks."""
        return Upload(self, name)

    async def address(self, name: str, lifetime: timedelta, *, file_name: str | None = None) -> str:
        """An address from which anyone may read this blob, and nothing else, for ``lifetime``.

        :param file_name: under which a browser saves it.
        :raises UnavailableError: the account is away, or gives us no key to sign with.
        """
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas  # noqa: PLC0415 - loaded when first used

        now = self._clock()
        async with self._connected() as client:
            blob = client.get_blob_client(name)
            signature = generate_blob_sas(
                account_name=client.account_name,
                container_name=self.name,
                blob_name=name,
                permission=BlobSasPermissions(read=True),
                start=now - _CLOCK_ALLOWANCE,
                expiry=now + lifetime,
                protocol="https" if blob.url.startswith("https:") else None,
                content_disposition=f'attachment; filename="{_plain(file_name)}"' if file_name else None,
                **await self._account.signing_key(now + lifetime),
            )
        return f"{blob.url}?{signature}"

    async def check(self) -> None:
        """Make sure that the container answers.

        :raises UnavailableError: it does not.
        """
        async with self._connected() as client:
            await client.get_container_properties()

    def _miss(self, error: Exception) -> None:
        """There is no such blob; perhaps not even the container, which the next call then makes anew."""
        if _is_container_missing(error):
            self._client = None

    @asynccontextmanager
    async def _connected(self) -> "AsyncIterator[ContainerClient]":
        from azure.core.exceptions import (  # noqa: PLC0415 - loaded with the client
            ResourceExistsError,
            ResourceNotFoundError,
        )

        with storage_errors("storage-blobs"):
            if self._client is None:
                client = self._account.blobs().get_container_client(self.name)
                with suppress(ResourceExistsError):
                    await client.create_container()
                self._client = client
            try:
                yield self._client
            except ResourceNotFoundError as error:
                if not _is_container_missing(error):
                    raise
                self._client = None
                raise UnavailableError("storage-blobs", f"the container {self.name} was gone; made anew") from error


class BlocksLostError(Exception):
    """Blocks that were staged are gone."""


@dataclass(slots=True)
class Upload:
    """A blob in the making. Blocks that are never committed are seen by nobody, and the service drops them in a week.

    Blocks have names of this upload alone, so that two who write one blob do not mix theirs.
    """

    container: Container
    name: str
    _prefix: str = field(default_factory=lambda: secrets.token_hex(8))
    _blocks: list[str] = field(default_factory=list)

    @property
    def staged(self) -> int:
        """How many blocks there are."""
        return len(self._blocks)

    async def stage(self, content: bytes) -> None:
        """Add a block.

        :raises UnavailableError: the account is away.
        """
        block = base64.b64encode(f"{self._prefix}-{len(self._blocks):06}".encode()).decode()
        async with self._blob() as blob:
            # As a stream: the client's transport sends bytes in one go, and a large block would hold up all else.
            await blob.stage_block(block, BytesIO(content), length=len(content))
        self._blocks.append(block)

    async def commit(self, *, content_type: str = OCTETS, metadata: Mapping[str, str] | None = None) -> None:
        """Make of all blocks the blob, in place of what was there.

        :raises BlocksLostError: somebody else committed this blob meanwhile, which discards all staged blocks.
        :raises UnavailableError: the account is away; whether it was written is not known.
        """
        from azure.core.exceptions import HttpResponseError  # noqa: PLC0415 - loaded with the client
        from azure.storage.blob import BlobBlock  # noqa: PLC0415 - loaded when first used

        async with self._blob() as blob:
            try:
                await blob.commit_block_list(
                    [BlobBlock(block) for block in self._blocks],
                    metadata=dict(metadata or {}),
                    content_settings=_settings(content_type),
                )
            except HttpResponseError as error:
                if getattr(error, "error_code", None) == "InvalidBlockList":
                    raise BlocksLostError(self.name) from error
                raise

    @asynccontextmanager
    async def _blob(self) -> "AsyncIterator[BlobClient]":
        async with self.container._connected() as client:  # noqa: SLF001 - the other half of one class
            yield client.get_blob_client(self.name)


def _settings(content_type: str) -> Any:
    from azure.storage.blob import ContentSettings  # noqa: PLC0415 - loaded when first used

    return ContentSettings(content_type=content_type)


def _is_container_missing(error: Exception) -> bool:
    return bool(getattr(error, "error_code", None) == "ContainerNotFound")


def _plain(file_name: str) -> str:
    """A name that neither ends the header's quotation nor names a folder."""
    return re.sub(r"[^0-9A-Za-z._-]", "_", file_name)[:200]
