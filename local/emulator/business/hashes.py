"""The hashes of package files: made once each, big ones without holding up the server."""

import asyncio
from collections.abc import Iterable

from local.emulator.business.packages import Package
from local.emulator.cdn.content import package_hash

# About 1 ms of work.
_BIG = 1024 * 1024


class PackageHashes:
    """Base64 SHA-256 by package id and size."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], str] = {}
        self._turn = asyncio.Lock()

    def get(self, package_id: str, size: int) -> str:
        """Return a hash; one that was not prepared is computed here and now."""
        known = self._known.get((package_id, size))
        if known is None:
            known = self._known[package_id, size] = package_hash(package_id, size)
        return known

    async def prepare(self, packages: Iterable[Package]) -> None:
        """Compute the hashes of big files in a thread, each once however many ask."""
        for package in packages:
            wanted = (package.package_id, package.size)
            if package.hashed and package.size > _BIG and wanted not in self._known:
                async with self._turn:
                    if wanted not in self._known:
                        self._known[wanted] = await asyncio.to_thread(package_hash, *wanted)
