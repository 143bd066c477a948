"""What the services share: the state, the server's own address, and the secrets that were handed out."""

from dataclasses import dataclass, field

from local.emulator.known_secrets import KnownSecrets
from local.emulator.persistence import StateFile
from local.emulator.state import State


@dataclass
class Context:
    """Given to every service. ``origin`` is ``https://localhost:N``, known once the server listens."""

    file: StateFile
    secrets: KnownSecrets = field(default_factory=KnownSecrets)
    origin: str = ""

    @property
    def state(self) -> State:
        """The state; after a change call :meth:`touch`."""
        return self.file.state

    def touch(self) -> None:
        """Note that the state changed."""
        self.file.touch()
