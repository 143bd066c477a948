"""Blobs in the making: blocks that are staged, found again, and made a blob at once."""

import base64
import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count, takewhile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient

    from shared.storage.blobs import Container

OCTETS = "application/octet-stream"

UNVERIFIED = "unverified"
"""Metadata of a blob whose content nobody has looked at as a whole yet."""

_BLOCK_NAME = re.compile(rb"([0-9a-f]{10})[0-9a-f]{6}-([0-9]{6})")


class BlobChangedError(Exception):
    """A blob is no longer the one that was found."""


class BlocksLostError(BlobChangedError):
    """Blocks that were staged are gone."""


@dataclass(slots=True)
class Upload:
    """A blob in the making. Blocks that are never committed are seen by nobody, and the service drops them in a week.

    Blocks have names of this upload alone, so that two who write one blob do not mix theirs. A name tells the
    ``version`` of what is uploaded, too (empty: none that could be recognized), so that an upload that died is found.
    """

    container: "Container"
    name: str
    version: str = ""
    _blocks: list[str] = field(default_factory=list)
    _prefix: str = ""

    def __post_init__(self) -> None:
        # All names of a blob's blocks must have one length (Put Block).
        self._prefix = (version_mark(self.version) if self.version else secrets.token_hex(5)) + secrets.token_hex(3)

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

    async def commit(
        self, *, content_type: str = OCTETS, metadata: Mapping[str, str] | None = None, verified: bool = True
    ) -> None:
        """Make of all blocks the blob, in place of what was there; not ``verified``: it is not given out yet.

        :raises BlocksLostError: somebody else committed this blob meanwhile, which discards all staged blocks.
        :raises UnavailableError: the account is away; whether it was written is not known.
        """
        from azure.core.exceptions import HttpResponseError  # noqa: PLC0415 - loaded with the client
        from azure.storage.blob import BlobBlock  # noqa: PLC0415 - loaded when first used

        async with self._blob() as blob:
            try:
                await blob.commit_block_list(
                    [BlobBlock(block) for block in self._blocks],
                    metadata=dict(metadata or {}) | ({} if verified else {UNVERIFIED: "1"}),
                    content_settings=settings(content_type),
                )
            except HttpResponseError as error:
                if getattr(error, "error_code", None) == "InvalidBlockList":
                    raise BlocksLostError(self.name) from error
                raise

    @asynccontextmanager
    async def _blob(self) -> "AsyncIterator[BlobClient]":
        async with self.container._connected() as client:  # noqa: SLF001 - the other half of one class
            yield client.get_blob_client(self.name)


def version_mark(version: str) -> str:
    """What the names of blocks have of the version that they belong to."""
    return hashlib.blake2b(version.encode(), digest_size=5).hexdigest()


def runs(blocks: Mapping[str, int], size: int) -> dict[str, list[str]]:
    """Of staged blocks and their sizes those of ``size`` bytes that follow each other from the beginning on, by the
    mark of their version.
    """
    numbered: dict[str, dict[int, str]] = {}
    for block, bytes_of_it in blocks.items():
        found = _BLOCK_NAME.fullmatch(_unmasked(block))
        if found and bytes_of_it == size:
            numbered.setdefault(found[1].decode(), {})[int(found[2])] = block
    return {mark: _without_gap(named) for mark, named in numbered.items() if 0 in named}


def _unmasked(block: str) -> bytes:
    try:
        return base64.b64decode(block, validate=True)
    except ValueError:
        return b""  # somebody else's


def _without_gap(named: Mapping[int, str]) -> list[str]:
    return [named[number] for number in takewhile(named.__contains__, count())]


def settings(content_type: str) -> Any:
    """What the service keeps about the content."""
    from azure.storage.blob import ContentSettings  # noqa: PLC0415 - loaded when first used

    return ContentSettings(content_type=content_type)
