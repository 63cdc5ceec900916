"""A backup's file is read whole or refused."""

import random
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.delivery.backup_file import Kept, digest_of, new_salt, read_backup, read_header, write_backup
from appliance.errors import ApplianceError, Refused
from appliance.model.backup import BackupHeader
from appliance.security.recovery_key import key_id

SECRET = bytes(range(18))
FILES = [Kept(path="pki/ca.key", mode=0o600, data=b"\x00\xff key"), Kept(path="node.json", mode=0o644, data=b"{}")]
RANDOM = random.Random(5)
ENTRIES = {f"/appliance/things/{n:05d}": RANDOM.randbytes(400) for n in range(500)}
"""Random bytes, so that compression does not make the file one chunk."""


def header(**changes: Any) -> BackupHeader:
    made = BackupHeader(
        cluster="c-1",
        cluster_name="shop",
        node="n-1",
        node_name="m1",
        made_at="2026-11-25T12:00:00.000Z",
        release="0.1.0",
        revision=7,
        by="hand",
        key_id=key_id(SECRET),
        salt=new_salt(),
    )
    return msgspec.structs.replace(made, **changes)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "one.backup"
    write_backup(path, header(), SECRET, FILES, ENTRIES)
    return path


def test_what_was_put_in_comes_out(file: Path) -> None:
    backup = read_backup(file, SECRET)
    assert backup.entries == ENTRIES
    assert list(backup.files.values()) == FILES
    assert backup.header == read_header(file)


def test_only_root_can_read_it(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600


def test_nothing_of_it_can_be_read_without_the_key(file: Path) -> None:
    assert not any(entry in file.read_bytes() for entry in (b"ca.key", b"things", *ENTRIES.values()))
    with pytest.raises(Refused, match="another recovery key"):
        read_backup(file, bytes(18))


def test_any_of_200_flipped_bits_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    seed = 11
    for place in random.Random(seed).sample(range(8 * len(whole)), 200):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        file.write_bytes(flipped)
        with pytest.raises(Refused):
            read_backup(file, SECRET)


def test_every_flipped_bit_of_the_header_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    end = whole.index(b"\n", 20) + 1
    for place in range(8 * end):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        file.write_bytes(flipped)
        with pytest.raises(Refused):
            read_backup(file, SECRET)


def test_a_file_that_was_cut_is_refused_wherever(file: Path) -> None:
    whole = file.read_bytes()
    for length in [*range(0, len(whole), 997), len(whole) - 1, 64 * 1024 + 16]:
        file.write_bytes(whole[:length])
        with pytest.raises(Refused):
            read_backup(file, SECRET)


def test_the_header_of_another_backup_does_not_fit(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.backup"
    write_backup(other, header(made_at="2026-11-26T12:00:00.000Z"), SECRET, FILES, ENTRIES)
    ours, theirs = file.read_bytes(), other.read_bytes()
    end = ours.index(b"\n", 20) + 1
    file.write_bytes(theirs[:end] + ours[end:])
    with pytest.raises(Refused):
        read_backup(file, SECRET)


@pytest.mark.parametrize(
    "text", [b"", b"PK\x03\x04", b"appliance backup 2\n{}\n", b"appliance backup 1\n" + b"x" * 20_000]
)
def test_what_is_no_backup_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "some.file"
    path.write_bytes(text)
    with pytest.raises(Refused):
        read_header(path)


def test_a_full_disk_leaves_no_half_file_and_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    try:
        with pytest.raises(ApplianceError, match="could not be written") as refused:
            write_backup(folder / "one.backup", header(), SECRET, FILES, ENTRIES)
        assert "No space left" in refused.value.why
        assert list(folder.iterdir()) == []
    finally:
        subprocess.run(["umount", folder], check=True)


def test_two_stores_have_one_digest_only_if_they_hold_the_same() -> None:
    assert digest_of({"a": b"1", "b": b"2"}) == digest_of({"b": b"2", "a": b"1"})
    assert len({digest_of(each) for each in ({"a": b"12"}, {"a1": b"2"}, {"a": b"1", "2": b""}, {})}) == 4
