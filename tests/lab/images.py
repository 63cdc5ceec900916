"""Small images made from the machine's busybox, as the archives people carry to a site; no registry, no engine."""

import gzip
import hashlib
import io
import json
import platform
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_APPLETS = ("cat", "date", "echo", "env", "hostname", "httpd", "id", "ip", "kill", "ls", "mkdir", "nc", "nslookup")
_MORE_APPLETS = ("ping", "ps", "rm", "sh", "sleep", "sync", "test", "touch", "true", "false", "wget", "yes")


def docker_archive(
    path: Path, name: str, *, command: Sequence[str] = ("sh",), files: Mapping[str, str] | None = None
) -> Path:
    """What `docker save` writes: busybox and `files` as one image called `name`."""
    layer = _layer(files or {})
    config = json.dumps(_config(layer, command)).encode()
    manifest = [{"Config": f"{_sha256(config)}.json", "RepoTags": [name], "Layers": ["layer/layer.tar"]}]
    members = {
        f"{_sha256(config)}.json": config,
        "layer/layer.tar": layer,
        "manifest.json": json.dumps(manifest).encode(),
    }
    return _write(path, members)


def oci_archive(
    path: Path, name: str, *, command: Sequence[str] = ("sh",), files: Mapping[str, str] | None = None
) -> Path:
    """The same as an OCI image layout in a tar, with a gzip layer, as skopeo and buildah write it."""
    layer = _layer(files or {})
    blob = gzip.compress(layer, mtime=0)
    config = json.dumps(_config(layer, command)).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar+gzip", blob)],
        }
    ).encode()
    entry = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
    entry["annotations"] = {"org.opencontainers.image.ref.name": name}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]}
    members = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode()}
    members |= {f"blobs/sha256/{_sha256(part)}": part for part in (blob, config, manifest)}
    return _write(path, members)


def _layer(files: Mapping[str, str]) -> bytes:
    busybox = shutil.which("busybox")
    assert busybox, "busybox-static is not installed"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder in ("bin", "etc", "tmp", "var", "srv"):
            _add(tar, folder, kind=tarfile.DIRTYPE, mode=0o1777 if folder == "tmp" else 0o755)
        _add(tar, "bin/busybox", Path(busybox).read_bytes(), mode=0o755)
        for applet in (*_APPLETS, *_MORE_APPLETS):
            _add(tar, f"bin/{applet}", kind=tarfile.SYMTYPE, link="busybox")
        _add(tar, "etc/passwd", b"root:x:0:0:root:/:/bin/sh\n")
        _add(tar, "etc/group", b"root:x:0:\n")
        for name, text in files.items():
            _add(tar, name.lstrip("/"), text.encode(), mode=0o755 if text.startswith("#!") else 0o644)
    return out.getvalue()


def _config(layer: bytes, command: Sequence[str]) -> dict[str, Any]:
    return {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": {"Cmd": list(command), "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_sha256(layer)}"]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "tests/lab/images.py"}],
    }


def _add(
    tar: tarfile.TarFile,
    name: str,
    data: bytes = b"",
    *,
    kind: bytes = tarfile.REGTYPE,
    mode: int = 0o644,
    link: str = "",
) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.size, member.linkname = kind, mode, len(data), link
    tar.addfile(member, io.BytesIO(data))


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{_sha256(blob)}", "size": len(blob)}


def _sha256(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()


def _write(path: Path, members: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            _add(tar, name, data)
    return path
