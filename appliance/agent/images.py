"""Says whether the engine has an image, and brings it when it has not; with no network where it is in the package."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from appliance.engine.engine import Engine
from appliance.errors import ApplianceError, EngineError, NotFound
from appliance.model.instance import PlannedContainer

log = logging.getLogger(__name__)

BUNDLED = "appliance/"
"""Images of this name come with the package, never from a registry."""
PAUSE_IMAGE = f"{BUNDLED}pause"

LOADS = 2
PULLS = 3
"""At the same time; apart, so that the package's images never wait for a slow network."""

Done = Callable[[ApplianceError | None], None]


class ImageSource(Protocol):
    def find(self, planned: PlannedContainer) -> str | None:
        """Id under which the engine has the container's image; None : it has to be brought."""
        ...

    def bring(self, planned: PlannedContainer, done: Done) -> None:
        """Returns at once; `done` is called from another thread, with None once the engine has the image."""
        ...


class Bundle(Protocol):
    """The images of the package. `name` is ``appliance/NAME``, with or without the release as its tag."""

    def image_id(self, name: str) -> str:
        """Digest of the image's configuration, ``sha256:…``. Raises NotFound."""
        ...

    def reference(self, name: str) -> str:
        """The name and tag that the engine knows once the image is loaded. Raises NotFound."""
        ...

    def load(self, name: str) -> None:
        """Load it into the engine."""
        ...


class EngineImages:
    """However many containers wait for an image, it is brought once."""

    def __init__(self, engine: Engine, bundle: Bundle) -> None:
        self._engine = engine
        self._bundle = bundle
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Done]] = {}
        self._loads = threading.Semaphore(LOADS)
        self._pulls = threading.Semaphore(PULLS)

    def find(self, planned: PlannedContainer) -> str | None:
        try:
            return self._found(planned)
        except NotFound:
            return None  # nor will the package have it when it is asked to bring it, and that is when to complain

    def bring(self, planned: PlannedContainer, done: Done) -> None:
        name = planned.image_id or planned.pull or planned.spec.image
        with self._lock:
            waiting = self._waiting.get(name)
            if waiting is not None:
                waiting.append(done)
                return
            self._waiting[name] = [done]
        threading.Thread(target=self._bring, args=(name, planned), name=f"image {name}", daemon=True).start()

    def _bring(self, name: str, planned: PlannedContainer) -> None:
        failure: ApplianceError | None = None
        try:
            self._fetch(planned)
        except ApplianceError as error:
            failure = error
        except Exception as error:  # the edge of the thread: those who wait have to be told
            log.exception("image %s", name)
            failure = EngineError(f"The image {planned.spec.image} could not be brought.", why=str(error))
        with self._lock:
            waiting = self._waiting.pop(name)
        for done in waiting:
            done(failure)

    def _fetch(self, planned: PlannedContainer) -> None:
        reference = planned.spec.image
        if self._found(planned) is not None:
            return
        if reference.startswith(BUNDLED):
            with self._loads:
                self._bundle.load(reference)
        elif planned.pull:
            with self._pulls:
                self._engine.pull(planned.pull)
        else:
            raise EngineError(
                f"This node has no image {reference}.",
                why="it is neither in the engine, nor in the cluster's registry, nor in the package",
                next="load it with `appliance image load`",
            )
        if self._found(planned) is None:
            raise EngineError(
                f"The image {reference} was loaded, but the engine does not have it.",
                why="what was loaded is another image than the one wanted",
                next="load the image again with `appliance image load`",
            )

    def _found(self, planned: PlannedContainer) -> str | None:
        """The engine's id of exactly this image. Raises NotFound for an image that the package should have."""
        name = planned.spec.image
        bundled = name.startswith(BUNDLED)
        wanted = self._bundle.image_id(name) if bundled else planned.image_id or planned.pull or name
        found = self._engine.image_id(wanted)
        if found is None and not self._engine.ids_are_configurations():
            return self._engine.image_id(self._bundle.reference(name) if bundled else planned.pull or name)
        return found
