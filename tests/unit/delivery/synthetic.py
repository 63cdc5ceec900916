"""A package of a few bytes, written by the workshop's own writer, for tests of what reads packages."""

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

from bundle.archive import add_bytes, folder, link
from bundle.images import Image, Layer
from bundle.package import bytes_part, image_entry, image_parts, write_package


def packed(**files: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        tar.addfile(folder("bin"))
        for name, text in files.items():
            add_bytes(tar, f"bin/{name}", text.encode(), 0o755)
        tar.addfile(link("bin/docker-init", "tini-static"))
    return out.getvalue()


def make_layer(tmp: Path, name: str) -> Layer:
    content = packed(**{name: name * 1000})
    path = tmp / f"{name}.tar.gz"
    path.write_bytes(content)
    return Layer(path, hashlib.sha256(content).hexdigest(), len(content), "d" * 64)


def make_image(name: str, *layers: Layer) -> Image:
    config = json.dumps({"rootfs": {"diff_ids": [layer.diff_id for layer in layers]}, "name": name}).encode()
    return Image(f"appliance/{name}", "1.0.0", config, layers, ("/bin/check",))


def make_package(tmp: Path, *, engine: bytes | None = None, names: tuple[str, ...] = ("one", "two")) -> Path:
    """Images that share a layer, an engine, a manual, and a PEX of one file."""
    shared = make_layer(tmp, "shared")
    images = [make_image(name, shared, make_layer(tmp, f"only-{name}")) for name in names]
    manual, pex = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(manual, "w") as archive:
        archive.writestr("pages/verify.md", "# Verify")
    with zipfile.ZipFile(pex, "w") as archive:
        archive.writestr("__main__.py", "print('hello')")
    facts = {
        "product": "appliance",
        "version": "1.0.0",
        "release": 7,
        "architecture": "x86_64",
        "commit": "c" * 40,
        "date": 0,
        "built_from_lock": True,
        "replaced": [],
        "images": [image_entry(image) for image in images],
    }
    parts = [
        bytes_part("pex", "pex", pex.getvalue()),
        bytes_part("python", "runtime", packed(python="python"), runtime="python-1"),
        bytes_part("engine", "runtime", engine or packed(dockerd="dockerd"), runtime="engine-1"),
        bytes_part("manual", "manual", manual.getvalue()),
        bytes_part("sbom", "sbom", b"{}"),
        *image_parts(images),
    ]
    out = tmp / "appliance"
    write_package(out, parts, facts, machine="x86_64", loader="ld.so")
    return out
