"""How a key rests, and how it does not open."""

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.auth.tokens import StoreIdKind
from shared.errors import UnavailableError
from shared.keys.sealing import KeySealer
from shared.storage.sealing import Sealed, Sealer, UnsealError
from shared.store.user_store_id import UserStoreIdKey
from tests.support.vaults import MemoryVault, new_data_key

NAME = "datakey"
KEY = UserStoreIdKey("a.key.in-the-clear")
COLLECTIONS, PURCHASE = StoreIdKind.COLLECTIONS, StoreIdKind.PURCHASE


def new_sealer() -> tuple[KeySealer, MemoryVault]:
    vault = MemoryVault(**{NAME: new_data_key()})
    return KeySealer(Sealer(vault, NAME)), vault


async def test_a_sealed_key_opens_for_its_owner_and_kind() -> None:
    sealer, _ = new_sealer()

    sealed = await sealer.seal("player", COLLECTIONS, KEY)

    assert (await sealer.open("player", COLLECTIONS, sealed)).reveal() == KEY.reveal()
    assert KEY.reveal().encode() not in sealed.data
    assert base64.b64encode(KEY.reveal().encode())[:-4] not in base64.b64encode(sealed.data)


@given(owner=st.text(st.characters(codec="utf-8")), text=st.text(st.characters(codec="utf-8")))
async def test_any_key_of_anybody_survives_sealing(owner: str, text: str) -> None:
    sealer, _ = new_sealer()

    sealed = await sealer.seal(owner, PURCHASE, UserStoreIdKey(text))

    assert (await sealer.open(owner, PURCHASE, sealed)).reveal() == text


async def test_a_key_moved_to_another_owner_or_kind_does_not_open() -> None:
    sealer, _ = new_sealer()
    sealed = await sealer.seal("player", COLLECTIONS, KEY)

    for owner, kind in (("other", COLLECTIONS), ("player", PURCHASE), ("", COLLECTIONS), ("player\0x", COLLECTIONS)):
        with pytest.raises(UnsealError):
            await sealer.open(owner, kind, sealed)


async def test_owners_and_kinds_cannot_be_made_to_run_together() -> None:
    sealer, _ = new_sealer()
    sealed = await sealer.seal("purchase\0x", COLLECTIONS, KEY)

    with pytest.raises(UnsealError):
        await sealer.open("x", PURCHASE, sealed)


async def test_a_key_altered_in_any_byte_does_not_open() -> None:
    sealer, _ = new_sealer()
    sealed = await sealer.seal("player", COLLECTIONS, KEY)

    for index in range(len(sealed.data)):
        altered = bytearray(sealed.data)
        altered[index] ^= 1
        with pytest.raises(UnsealError):
            await sealer.open("player", COLLECTIONS, replace(sealed, data=bytes(altered)))


@pytest.mark.parametrize("length", [0, 1, 11, 12, 13, 27, 28])
async def test_a_key_cut_short_does_not_open(length: int) -> None:
    sealer, _ = new_sealer()
    sealed = await sealer.seal("player", COLLECTIONS, KEY)

    with pytest.raises(UnsealError):
        await sealer.open("player", COLLECTIONS, replace(sealed, data=sealed.data[:length]))


async def test_where_nothing_is_sealed_nothing_opens() -> None:
    sealer, _ = new_sealer()

    with pytest.raises(UnsealError):
        await sealer.open("player", COLLECTIONS, None)


async def test_the_same_key_never_rests_as_the_same_bytes() -> None:
    sealer, _ = new_sealer()

    sealed = [(await sealer.seal("player", COLLECTIONS, KEY)).data for _ in range(100)]

    assert len({data[:12] for data in sealed}) == 100


async def test_a_rotated_data_key_seals_from_now_on_and_the_old_one_still_opens() -> None:
    sealer, vault = new_sealer()
    before = await sealer.seal("player", COLLECTIONS, KEY)

    newest = vault.put(NAME, new_data_key())
    after = await sealer.seal("player", COLLECTIONS, KEY)

    assert after.key_version == newest != before.key_version
    for sealed in (before, after):
        assert await KeySealer(Sealer(vault, NAME)).open("player", COLLECTIONS, sealed) == KEY
    with pytest.raises(UnsealError):
        await sealer.open("player", COLLECTIONS, replace(before, key_version=newest))


async def test_each_version_is_asked_for_once_to_open() -> None:
    sealer, vault = new_sealer()
    sealed = await sealer.seal("player", COLLECTIONS, KEY)
    vault.reads.clear()

    for _ in range(10):
        await sealer.open("player", COLLECTIONS, sealed)

    assert vault.reads == []


@pytest.mark.parametrize(
    "data_key",
    ["", "not base64!", *(base64.b64encode(b"k" * length).decode() for length in (16, 24, 31, 33)), "é" * 32],
)
async def test_a_data_key_that_is_not_32_bytes_in_base64_is_refused_by_name_and_not_shown(data_key: str) -> None:
    vault = MemoryVault(**{NAME: data_key})

    with pytest.raises(UnavailableError, match=f"the secret {NAME} is not 32 bytes") as refusal:
        await KeySealer(Sealer(vault, NAME)).check()

    assert not data_key or data_key not in str(refusal.value)


async def test_a_key_whose_data_key_version_is_gone_cannot_be_opened() -> None:
    sealer, _ = new_sealer()

    with pytest.raises(UnsealError, match="withdrawn"):
        await sealer.open("player", COLLECTIONS, Sealed(b"x" * 40, "withdrawn"))


async def test_a_vault_that_is_away_is_an_outage() -> None:
    sealer, vault = new_sealer()
    vault.away = True

    with pytest.raises(UnavailableError):
        await sealer.seal("player", COLLECTIONS, KEY)
