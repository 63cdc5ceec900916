"""A registry's API v2, as much of it as we speak: github.com/opencontainers/distribution-spec."""

import hashlib
import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Protocol
from urllib.parse import urlsplit

from appliance.errors import Unavailable
from appliance.model.cluster import REGISTRY_PORT

REGISTRY = f"127.0.0.1:{REGISTRY_PORT}"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LARGEST_MANIFEST = 4 * 1024 * 1024
_CHUNK = 1024 * 1024


class Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class Registry:
    """One repository, without TLS: what is reached by it listens on loopback only. Everything raises Unavailable."""

    def __init__(self, address: str, repository: str) -> None:
        self._address = address
        self._base = f"/v2/{repository}"

    def has(self, digest: str) -> bool:
        return self._asked("HEAD", f"{self._base}/blobs/{digest}", (200, 404)) == 200

    def has_manifest(self, digest: str) -> bool:
        """With one it has all that it names: it took it only then."""
        return self._asked("HEAD", f"{self._base}/manifests/{digest}", (200, 404)) == 200

    def manifest(self, digest: str) -> bytes | None:
        """None when it has none of this digest."""
        with self._answer("GET", f"{self._base}/manifests/{digest}", (200, 404)) as answer:
            data = answer.read(LARGEST_MANIFEST) if answer.status == 200 else None
        if data is not None and f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            raise Unavailable("A registry gave another manifest than was asked for.", where=self._address, why=digest)
        return data

    @contextmanager
    def blob(self, digest: str) -> Iterator[Readable]:
        """Its bytes, unchecked: a registry that is given them checks them."""
        with self._answer("GET", f"{self._base}/blobs/{digest}", (200,)) as answer:
            yield answer

    def put_blob(self, digest: str, content: IO[bytes] | Readable | bytes, size: int) -> None:
        with self._answer("POST", f"{self._base}/blobs/uploads/", (202,), b"") as begun:
            place = urlsplit(begun.headers["Location"])
        url = f"{place.path}?{place.query}{'&' if place.query else ''}digest={digest}"
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        self._asked("PUT", url, (201,), content, headers)

    def put_manifest(self, name: str, manifest: bytes) -> None:
        """`name`: a tag, or the manifest's digest."""
        self._asked("PUT", f"{self._base}/manifests/{name}", (201,), manifest, {"Content-Type": MANIFEST})

    def delete_manifest(self, digest: str) -> None:
        """It cannot be pulled any more; one that is not there is no error."""
        self._asked("DELETE", f"{self._base}/manifests/{digest}", (202, 404))

    def _asked(
        self,
        method: str,
        url: str,
        fine: tuple[int, ...],
        body: IO[bytes] | Readable | bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> int:
        with self._answer(method, url, fine, body, headers) as answer:
            return answer.status

    @contextmanager
    def _answer(
        self,
        method: str,
        url: str,
        fine: tuple[int, ...],
        body: IO[bytes] | Readable | bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self._address, timeout=120, blocksize=_CHUNK)
        try:
            connection.request(method, url, body, {"Accept": MANIFEST} | (headers or {}))
            response = connection.getresponse()
            if response.status not in fine:
                raise _refused(f"{method} {url.partition('?')[0]}", response)
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                "The cluster's registry does not answer.",
                where=self._address,
                why=str(error) or type(error).__name__,
                next="run this on a manager; see `appliance ps system`",
            ) from error
        finally:
            connection.close()


def _refused(where: str, response: http.client.HTTPResponse) -> Unavailable:
    return Unavailable(
        "The cluster's registry refused a part of the image.",
        where=where,
        why=f"HTTP {response.status} {response.read(4096).decode(errors='replace')[:300]}",
        next="check the room on the manager's disk and load the archive again",
    )
