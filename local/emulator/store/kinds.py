"""The two kinds of User Store ID key and where their services differ.

Source: seed 002, steps 3 and 4; store-services reference, sections 2 to 4.
"""

from dataclasses import dataclass

from local.emulator.identity.audiences import COLLECTIONS_AUDIENCE, PURCHASE_AUDIENCE
from local.emulator.state import StoreKind


@dataclass(frozen=True)
class Kind:
    """One Store service as far as keys are concerned.

    ``key_audience`` is both ``iss`` and ``aud`` of its keys, ``refresh_uri`` Microsoft's documented renewal address,
    ``ticket_audience`` what the access token for a creation must be for, ``source`` what its errors call the service.
    """

    name: StoreKind
    key_audience: str
    refresh_uri: str
    ticket_audience: str
    relying_party: str
    create_path: str
    source: str


STORE_KINDS: dict[StoreKind, Kind] = {
    "collections": Kind(
        name="collections",
        key_audience="https://collections.mp.microsoft.com/v6.0/keys",
        refresh_uri="https://collections.mp.microsoft.com/v6.0/b2b/keys/renew",
        ticket_audience=COLLECTIONS_AUDIENCE,
        relying_party="http://licensing.xboxlive.com",
        create_path="/v7.0/beneficiaries/me/keys",
        source="CollectionsFD",
    ),
    "purchase": Kind(
        name="purchase",
        key_audience="https://purchase.mp.microsoft.com/v6.0/keys",
        refresh_uri="https://purchase.mp.microsoft.com/v6.0/b2b/keys/renew",
        ticket_audience=PURCHASE_AUDIENCE,
        relying_party="http://mp.microsoft.com/",
        create_path="/v7.0/users/me/keys",
        source="PurchaseFD",
    ),
}
