"""The settings that what is fetched depends on. Pure.

A pass keeps the ones it began with, and whoever works on it goes by those: while an app is deployed anew, instances
with other settings work side by side.
"""

from dataclasses import dataclass

_PACKAGES = "+packages"


@dataclass(frozen=True, slots=True)
class Basis:
    """In which languages products are kept, and whether their packages are downloaded."""

    languages: tuple[str, ...]
    with_packages: bool

    def __str__(self) -> str:
        return ",".join(self.languages) + (_PACKAGES if self.with_packages else "")


def read_basis(text: str) -> Basis:
    """The inverse of ``str``."""
    return Basis(tuple(text.removesuffix(_PACKAGES).split(",")), text.endswith(_PACKAGES))
