"""Blobs: whole files, written in blocks that nobody sees until all of them are there."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared.clock import Clock, utc_now
from shared.errors import PayloadTooLargeError, UnavailableError
from shared.storage.account import Account, storage_errors
from shared.storage.uploads import OCTETS, UNVERIFIED, BlobChangedError, Upload, runs, settings

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient, ContainerClient

SMALL = 512 * 1024
"""Bytes that are written in one request; more are better staged."""

CHUNK = 4 * 1024 * 1024
"""Bytes that are read of a blob at a time."""

_CLOCK_ALLOWANCE = timedelta(minutes=5)
"""How far behind ours a clock of the service may be: addresses are good from so long ago on."""


@dataclass(frozen=True, slots=True)
class Blob:
    """What is known of a blob: its size in bytes, and what was said of it when it was written."""

    size: int
    content_type: str
    metadata: Mapping[str, str]
    etag: str = ""

    @property
    def verified(self) -> bool:
        """Whether it may be given out."""
        return UNVERIFIED not in self.metadata


class Container:
    """One container of the account; made on first use where it does not exist."""

    def __init__(self, account: Account, name: str, *, clock: Clock = utc_now) -> None:
        self.name = name
        self._account = account
        self._clock = clock
        self._client: ContainerClient | None = None

    async def find(self, name: str) -> Blob | None:
        """What is known of a blob, or None where there is none that may be given out.

        :raises UnavailableError: the account is away.
        """
        found = await self.look(name)
        return found if found is not None and found.verified else None

    async def look(self, name: str) -> Blob | None:
        """As :meth:`find`, and a blob that is still to be verified too."""
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - loaded with the client

        async with self._connected() as client:
            try:
                found = await client.get_blob_client(name).get_blob_properties()
            except ResourceNotFoundError as error:
                self._miss(error)
                return None
        return Blob(found.size, found.content_settings.content_type or OCTETS, found.metadata or {}, found.etag)

    async def put(
        self, name: str, content: bytes, *, content_type: str = OCTETS, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Write a blob of at most :data:`SMALL` bytes in one request, in place of what was there.

        :raises UnavailableError: the account is away; whether it was written is not known.
        """
        async with self._connected() as client:
            await client.get_blob_client(name).upload_blob(
                content, overwrite=True, metadata=dict(metadata or {}), content_settings=settings(content_type)
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

    async def chunks(self, name: str, blob: Blob) -> AsyncIterator[bytes]:
        """The content of a blob from its beginning, :data:`CHUNK` bytes at a time.

        :raises BlobChangedError: it is no longer the one that was found.
        :raises UnavailableError: the account is away.
        """
        for offset in range(0, blob.size, CHUNK):
            async with self._unchanged(name, blob) as (client, condition):
                length = min(CHUNK, blob.size - offset)
                part = await (await client.download_blob(offset=offset, length=length, **condition)).readall()
            yield part

    async def confirm(self, name: str, blob: Blob, metadata: Mapping[str, str]) -> None:
        """Have a blob given out from now on, whose content was found to be right. Raises as :meth:`chunks`."""
        async with self._unchanged(name, blob) as (client, condition):
            await client.set_blob_metadata(dict(metadata), **condition)

    async def discard(self, name: str, blob: Blob) -> None:
        """Delete a blob whose content was found to be wrong. Raises as :meth:`chunks`."""
        async with self._unchanged(name, blob) as (client, condition):
            await client.delete_blob(**condition)

    def upload(self, name: str, version: str = "", blocks: Sequence[str] = ()) -> Upload:
        """A blob to be written in blocks, after those that :meth:`staged` found of the same ``version``."""
        return Upload(self, name, version, list(blocks))

    async def staged(self, name: str, size: int) -> dict[str, list[str]]:
        """The blocks of ``size`` bytes that earlier uploads staged of a blob, from its beginning without a gap.

        By the :func:`version_mark` of what was uploaded.

        :raises UnavailableError: the account is away.
        """
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - loaded with the client

        async with self._connected() as client:
            try:
                _, uncommitted = await client.get_blob_client(name).get_block_list("uncommitted")
            except ResourceNotFoundError as error:
                self._miss(error)
                return {}
        return runs({block.id: block.size for block in uncommitted}, size)

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
    async def _unchanged(self, name: str, blob: Blob) -> "AsyncIterator[tuple[BlobClient, dict[str, Any]]]":
        """The client of a blob, and the condition under which it is the one that was found."""
        from azure.core import MatchConditions  # noqa: PLC0415 - loaded with the client
        from azure.core.exceptions import (  # noqa: PLC0415 - loaded with the client
            ResourceModifiedError,
            ResourceNotFoundError,
        )

        async with self._connected() as client:
            try:
                condition = {"etag": blob.etag, "match_condition": MatchConditions.IfNotModified}
                yield client.get_blob_client(name), condition
            except (ResourceModifiedError, ResourceNotFoundError) as error:
                self._miss(error)
                raise BlobChangedError(name) from error

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


def _is_container_missing(error: Exception) -> bool:
    return bool(getattr(error, "error_code", None) == "ContainerNotFound")


def _plain(file_name: str) -> str:
    """A name that neither ends the header's quotation nor names a folder."""
    return re.sub(r"[^0-9A-Za-z._-]", "_", file_name)[:200]
