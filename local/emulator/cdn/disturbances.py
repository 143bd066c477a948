"""Downloads that go wrong on request: other bytes, a connection that breaks or is slow, a file that ends too early."""

import re
from dataclasses import dataclass


@dataclass
class Disturbance:
    """What happens to the next ``left`` downloads whose path ``path`` is found in.

    ``corrupt`` changes bytes and leaves the size. ``drop_after`` closes the connection after so many bytes of the body,
    ``end_after`` answers with so many bytes as if they were the whole; ``bytes_per_second`` is how fast they come.
    """

    path: re.Pattern[str]
    left: int
    corrupt: bool = False
    drop_after: int | None = None
    end_after: int | None = None
    bytes_per_second: int | None = None


class Disturbances:
    """The disturbances in force, in the order of their making."""

    def __init__(self) -> None:
        self._disturbances: list[Disturbance] = []

    def add(self, disturbance: Disturbance) -> None:
        """Put a disturbance in force."""
        self._disturbances.append(disturbance)

    def clear(self) -> None:
        """Lift all disturbances."""
        self._disturbances.clear()

    def find(self, path: str) -> Disturbance | None:
        """Return the first disturbance that strikes, counted as used once."""
        for disturbance in self._disturbances:
            if disturbance.left and disturbance.path.search(path):
                disturbance.left -= 1
                return disturbance
        return None
