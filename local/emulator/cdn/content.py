"""The bytes behind the CDN's addresses: made from their name whenever they are asked for, never stored."""

import base64
import hashlib
import struct
import zlib
from collections.abc import Iterator

BLOCK = 64 * 1024
PIECE = 4 * BLOCK

_HEAD = 32
# Every block but for its first bytes; one copy, so that a block costs a copy and a short hash.
_FILLING = hashlib.shake_128(b"Store for Business").digest(BLOCK - _HEAD)


def package_pieces(name: str, size: int, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Yield the bytes ``start`` to ``end`` (exclusive; the end of the file by default) of a file of ``size`` bytes.

    Pieces end at multiples of ``PIECE``, so the memory taken is the same for every size.
    """
    stop = size if end is None else min(end, size)
    while start < stop:
        first = start - start % PIECE
        following = min(first + PIECE, stop)
        piece = b"".join(_block(name, number) for number in range(first // BLOCK, -(-following // BLOCK)))
        yield piece[start - first : following - first]
        start = following


def _block(name: str, number: int) -> bytes:
    return hashlib.blake2b(f"{name}/{number}".encode(), digest_size=_HEAD).digest() + _FILLING


def package_hash(name: str, size: int) -> str:
    """Return the base64 SHA-256 of a whole file; takes about 1 ms for each MB and lets other threads run."""
    digest = hashlib.sha256()
    for piece in package_pieces(name, size):
        digest.update(piece)
    return base64.b64encode(digest.digest()).decode()


def png_size(width: int, height: int) -> int:
    """Return the file size of :func:`png`, without making it."""
    raw = (width // 4 + 1) * height
    return 8 + 25 + 24 + (12 + 2 + 5 * -(-raw // 0xFFFF) + raw + 4) + 12


def png(name: str, width: int, height: int) -> bytes:
    """Return a PNG of 8 by 8 mirrored cells in four colors; ``width`` is a multiple of 32, ``height`` of 8.

    The pixels are stored rather than compressed, which makes the size known beforehand.
    """
    chosen = hashlib.blake2b(name.encode(), digest_size=44).digest()
    palette, cells = chosen[:12], chosen[12:]
    rows = []
    for line in range(8):
        half = [cell & 3 for cell in cells[4 * line : 4 * line + 4]]
        # Two bits a pixel, and every byte holds four pixels of one cell.
        row = b"\0" + b"".join(bytes([color * 0b01010101]) * (width // 32) for color in half + half[::-1])
        rows.append(row * (height // 8))
    header = struct.pack(">IIBBBBB", width, height, 2, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", _stored(b"".join(rows))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _stored(raw: bytes) -> bytes:
    """A zlib stream of stored blocks (RFC 1950, RFC 1951 section 3.2.4)."""
    parts = [raw[start : start + 0xFFFF] for start in range(0, len(raw), 0xFFFF)]
    blocks = (struct.pack("<BHH", part is parts[-1], len(part), len(part) ^ 0xFFFF) + part for part in parts)
    return b"\x78\x01" + b"".join(blocks) + struct.pack(">I", zlib.adler32(raw))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
