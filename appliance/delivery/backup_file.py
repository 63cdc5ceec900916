"""The file of a backup: one line that says what it is, a header to be read without the key, and the sealed content.

The content is compressed JSON, one object a line: the files that make a manager, every entry of the store as of one
revision, and at the end how many there were and their digest. The whole header goes into the key of the content, so
that a file with another header does not open.
"""

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from appliance.errors import ApplianceError, Refused
from appliance.host.files import atomic_file
from appliance.model.backup import BackupHeader
from appliance.model.decoding import decode, decoder
from appliance.security.recovery_key import key_id
from appliance.security.stream import SALT_BYTES, SealedReader, SealedWriter, StreamDamaged, stream_key

MAGIC = b"appliance backup 1\n"
_LONGEST_HEADER = 8192
_COMPRESSION = 6


class Kept(msgspec.Struct, frozen=True, kw_only=True, tag="file"):
    """A file of the manager, by its path below its folder (``pki/ca.key``)."""

    path: str
    mode: int
    data: bytes


class Stored(msgspec.Struct, frozen=True, kw_only=True, tag="entry"):
    """An entry of the store."""

    key: str
    value: bytes


class Summary(msgspec.Struct, frozen=True, kw_only=True, tag="end"):
    files: int
    entries: int
    digest: str


_Line = Kept | Stored | Summary


@dataclass(frozen=True)
class Backup:
    """`entries` in the order of their keys."""

    header: BackupHeader
    files: Mapping[str, Kept]
    entries: Mapping[str, bytes]


def new_salt() -> bytes:
    return os.urandom(SALT_BYTES)


def digest_of(entries: Mapping[str, bytes]) -> str:
    """Of all keys and values, in the order of the keys: two stores with the same digest hold the same."""
    digest = hashlib.sha256()
    for key, value in sorted(entries.items()):
        for part in (key.encode(), value):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def write_backup(
    path: Path, header: BackupHeader, secret: bytes, files: Iterable[Kept], entries: Mapping[str, bytes]
) -> None:
    """Afterwards the file is whole and on the disk, or there is none. Raises ApplianceError for want of room."""
    kept = list(files)
    summary = Summary(files=len(kept), entries=len(entries), digest=digest_of(entries))
    stored = (Stored(key=key, value=value) for key, value in sorted(entries.items()))
    first = MAGIC + msgspec.json.encode(header) + b"\n"
    try:
        with atomic_file(path) as out:
            out.write(first)
            sealed = SealedWriter(out, stream_key(secret, header.salt, first))
            with gzip.GzipFile(fileobj=sealed, mode="wb", compresslevel=_COMPRESSION, mtime=0) as plain:
                for line in (*kept, *stored, summary):
                    plain.write(msgspec.json.encode(line) + b"\n")
            sealed.finish()
    except OSError as error:
        raise ApplianceError(
            "The backup could not be written; nothing is left of it.",
            where=str(path),
            why=error.strerror or str(error),
            next="make room there, or keep fewer: appliance backup schedule --keep N",
            page="backup#no-room",
        ) from error


def read_header(path: Path) -> BackupHeader:
    """What the file says of itself, not yet proved. Raises Refused for what is no backup, OSError."""
    with path.open("rb") as source:
        return _header(source, path)[0]


def read_backup(path: Path, secret: bytes) -> Backup:
    """All of it. Raises Refused for a file that was changed, cut or made with another key, OSError."""
    with path.open("rb") as source:
        header, first = _header(source, path)
        if header.key_id != key_id(secret):
            raise Refused(
                "This backup was made with another recovery key.",
                where=str(path),
                why=f"it needs the key {header.key_id}, and {key_id(secret)} was given",
                next="give the key of the cluster that made it: --key",
                page="backup#the-recovery-key",
            )
        with _refusing(path):
            return _content(header, SealedReader(source, stream_key(secret, header.salt, first)))


def _header(source: BinaryIO, path: Path) -> tuple[BackupHeader, bytes]:
    if source.read(len(MAGIC)) != MAGIC:
        raise Refused(
            "This is no backup that this release can read.",
            where=str(path),
            why=f"it does not begin with {MAGIC.decode().strip()!r}",
            next="give a file that `appliance backup create` made",
            page="backup",
        )
    line = source.readline(_LONGEST_HEADER)
    with _refusing(path):
        return decode(line, BackupHeader), MAGIC + line


def _content(header: BackupHeader, sealed: SealedReader) -> Backup:
    files: dict[str, Kept] = {}
    entries: dict[str, bytes] = {}
    summary = None
    with gzip.GzipFile(fileobj=io.BufferedReader(sealed), mode="rb") as plain:
        for line in _lines(plain):
            match line:
                case Kept():
                    files[line.path] = line
                case Stored():
                    entries[line.key] = line.value
                case Summary():
                    summary = line
    if summary != Summary(files=len(files), entries=len(entries), digest=digest_of(entries)):
        raise StreamDamaged("it does not hold what its end says")
    return Backup(header, files, entries)


def _lines(plain: Iterable[bytes]) -> Iterator[_Line]:
    return map(decoder(_Line).decode, plain)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Whatever is wrong with the bytes is one refusal."""
    try:
        yield
    except (StreamDamaged, ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise Refused(
            "The backup is damaged; nothing of it was used.",
            where=str(path),
            why=str(error),
            next="take another one: each manager keeps its own (appliance backup ls)",
            page="backup#a-damaged-backup",
        ) from error
