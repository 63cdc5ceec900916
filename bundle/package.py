"""Writes the one file: prelude, manifest, place for the signature, parts, and the PEX at the end.

    offset 0      prelude     a shell script, padded to 8192 bytes
           8192   header      one line: sizes of manifest and signature, sha256 of this line and the manifest
                  manifest    JSON; every part's place (from the end of the signature), size and sha256
                  signature   empty in format 1; a signature will cover header and manifest
                  parts       one after the other without gaps, the PEX last, so the file's end is a valid zip

The manifest also holds the prelude's sha256, so nothing in the file is uncovered. `appliance/delivery/package.py`
reads this format; `bundle/boot/unpack.py` reads the little that the first start needs.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from bundle.boot.unpack import HEADER, PRELUDE_SIZE
from bundle.images import Image
from bundle.workshop import BuildFailed, file_digest

PRELUDE = Path(__file__).with_name("boot") / "prelude.sh"


@dataclass(frozen=True)
class Part:
    """A piece of the file. `facts` are further fields of its manifest entry."""

    name: str
    kind: str
    source: Path | bytes
    sha256: str
    size: int
    facts: Mapping[str, Any]


def file_part(name: str, kind: str, path: Path, **facts: Any) -> Part:
    return Part(name, kind, path, file_digest(path), path.stat().st_size, facts)


def bytes_part(name: str, kind: str, content: bytes, **facts: Any) -> Part:
    return Part(name, kind, content, hashlib.sha256(content).hexdigest(), len(content), facts)


def image_parts(images: Sequence[Image]) -> list[Part]:
    """The layers of all images, each once."""
    layers = {layer.sha256: layer for image in images for layer in image.layers}
    return [
        Part(layer_name(digest), "layer", layer.path, digest, layer.size, {"diff_id": layer.diff_id})
        for digest, layer in layers.items()
    ]


def layer_name(digest: str) -> str:
    return f"layer/{digest[:16]}"


def image_entry(image: Image) -> dict[str, Any]:
    """An image as the manifest lists it. The config is inside as text: its sha256 is the image's id."""
    return {
        "name": image.name,
        "tag": image.tag,
        "id": image.id,
        "config": image.config.decode(),
        "layers": [layer_name(layer.sha256) for layer in image.layers],
        "health": list(image.health),
    }


def app_name(parts: Sequence[Part]) -> str:
    """The folder of the unpacked code, named after everything that goes into it."""
    code = [part.sha256 for part in parts if part.kind in ("pex", "bytecode")]
    return f"app-{hashlib.sha256(''.join(code).encode()).hexdigest()[:16]}"


def write_package(out: Path, parts: Sequence[Part], facts: Mapping[str, Any], *, machine: str, loader: str) -> None:
    """Write the file under a temporary name and rename it: a package that is running is never written over.

    `parts` must hold `python` (its `runtime` fact is the folder's name) and `pex`, which is put last.
    """
    ordered = sorted(parts, key=lambda part: part.kind == "pex")
    manifest, data_start, offsets = _manifest(ordered, facts)
    python = next(part for part in ordered if part.name == "python")
    prelude = prelude_text(
        {
            "VERSION": str(facts["version"]),
            "MACHINE": machine,
            "LOADER": loader,
            "PYTHON": python.facts["runtime"],
            "APP": app_name(ordered),
            "PYTHON_START": str(data_start + offsets["python"] + 1),
            "PYTHON_SIZE": str(python.size),
        }
    )
    manifest["prelude"]["sha256"] = hashlib.sha256(prelude).hexdigest()
    text = _as_text(manifest)
    draft = out.with_name(f".{out.name}.new")
    out.parent.mkdir(parents=True, exist_ok=True)
    with draft.open("wb") as package:
        package.write(prelude + header(text) + text)
        for part in ordered:
            _append(part, package)
        if package.tell() != data_start + manifest["size"]:
            raise BuildFailed("The package did not come out as long as planned.", next="build again")
    draft.chmod(0o755)
    draft.replace(out)


def header(manifest: bytes, signature_size: int = 0) -> bytes:
    """The line after the prelude. Its sha256 is over itself with zeros in that place, then the manifest."""
    bare = HEADER.format(len(manifest), signature_size, "0" * 64).encode()
    digest = hashlib.sha256(bare + manifest).hexdigest()
    return HEADER.format(len(manifest), signature_size, digest).encode()


def prelude_text(values: Mapping[str, str]) -> bytes:
    """The shell script with its blanks filled in, at its fixed size."""
    text = PRELUDE.read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    content = text.encode()
    if len(content) > PRELUDE_SIZE:
        raise BuildFailed(f"The prelude is {len(content)} bytes long; {PRELUDE_SIZE} is its place.", next="shorten it")
    return content + b"\n" * (PRELUDE_SIZE - len(content))


def _manifest(parts: Sequence[Part], facts: Mapping[str, Any]) -> tuple[dict[str, Any], int, dict[str, int]]:
    """The manifest with a blank for the prelude's sha256 (which depends on the manifest's length, not on that)."""
    entries, offsets, offset = [], {}, 0
    for part in parts:
        offsets[part.name] = offset
        entry = {"name": part.name, "kind": part.kind, "offset": offset, "size": part.size, "sha256": part.sha256}
        entries.append({**entry, **part.facts})
        offset += part.size
    prelude = {"size": PRELUDE_SIZE, "sha256": "0" * 64}
    manifest = {"format": 1, **facts, "size": offset, "prelude": prelude, "parts": entries}
    text = _as_text(manifest)
    return manifest, PRELUDE_SIZE + len(header(text)) + len(text), offsets


def _as_text(manifest: Mapping[str, Any]) -> bytes:
    return json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()


def _append(part: Part, package: BinaryIO) -> None:
    if isinstance(part.source, bytes):
        package.write(part.source)
        return
    with part.source.open("rb") as stream:
        shutil.copyfileobj(stream, package, 1 << 20)
