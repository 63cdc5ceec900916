"""The one file, read: its manifest, its parts in place by offset, its images, its manual; and whether it is intact.

    offset 0      prelude     a shell script, 8192 bytes
           8192   header      one line: sizes of manifest and signature, sha256 of this line and the manifest
                  manifest    JSON; each part's offset from the end of the signature, its size and sha256
                  signature   empty in format 1
                  parts       one after the other without gaps; the last is the PEX

`bundle/package.py` writes it. Nothing is believed before the manifest's sha256 was right, and no offset or size is
used that does not lie inside the file.
"""

import hashlib
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from appliance.errors import NotFound, PackageDamaged
from appliance.model.decoding import decode

PRELUDE_SIZE = 8192
_HEADER = "appliance-package 1 manifest={:010d} signature={:010d} sha256={}\n"
_HEADER_SIZE = len(_HEADER.format(0, 0, "0" * 64))
_LARGEST_MANIFEST = 16 << 20
_CHUNK = 1 << 20

Progress = Callable[[str, int, int], None]
"""Called with a part's name, bytes checked so far and bytes in all."""


class Prelude(msgspec.Struct, frozen=True):
    size: int
    sha256: str


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """A piece of the file. `offset` counts from the end of the signature.

    `runtime` is the folder name of a runtime part, `diff_id` the sha256 of the tar inside a layer part.
    """

    name: str
    kind: str
    offset: int
    size: int
    sha256: str
    runtime: str = ""
    diff_id: str = ""


class Image(msgspec.Struct, frozen=True):
    """A container image of the bundle. `id` is the sha256 of `config`, which the engine uses as the image's id.

    `layers` are names of parts, lowest first. `health` is a command that exits 0 inside a healthy container.
    """

    name: str
    tag: str
    id: str
    config: str
    layers: tuple[str, ...]
    health: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """`name:tag`, as the engine knows the image after it was loaded."""
        return f"{self.name}:{self.tag}"


class Manifest(msgspec.Struct, frozen=True):
    """What the package says it holds. `date` is the commit's, in seconds since 1970; `size` that of all parts."""

    format: int
    product: str
    version: str
    release: int
    architecture: str
    commit: str
    date: int
    built_from_lock: bool
    replaced: tuple[str, ...]
    size: int
    prelude: Prelude
    parts: tuple[Part, ...]
    images: tuple[Image, ...]


class Package:
    """An open package. Parts are read in place; several readers of one package do not disturb each other."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        try:
            self.manifest, self._data_start = self._read_manifest()
        except BaseException:
            self.close()
            raise
        self._parts = {part.name: part for part in self.manifest.parts}

    @classmethod
    def open(cls, path: Path | str | None = None) -> Self:
        """Open `path`, or the running file (`APPLIANCE_FILE`).

        Raises NotFound when there is no such file, PackageDamaged when its manifest is not whole.
        """
        place = Path(path if path is not None else running_file())
        try:
            descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise NotFound(
                "There is no package to read.",
                where=str(place),
                why=error.strerror or "",
                next="name an appliance file",
            ) from error
        return cls(place, descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def part(self, name: str) -> Part:
        """The part called `name`; NotFound if the package has none."""
        try:
            return self._parts[name]
        except KeyError:
            raise NotFound(
                f"The package has no part {name!r}.", where=str(self.path), next="see `appliance verify -o json`"
            ) from None

    def read(self, name: str) -> bytes:
        """A part's bytes, checked against the manifest; PackageDamaged if they differ."""
        part = self.part(name)
        content = self.open_part(name).read()
        if hashlib.sha256(content).hexdigest() != part.sha256:
            raise self._damaged([name])
        return content

    def open_part(self, name: str) -> BinaryIO:
        """A seekable view of a part, not checked. It stays usable as long as the package is open."""
        part = self.part(name)
        return io.BufferedReader(_Window(self._descriptor, self._data_start + part.offset, part.size), _CHUNK)

    def verify(self, progress: Progress | None = None) -> None:
        """Check every byte of the file; PackageDamaged names the damaged parts, all of them, in `part`."""
        damaged = []
        if self._digest(0, PRELUDE_SIZE) != self.manifest.prelude.sha256:
            damaged.append("prelude")
        done = 0
        for part in self.manifest.parts:
            if self._digest(self._data_start + part.offset, part.size) != part.sha256:
                damaged.append(part.name)
            done += part.size
            if progress:
                progress(part.name, done, self.manifest.size)
        if os.fstat(self._descriptor).st_size > self._data_start + self.manifest.size:
            damaged.append("end of file")
        if damaged:
            raise self._damaged(damaged)

    def images(self) -> tuple[Image, ...]:
        """The container images in the bundle."""
        return self.manifest.images

    def image(self, name: str) -> Image:
        """The image called `name`, with or without `appliance/` in front."""
        for image in self.manifest.images:
            if name in (image.name, image.reference, image.name.removeprefix("appliance/")):
                return image
        have = ", ".join(image.name for image in self.manifest.images)
        raise NotFound(f"The package has no image {name!r}.", where=str(self.path), next=f"it has {have}")

    def image_archive(self, *images: Image) -> BinaryIO:
        """A `docker load` archive of the images (all of the bundle if none is named), streamed from the package.

        Nothing is copied to disk or kept in memory, and a layer that several images share is in it once.
        """
        return io.BufferedReader(_Stream(self._archive_pieces(images or self.manifest.images)), _CHUNK)

    def manual(self) -> zipfile.ZipFile:
        """The manual of this version: `site/` is the web site, `pages/` its Markdown. Read in place."""
        return zipfile.ZipFile(self.open_part("manual"))

    def sbom(self) -> bytes:
        """The CycloneDX list of everything from elsewhere."""
        return self.read("sbom")

    def _archive_pieces(self, images: Sequence[Image]) -> Iterator[bytes | BinaryIO]:
        """The archive (github.com/moby/moby, image/spec/v1.2) as headers in memory and views of the layers."""
        listing = [
            {
                "Config": f"{image.id}.json",
                "RepoTags": [image.reference],
                "Layers": [f"{self.part(name).sha256}.tar.gz" for name in image.layers],
            }
            for image in images
        ]
        for image in {image.id: image for image in images}.values():
            yield from _tar_member(f"{image.id}.json", image.config.encode())
        for name in dict.fromkeys(name for image in images for name in image.layers):
            part = self.part(name)
            yield _tar_header(f"{part.sha256}.tar.gz", part.size)
            yield self.open_part(name)
            yield bytes(-part.size % tarfile.BLOCKSIZE)
        yield from _tar_member("manifest.json", json.dumps(listing).encode())
        yield bytes(2 * tarfile.BLOCKSIZE)

    def _read_manifest(self) -> tuple[Manifest, int]:
        line = os.pread(self._descriptor, _HEADER_SIZE, PRELUDE_SIZE)
        manifest_size, signature_size, said = self._parse_header(line)
        text = os.pread(self._descriptor, manifest_size, PRELUDE_SIZE + _HEADER_SIZE)
        bare = _HEADER.format(manifest_size, signature_size, "0" * 64).encode()
        if hashlib.sha256(bare + text).hexdigest() != said:
            raise PackageDamaged("manifest", "its sha256 is not the one written in the file", where=str(self.path))
        try:
            manifest = decode(text, Manifest)
        except ValueError as error:
            raise PackageDamaged("manifest", str(error), where=str(self.path)) from error
        data_start = PRELUDE_SIZE + _HEADER_SIZE + manifest_size + signature_size
        if why := inconsistency(manifest):
            raise PackageDamaged("manifest", why, where=str(self.path))
        return manifest, data_start

    def _parse_header(self, line: bytes) -> tuple[int, int, str]:
        """The sizes and the sha256 in the header; anything that is not byte for byte as written is refused."""
        try:
            words = dict(word.split("=", 1) for word in line.decode("ascii").split()[2:])
            manifest_size, signature_size, said = int(words["manifest"]), int(words["signature"]), words["sha256"]
            same = _HEADER.format(manifest_size, signature_size, said).encode() == line
        except (ValueError, KeyError):
            same = False
        if not same:
            size = os.fstat(self._descriptor).st_size
            why = "the file ends before it" if size < PRELUDE_SIZE + _HEADER_SIZE else "its header is not readable"
            raise PackageDamaged("manifest", why, where=str(self.path))
        if manifest_size > _LARGEST_MANIFEST:
            raise PackageDamaged("manifest", f"it claims to be {manifest_size} bytes long", where=str(self.path))
        return manifest_size, signature_size, said

    def _digest(self, start: int, size: int) -> str:
        digest = hashlib.sha256()
        end = start + size
        while start < end and (block := os.pread(self._descriptor, min(_CHUNK, end - start), start)):
            digest.update(block)
            start += len(block)
        return digest.hexdigest()

    def _damaged(self, parts: Sequence[str]) -> PackageDamaged:
        why = {"end of file": "there is something behind the last part"}
        sentences = [f"{name}: {why.get(name, 'its sha256 is not the one in the manifest')}" for name in parts]
        return PackageDamaged(", ".join(parts), "\n    ".join(sentences), where=str(self.path))


def running_file() -> Path:
    """The appliance file that this process was started from; NotFound where it runs from its sources."""
    path = os.environ.get("APPLIANCE_FILE", "")
    if not path:
        raise NotFound(
            "This process was not started from an appliance file.",
            where="APPLIANCE_FILE",
            why="the variable is not set, so the program runs from its sources",
            next="name the file, or run dist/appliance",
        )
    return Path(path)


def inconsistency(manifest: Manifest) -> str:
    """Why a manifest cannot be true, empty if it can: parts follow each other without gap and overlap. Pure."""
    if manifest.format != 1:
        return f"its format is {manifest.format}; this version reads format 1"
    end = 0
    names: set[str] = set()
    for part in manifest.parts:
        if part.size < 0 or part.offset != end:
            return f"part {part.name!r} does not begin where the one before it ends"
        if part.name in names:
            return f"two parts are called {part.name!r}"
        names.add(part.name)
        end += part.size
    if end != manifest.size:
        return f"its parts have {end} bytes, and it says {manifest.size}"
    for image in manifest.images:
        if missing := [name for name in image.layers if name not in names]:
            return f"image {image.name!r} has a layer {missing[0]!r} that is no part"
        if hashlib.sha256(image.config.encode()).hexdigest() != image.id:
            return f"image {image.name!r} has another id than its config"
    return ""


def _tar_header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member.tobuf(tarfile.GNU_FORMAT)


def _tar_member(name: str, content: bytes) -> Iterator[bytes]:
    yield _tar_header(name, len(content)) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


class _Window(io.RawIOBase):
    """A part of a file as a file of its own; has its own position, so it never moves the descriptor's."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        self._descriptor, self._start, self._size, self._position = descriptor, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        wanted = min(len(buffer), max(0, self._size - self._position))
        block = os.pread(self._descriptor, wanted, self._start + self._position)
        buffer[: len(block)] = block
        self._position += len(block)
        return len(block)


class _Stream(io.RawIOBase):
    """Pieces, one after the other, as one file that is read from front to back."""

    def __init__(self, pieces: Iterator[bytes | BinaryIO]) -> None:
        self._pieces = pieces
        self._current: BinaryIO = io.BytesIO()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        while not (block := self._current.read(len(buffer))):
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._current = io.BytesIO(piece) if isinstance(piece, bytes) else piece
        buffer[: len(block)] = block
        return len(block)
