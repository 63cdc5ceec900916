"""A registry in memory behind HTTP: as much of the API as is spoken to one, with its checks of digests."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from appliance.delivery.registry import MANIFEST


class RegistryInMemory:
    """`address` is HOST:PORT. `asked`: methods and paths, in order. `broken`: blobs that it gives with other bytes,
    `short`: without the last ones."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.broken: set[str] = set()
        self.short: set[str] = set()
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                data = registry.get(self._noted())
                self._answer(200 if data is not None else 404, data or b"")

            def do_POST(self) -> None:
                self._noted()
                self._answer(202, b"", Location="/v2/x/blobs/uploads/1?state=s")

            def do_PUT(self) -> None:
                path, data = self._noted(), self.rfile.read(int(self.headers["Content-Length"]))
                self._answer(201 if registry.put(path, data) else 400, b"")

            def do_DELETE(self) -> None:
                gone = registry.manifests.pop(self._noted().rpartition("/")[2], None)
                self._answer(202 if gone is not None else 404, b"")

            def _noted(self) -> str:
                registry.asked.append(f"{self.command} {self.path}")
                return self.path

            def _answer(self, status: int, data: bytes, **headers: str) -> None:
                self.send_response(status)
                for name, value in (headers | {"Content-Length": str(len(data))}).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                """Tests are quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def get(self, path: str) -> bytes | None:
        name = path.rpartition("/")[2]
        if "/manifests/" in path:
            return self.manifests.get(name)
        data = self.blobs.get(name)
        if data is not None and name in self.broken:
            return b"x" * len(data)
        return data[:-1] if data is not None and name in self.short else data

    def put(self, path: str, data: bytes) -> bool:
        if "/manifests/" in path:
            told = json.loads(data)
            self.manifests[digest(data)] = data
            return all(blob["digest"] in self.blobs for blob in (told["config"], *told["layers"]))
        wanted = path.rpartition("digest=")[2]
        if digest(data) == wanted:
            self.blobs[wanted] = data
        return digest(data) == wanted

    def hold(self, *layers: bytes) -> str:
        """Have an image of these layers; returns its manifest's digest."""
        config = b"{}"
        for blob in (config, *layers):
            self.blobs[digest(blob)] = blob
        parts = [{"digest": digest(blob), "size": len(blob)} for blob in (config, *layers)]
        manifest = json.dumps({"mediaType": MANIFEST, "config": parts[0], "layers": parts[1:]}).encode()
        self.manifests[digest(manifest)] = manifest
        return digest(manifest)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
