"""A registry with one image on a lab host's loopback: as much of the protocol as a pull by digest asks for."""

import gzip
import hashlib
import io
import json
import os
import platform
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.lab.host import Host

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class RemoteImage:
    """An image with one empty layer: `reference` is what to pull from `registry`, `id` what the engine calls it."""

    def __init__(self, registry: str, repository: str) -> None:
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w"):
            pass
        config = json.dumps(
            {
                "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
                "os": "linux",
                "config": {"Cmd": ["/none"]},
                "rootfs": {"type": "layers", "diff_ids": [_digest(layer.getvalue())]},
            }
        ).encode()
        blob = gzip.compress(layer.getvalue(), mtime=0)
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": _descriptor("application/vnd.docker.container.image.v1+json", config),
                "layers": [_descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip", blob)],
            }
        ).encode()
        self.id = _digest(config)
        self.reference = f"{registry}/{repository}@{_digest(manifest)}"
        self.answers = {
            "/v2/": ("application/json", b"{}"),
            f"/v2/{repository}/manifests/{_digest(manifest)}": (_MANIFEST, manifest),
            f"/v2/{repository}/blobs/{_digest(config)}": ("application/octet-stream", config),
            f"/v2/{repository}/blobs/{_digest(blob)}": ("application/octet-stream", blob),
        }


@contextmanager
def serving(host: Host, port: int, image: RemoteImage) -> Iterator[None]:
    """Serve `image` on the host's 127.0.0.1 meanwhile."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            kind, data = image.answers.get(self.path, ("", b""))
            self.send_response(200 if kind else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            if kind == _MANIFEST:
                self.send_header("Docker-Content-Digest", _digest(data))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Tests are quiet."""

    server = _listening(host, port, Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _listening(host: Host, port: int, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    """A socket stays in the namespace of the thread that opened it; that thread is spent by entering it."""
    made: list[ThreadingHTTPServer] = []

    def listen() -> None:
        with open(f"/run/netns/{host.namespace}") as namespace:
            os.setns(namespace.fileno(), os.CLONE_NEWNET)
        made.append(ThreadingHTTPServer(("127.0.0.1", port), handler))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    return made[0]


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"
