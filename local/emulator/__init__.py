"""Microsoft's side of every call, on loopback TLS.

Entra ID, managed identity, Key Vault, Collections, Purchase, Store for Business and its CDN.
The emulator enforces the contracts that the references describe and can be told to misbehave. It shares
no code with the app on purpose: two readings of one contract find the mistakes that one reading hides.

Alone: ``python -m local.emulator --port 0 --state FILE``. Inside a test: :class:`Emulator`.
"""

from local.emulator.server import Emulator

__all__ = ["Emulator"]
