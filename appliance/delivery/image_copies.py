"""Has every manager's registry hold every image of the cluster, wherever it was loaded, and none that was removed.

An image is the cluster's as long as it is in the list of images, or a revision that is kept was accepted with it.

What is missing is copied from another manager, one image at a time and not too fast, for the way is the link that
carries the heartbeats too. What a registry has is not asked for again, so that a copy that broke off goes on with the
layer at which it did. Both registries are named by digests: the one that takes a layer checks it, and we the manifest.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from appliance.delivery.registry import REGISTRY, Readable, Registry
from appliance.errors import ApplianceError
from appliance.host.files import write_if_changed
from appliance.loop import Loop
from appliance.model.cluster import Image
from appliance.model.decoding import decode
from appliance.store.state import State

log = logging.getLogger(__name__)

LOOK_AGAIN = 5.0
"""Seconds until it is tried again to bring what could not be brought."""
RATE = 16 * 1024 * 1024
"""Bytes in a second."""

Reach = Callable[[str], AbstractContextManager[str]]
"""The node of a manager → the address (HOST:PORT) by which its registry is reached meanwhile. Raises LinkDown."""


class ImageCopies:
    """A component. `own`: this manager's node. `file` keeps which images this manager has known, so that those that
    were removed while it was away are found."""

    name = "image copies"

    def __init__(self, state: State, own: str, reach: Reach, file: Path, registry: str = REGISTRY) -> None:
        self._state = state
        self._own = own
        self._reach = reach
        self._file = file
        self._registry = registry
        self._known = _read(file)
        self._held: set[str] = set()
        self._complaints: dict[str, str] = {}
        self._stopping = threading.Event()
        self._loop = Loop(self.name, self.cycle)

    def start(self) -> None:
        state = self._state
        self._stopping.clear()
        self._loop.follow(*(table.subscribe for table in (state.images, state.revisions, state.alive)))
        self._loop.start()

    def stop(self) -> None:
        self._stopping.set()
        self._loop.stop()

    def cycle(self) -> float | None:
        """Remove what is no longer wanted, bring what is missing; returns when to look again for the rest."""
        wanted = self._wanted()
        self._know(self._known | wanted.keys())
        for pull in self._known - wanted.keys():
            Registry(self._registry, _repository(pull)).delete_manifest(_digest(pull))
        self._know(set(wanted))
        self._held &= wanted.keys()
        missing = [image for pull, image in wanted.items() if pull not in self._held and not self._bring(image)]
        return LOOK_AGAIN if missing else None

    def _wanted(self) -> dict[str, Image]:
        """By what nodes pull them by: under one name there may have been several."""
        listed = self._state.images.all().values()
        kept = (image for revision in self._state.revisions.all().values() for image in revision.images.values())
        return {image.pull: image for image in (*listed, *kept)}

    def _know(self, pulls: set[str]) -> None:
        self._known = pulls
        write_if_changed(self._file, json.dumps(sorted(pulls)))

    def _bring(self, image: Image) -> bool:
        """Whether this manager's registry has it now."""
        own = Registry(self._registry, _repository(image.pull))
        if not own.has_manifest(_digest(image.pull)) and not self._copied(image, own):
            return False
        self._held.add(image.pull)
        self._complaints.pop(image.pull, None)
        return True

    def _copied(self, image: Image, own: Registry) -> bool:
        for manager in sorted(self._state.alive.all().keys() - {self._own}):
            try:
                with self._reach(manager) as address:
                    source = Registry(address, _repository(image.pull))
                    if copy(image, source, own, self._stopping):
                        log.info("%s: copied from %s", image.reference, manager)
                        return True
            except ApplianceError as error:
                self._complain(image, f"{error.what} {error.why}")
        self._complain(image, "no manager that can be reached has it")
        return False

    def _complain(self, image: Image, why: str) -> None:
        if self._complaints.setdefault(image.pull, "") == "":
            self._complaints[image.pull] = why
            log.warning("%s is not in this manager's registry yet: %s; trying again", image.reference, why)


def copy(image: Image, source: Registry, target: Registry, stopping: threading.Event) -> bool:
    """False when `source` does not have it. Raises Unavailable."""
    manifest = source.manifest(_digest(image.pull))
    if manifest is None:
        return False
    for blob in _blobs(manifest):
        if not target.has(blob.digest):
            with source.blob(blob.digest) as content:
                target.put_blob(blob.digest, Paced(content, blob.size, stopping), blob.size)
    target.put_manifest(_digest(image.pull), manifest)
    return True


class Paced:
    """Gives the `size` bytes of a stream no faster than `rate` in a second.

    Raises InterruptedError once `stopping` is set, ConnectionError where the stream ends too early: whoever was
    promised `size` bytes would wait for the rest.
    """

    def __init__(self, stream: Readable, size: int, stopping: threading.Event, rate: int = RATE) -> None:
        self._stream = stream
        self._left = size
        self._stopping = stopping
        self._rate = rate

    def read(self, size: int = -1) -> bytes:
        began = time.monotonic()
        data = self._stream.read(size)
        self._left -= len(data)
        if not data and self._left > 0:
            raise ConnectionError("the other registry broke off")
        if self._stopping.wait(max(0.0, len(data) / self._rate - (time.monotonic() - began))):
            raise InterruptedError("this manager ends")
        return data


class _Blob(msgspec.Struct, frozen=True):
    digest: str
    size: int


class _Manifest(msgspec.Struct, frozen=True):
    config: _Blob
    layers: tuple[_Blob, ...]


def _blobs(manifest: bytes) -> Iterator[_Blob]:
    told = decode(manifest, _Manifest)
    yield told.config
    yield from told.layers


def _repository(pull: str) -> str:
    """Of ``HOST:PORT/REPOSITORY@DIGEST``."""
    return pull.partition("/")[2].partition("@")[0]


def _digest(pull: str) -> str:
    return pull.partition("@")[2]


def _read(file: Path) -> set[str]:
    try:
        return set(decode(file.read_bytes(), list[str]))
    except FileNotFoundError:
        return set()
    except ValueError as error:  # also UnicodeDecodeError, which is no MsgspecError
        log.warning("%s did not parse (%s): images that were removed lately may stay", file, error)
        return set()
