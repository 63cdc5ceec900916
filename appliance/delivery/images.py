"""Brings a `docker save` or OCI archive into the cluster's registry, so that every node can pull it by digest.

Layers are sent as they lie in the archive (tar or gzip), so nothing is repacked. Nothing in the archive is trusted:
names never touch the file system, every blob is checked against its digest before the manifest that names it is sent.
Formats: github.com/moby/docker-image-spec (docker save), github.com/opencontainers/image-spec (layout, manifest),
github.com/opencontainers/distribution-spec (the registry's API).
"""

import contextlib
import gzip
import hashlib
import json
import posixpath
import re
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from appliance.delivery.registry import MANIFEST, REGISTRY, Registry
from appliance.errors import Refused
from appliance.model.cluster import Image
from appliance.model.moment import text_of

MOST_MEMBERS = 50_000
MOST_LAYERS = 512
LARGEST_JSON = 8 * 1024 * 1024
LARGEST_ARCHIVE = 200 * 2**30
"""Bytes that a compressed archive may unpack to."""
_CHUNK = 1024 * 1024
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Blob:
    """A member of the archive, checked: `digest` is that of its bytes."""

    member: tarfile.TarInfo
    digest: str
    gzipped: bool

    @property
    def size(self) -> int:
        return self.member.size


@dataclass(frozen=True)
class ArchivedImage:
    """An image as the archive has it. `references` are the names it was saved under."""

    references: tuple[str, ...]
    config: bytes
    layers: tuple[Blob, ...]

    @property
    def id(self) -> str:
        return "sha256:" + hashlib.sha256(self.config).hexdigest()


def load_archive(file: Path, tell: Tell, registry: str = REGISTRY) -> Iterator[Image]:
    """Push every named image of the archive and yield it once the registry has all of it.

    Raises Refused for an archive that is damaged or names no image, Unavailable when the registry does not answer.
    """
    with open_archive(file) as archive:
        for image in archive.images():
            for reference in image.references:
                tell(f"{reference}: {len(image.layers)} layers")
                yield _push(archive, image, reference, registry, tell)


@contextlib.contextmanager
def open_archive(file: Path) -> Iterator["Archive"]:
    """A compressed archive is unpacked to a temporary file first: its members are read out of order."""
    with file.open("rb") as raw:
        magic = raw.read(2)
        raw.seek(0)
        try:
            if magic == b"\x1f\x8b":
                with tempfile.TemporaryFile() as plain:
                    _unpack(raw, plain, file)
                    with tarfile.open(fileobj=plain, mode="r:") as tar:
                        yield Archive(tar, file)
            else:
                with tarfile.open(fileobj=raw, mode="r:") as tar:
                    yield Archive(tar, file)
        except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _damaged(file, f"it is not a whole tar archive: {error}") from error


class Archive:
    """The images in an open archive."""

    def __init__(self, tar: tarfile.TarFile, file: Path) -> None:
        self._tar = tar
        self._file = file
        self._members: dict[str, tarfile.TarInfo] = {}
        self._blobs: dict[str, Blob] = {}
        for count, member in enumerate(tar):
            if count >= MOST_MEMBERS:
                raise _damaged(file, f"it has more than {MOST_MEMBERS} members")
            self._members[posixpath.normpath(member.name)] = member

    def images(self) -> list[ArchivedImage]:
        """Raises Refused when there is none with a name."""
        if "manifest.json" in self._members:
            found = [self._docker_image(entry) for entry in self._list_of(self._json("manifest.json"))]
        elif "index.json" in self._members:
            found = self._oci_images(self._json("index.json"))
        else:
            raise _damaged(self._file, "it has neither a manifest.json (docker save) nor an index.json (OCI layout)")
        named = [image for image in found if image.references]
        if not named:
            raise Refused(
                "The archive holds no image with a name.",
                where=str(self._file),
                next="save it by name: docker save -o FILE NAME:TAG",
                page="images",
            )
        return named

    def open(self, blob: Blob) -> IO[bytes]:
        stream = self._tar.extractfile(blob.member)
        assert stream is not None, "only regular members become blobs"
        return stream

    def _docker_image(self, entry: Any) -> ArchivedImage:
        try:
            config = self._read(str(entry["Config"]))
            layers = tuple(self._blob(str(name)) for name in entry["Layers"] or ())
            references = tuple(str(name) for name in entry.get("RepoTags") or ())
        except (KeyError, TypeError, AttributeError) as error:
            raise _damaged(self._file, f"its manifest.json is not as it should be: {error!r}") from error
        return self._checked(ArchivedImage(references, config, layers))

    def _oci_images(self, index: Any) -> list[ArchivedImage]:
        found = []
        for descriptor in self._list_of(index.get("manifests") if isinstance(index, dict) else None):
            notes = descriptor.get("annotations") or {}
            name = notes.get("io.containerd.image.name") or notes.get("org.opencontainers.image.ref.name") or ""
            manifest = self._oci_manifest(descriptor, depth=0)
            if manifest is None:
                continue
            try:
                config = self._read(self._blob_path(manifest["config"]["digest"]))
                layers = tuple(self._oci_blob(layer["digest"]) for layer in manifest["layers"])
            except (KeyError, TypeError) as error:
                raise _damaged(self._file, f"a manifest in it is not as it should be: {error!r}") from error
            if f"sha256:{hashlib.sha256(config).hexdigest()}" != manifest["config"]["digest"]:
                raise _damaged(self._file, "an image's configuration does not have the digest it is named by")
            found.append(self._checked(ArchivedImage((str(name),) if name else (), config, layers)))
        return found

    def _oci_manifest(self, descriptor: Any, depth: int) -> Any:
        """The manifest below a descriptor; of an index, the first that is an image in this archive."""
        try:
            path = self._blob_path(descriptor["digest"])
            if path not in self._members:
                return None
            value = json.loads(self._read(path))
            if "layers" in value:
                return value if value["config"].get("mediaType") in (_CONFIG, None, _DOCKER_CONFIG) else None
            if depth > 2:
                return None
            below = (self._oci_manifest(one, depth + 1) for one in value["manifests"])
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(self._file, f"its index is not as it should be: {error!r}") from error
        return next((manifest for manifest in below if manifest is not None), None)

    def _oci_blob(self, digest: str) -> Blob:
        blob = self._blob(self._blob_path(digest))
        if blob.digest != digest:
            raise _damaged(self._file, f"the layer {digest} has other bytes than its name says")
        return blob

    def _blob_path(self, digest: object) -> str:
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise _damaged(self._file, f"{digest!r} is not a sha256 digest")
        return "blobs/" + digest.replace(":", "/")

    def _checked(self, image: ArchivedImage) -> ArchivedImage:
        """Raises Refused unless the layers are those that the configuration names."""
        try:
            wanted = json.loads(image.config)["rootfs"]["diff_ids"]
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(self._file, f"an image's configuration is not as it should be: {error!r}") from error
        if len(image.layers) > MOST_LAYERS or len(wanted) != len(image.layers):
            raise _damaged(
                self._file, f"an image has {len(image.layers)} layers; its configuration names {len(wanted)}"
            )
        for blob, diff_id in zip(image.layers, wanted, strict=True):
            if self._plain_digest(blob) != diff_id:
                raise _damaged(self._file, f"the layer {diff_id} has other bytes than the configuration says")
        return image

    def _plain_digest(self, blob: Blob) -> str:
        if not blob.gzipped:
            return blob.digest
        with gzip.open(self.open(blob)) as stream:
            return _digest(stream)

    def _blob(self, name: str) -> Blob:
        member = self._member(name)
        if member.name not in self._blobs:
            stream = self._tar.extractfile(member)
            assert stream is not None, "_member gives regular members only"
            gzipped = stream.read(2) == b"\x1f\x8b"
            stream.seek(0)
            self._blobs[member.name] = Blob(member, _digest(stream), gzipped)
        return self._blobs[member.name]

    def _member(self, name: str) -> tarfile.TarInfo:
        """A regular member, through links inside the archive (docker save links layers that are the same)."""
        path = posixpath.normpath(name)
        for _ in range(8):
            member = self._members.get(path)
            if member is None:
                break
            if member.isreg():
                return member
            if member.issym():
                path = posixpath.normpath(posixpath.join(posixpath.dirname(path), member.linkname))
            elif member.islnk():
                path = posixpath.normpath(member.linkname)
            else:
                break
        raise _damaged(self._file, f"it has no file {name}")

    def _read(self, name: str) -> bytes:
        member = self._member(name)
        if member.size > LARGEST_JSON:
            raise _damaged(self._file, f"{name} is larger than {LARGEST_JSON} bytes")
        stream = self._tar.extractfile(member)
        assert stream is not None, "_member gives regular members only"
        return stream.read()

    def _json(self, name: str) -> Any:
        try:
            return json.loads(self._read(name))
        except ValueError as error:
            raise _damaged(self._file, f"{name} is not JSON: {error}") from error

    def _list_of(self, value: Any) -> list[dict[str, Any]]:
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise _damaged(self._file, "its list of images is not a list")
        return value


_DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"


def repository_of(reference: str) -> tuple[str, str]:
    """Repository and tag in our registry for what a spec calls the image: ``Host:5000/shop/web:1`` keeps all parts."""
    name, _, tag = reference.rpartition(":")
    if not name or "/" in tag:
        name, tag = reference, "latest"
    return re.sub(r"[^a-z0-9/]+", "-", name.lower()).strip("-/") or "image", tag


def manifest_of(image: ArchivedImage) -> bytes:
    """The OCI manifest that names what was pushed. Pure."""
    layers = [
        {"mediaType": _LAYER + ("+gzip" if blob.gzipped else ""), "digest": blob.digest, "size": blob.size}
        for blob in image.layers
    ]
    config = {"mediaType": _CONFIG, "digest": image.id, "size": len(image.config)}
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}).encode()


def _push(archive: Archive, image: ArchivedImage, reference: str, registry: str, tell: Tell) -> Image:
    repository, tag = repository_of(reference)
    client = Registry(registry, repository)
    for number, blob in enumerate(image.layers, 1):
        if not client.has(blob.digest):
            tell(f"{reference}: layer {number} of {len(image.layers)}, {blob.size / 2**20:.1f} MiB")
            with archive.open(blob) as stream:
                client.put_blob(blob.digest, stream, blob.size)
    client.put_blob(image.id, image.config, len(image.config))
    manifest = manifest_of(image)
    client.put_manifest(tag, manifest)
    return Image(
        reference=reference,
        id=image.id,
        pull=f"{REGISTRY}/{repository}@sha256:{hashlib.sha256(manifest).hexdigest()}",
        architecture=str(json.loads(image.config).get("architecture", "")),
        size=sum(blob.size for blob in image.layers),
        loaded_at=text_of(datetime.now(UTC), "seconds"),
    )


def _unpack(raw: IO[bytes], plain: IO[bytes], file: Path) -> None:
    with gzip.open(raw) as stream:
        while chunk := stream.read(_CHUNK):
            plain.write(chunk)
            if plain.tell() > LARGEST_ARCHIVE:
                raise _damaged(file, f"it unpacks to more than {LARGEST_ARCHIVE} bytes")
    plain.seek(0)


def _digest(stream: "IO[bytes] | gzip.GzipFile") -> str:
    found = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        found.update(chunk)
    return f"sha256:{found.hexdigest()}"


def _damaged(file: Path, why: str) -> Refused:
    return Refused(
        "The file is not an image archive that can be loaded.",
        where=str(file),
        why=why,
        next="make it again with `docker save -o FILE NAME:TAG`, and check that the copy is whole",
        page="images",
    )
