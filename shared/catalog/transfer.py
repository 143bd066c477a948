"""A download under way: which bytes are in, where they go, and whether they are what the Store describes.

Bytes are staged in blocks whose names tell the version of the file (:class:`~shared.storage.blobs.Upload`). So whoever
comes after a worker that died, or ran out of time, finds what is staged and goes on behind it. The hash of bytes that
another process received is not known: a file that was gone on with is read once more where it lies, whole but not given
out, before it is.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.catalog.files import File
from shared.storage.blobs import SMALL as SINGLE_REQUEST
from shared.storage.blobs import Blob, Container
from shared.storage.uploads import OCTETS, BlobChangedError, Upload, version_mark
from shared.store.downloads import Download
from shared.store.errors import StoreAnswer, StoreError

BLOCK = 4 * 1024 * 1024
"""Bytes that are held of one download at a time."""

MAX_CHANGES = 3
"""Times that a file may turn out to be another one while it is read."""

_IMAGES = {
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/bmp",
    "image/x-icon",
    "image/vnd.microsoft.icon",
}
"""What a browser may show as it is; anything else is handed out as bytes."""


class WrongFileError(Exception):
    """What the CDN gives is not what the Store describes; says how."""


class RestlessFileError(StoreError):
    """The file is another one whenever it is asked for."""


@dataclass(slots=True)
class Progress:
    """How far a file has come in this process. ``begun``: it was its turn; ``blocks``: staged, so that whoever comes
    next goes on behind them; ``lost``: the file was found to be another one, and what there was of it is worth nothing.
    """

    begun: bool = False
    blocks: int = 0
    lost: bool = False

    @property
    def advanced(self) -> bool:
        """Whether the next try has less to do."""
        return self.blocks > 0 and not self.lost


@dataclass(slots=True)
class Transfer:
    """What was read of a file. ``staged``: what earlier uploads left, by version mark; ``inherited``: bytes of it that
    are part of this one.
    """

    file: File
    container: Container
    address: str
    staged: Mapping[str, list[str]]
    progress: Progress
    position: int = 0
    inherited: int = 0
    etag: str | None = None
    version: str | None = None
    content_type: str = OCTETS
    changes: int = 0
    renewals: int = 0
    renewed_at: int = 0
    breaks: int = 0
    upload: Upload = field(init=False)
    buffer: bytearray = field(default_factory=bytearray)
    sha256: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def __post_init__(self) -> None:
        self.upload = self.container.upload(self.file.name)
        # Which version there is now is not known yet; most often the one that most was staged of.
        self.position = self._bytes_of(max(self.staged.values(), key=len, default=[]))

    def goes_on_with(self, download: Download) -> bool:
        """Whether an answer goes on where this is; if not, this now is where the version goes on that it is of.

        :raises RestlessFileError: it was another version each time.
        """
        # Where the Store gives a hash, what is put together wrongly comes to light; without either nothing may be.
        version = download.etag or (f"sha256:{self.file.sha256}" if self.file.sha256 else "")
        if version == self.version:
            return True
        if self.version is not None:
            self._change()
        asked = self.position
        blocks = self.staged.get(version_mark(version), []) if version else []
        self.position = self.inherited = self._bytes_of(blocks)
        blocks = blocks[: self.inherited // BLOCK]
        self.upload = self.container.upload(self.file.name, version, blocks)
        self.progress.lost |= bool(self.staged) and not blocks
        self.version, self.etag = version, download.etag
        self.buffer, self.sha256 = bytearray(), hashlib.sha256()
        return self.position == asked

    async def receive(self, download: Download) -> None:
        """Take in what an answer brings.

        :raises WrongFileError: it cannot be the file.
        :raises StoreUnknownError: it broke.
        """
        size = self.file.size
        if size is not None and download.size is not None and download.size != size:
            raise WrongFileError(f"{download.size} bytes where the Store says {size}")
        if download.content_type:
            self.content_type = download.content_type.partition(";")[0].strip().lower()
        # A server that ignores the range begins anew; what was read already is passed over.
        to_skip = self.position - download.offset
        async for received in download.chunks():
            if to_skip >= len(received):
                to_skip -= len(received)
                continue
            chunk = received[to_skip:] if to_skip else received
            to_skip = 0
            self.sha256.update(chunk)
            self.position += len(chunk)
            if size is not None and self.position > size:
                raise WrongFileError(f"more than the {size} bytes that the Store says")
            self.buffer += chunk
            while len(self.buffer) >= BLOCK:
                block = bytes(memoryview(self.buffer)[:BLOCK])
                del self.buffer[:BLOCK]
                await self.upload.stage(block)
                self.progress.blocks += bool(self.version)

    def _change(self) -> None:
        self.changes += 1
        self.progress.lost = True
        if self.changes > MAX_CHANGES:
            raise RestlessFileError(StoreAnswer("download", None, message="it is another file each time"))

    def _bytes_of(self, blocks: list[str]) -> int:
        # All but the last byte at most: of a whole file nothing is left to ask for.
        most = len(blocks) if self.file.size is None else (self.file.size - 1) // BLOCK
        return min(len(blocks), most) * BLOCK


async def keep(transfer: Transfer) -> None:
    """Make the blob, if it is what the Store describes.

    :raises WrongFileError: it is not.
    :raises BlobChangedError: somebody else made it meanwhile.
    """
    file, content_type = transfer.file, transfer.content_type if transfer.content_type in _IMAGES else OCTETS
    # Of a file that was gone on with the hash is not known yet.
    sha256 = None if transfer.inherited else transfer.sha256.hexdigest()
    _check(file, transfer.position, sha256)
    about = {"sha256": sha256} if sha256 else {}
    if transfer.upload.staged == 0 and transfer.position <= SINGLE_REQUEST:
        content = bytes(transfer.buffer)
        await transfer.container.put(file.name, content, content_type=content_type, metadata=about)
        return
    if transfer.buffer:
        await transfer.upload.stage(bytes(transfer.buffer))
    if not sha256:
        # Whose blocks we went on with may have made the blob of them since: what is given out is not taken back.
        made = await transfer.container.look(file.name)
        if made is not None and made.verified and fits(file, made.size, made.metadata.get("sha256")):
            raise BlobChangedError(file.name)
    await transfer.upload.commit(content_type=content_type, metadata=about, verified=bool(sha256))
    if not sha256:
        made = await transfer.container.look(file.name)
        if made is None or made.verified:
            raise BlobChangedError(file.name)
        await certify(transfer.container, file, made)


async def certify(container: Container, file: File, blob: Blob) -> None:
    """Read a whole blob and have it given out, if it is what the Store describes; else it is deleted.

    Raises as :func:`keep`.
    """
    sha256 = hashlib.sha256()
    async for chunk in container.chunks(file.name, blob):
        sha256.update(chunk)
    try:
        _check(file, blob.size, sha256.hexdigest())
    except WrongFileError:
        await container.discard(file.name, blob)
        raise
    await container.confirm(file.name, blob, {"sha256": sha256.hexdigest()})


def fits(file: File, size: int, sha256: str | None) -> bool:
    """Whether a file can be the one that the Store describes, as far as either is known."""
    return file.size in {None, size} and (None in {file.sha256, sha256} or file.sha256 == sha256)


def _check(file: File, size: int, sha256: str | None) -> None:
    if file.size not in {None, size}:
        raise WrongFileError(f"{size} bytes where the Store says {file.size}")
    if not fits(file, size, sha256):
        raise WrongFileError(f"SHA-256 is {sha256} where the Store says {file.sha256}")
