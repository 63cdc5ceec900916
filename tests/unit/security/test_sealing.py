"""Sealed values: only the right key opens them, and only as what they are."""

from pathlib import Path

import pytest

from appliance.errors import ApplianceError, LocalStateDamaged
from appliance.security.sealing import KEY_BYTES, Seal, make_seal, read_seal

SEAL = Seal(bytes(KEY_BYTES))


def test_what_was_sealed_can_be_opened_and_shows_nothing() -> None:
    sealed = SEAL.seal(b"open sesame", "shop/key@1")
    assert SEAL.unseal(sealed, "shop/key@1") == b"open sesame"
    assert b"sesame" not in sealed and SEAL.seal(b"open sesame", "shop/key@1") != sealed


def test_no_sealed_value_can_take_the_place_of_another() -> None:
    with pytest.raises(ApplianceError, match="shop/key@2"):
        SEAL.unseal(SEAL.seal(b"x", "shop/key@1"), "shop/key@2")


@pytest.mark.parametrize("place", [0, 1, 12, 13, -1])
def test_a_changed_byte_is_noticed(place: int) -> None:
    sealed = bytearray(SEAL.seal(b"open sesame", "shop/key@1"))
    sealed[place] ^= 1
    with pytest.raises(ApplianceError):
        SEAL.unseal(bytes(sealed), "shop/key@1")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + bytes(12), b"\x02" + bytes(60)])
def test_what_is_no_sealed_value_is_refused(sealed: bytes) -> None:
    with pytest.raises(ApplianceError):
        SEAL.unseal(sealed, "shop/key@1")


def test_another_key_opens_nothing() -> None:
    with pytest.raises(ApplianceError, match="cannot be opened") as refused:
        Seal(b"1" * KEY_BYTES).unseal(SEAL.seal(b"open sesame", "shop/key@1"), "shop/key@1")
    assert "sesame" not in str(refused.value.lines())


def test_the_key_lies_in_a_file_that_only_root_can_read(tmp_path: Path) -> None:
    file = tmp_path / "seal.key"
    assert read_seal(file) is None
    sealed = make_seal(file).seal(b"x", "a")
    again = read_seal(file)
    assert again is not None and again.unseal(sealed, "a") == b"x"
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_bytes(b"short")
    with pytest.raises(LocalStateDamaged):
        read_seal(file)
