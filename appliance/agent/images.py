"""Makes sure the engine has an image, with no network where the image is there already."""

import threading
from collections.abc import Callable
from typing import Protocol

from appliance.engine.engine import Engine
from appliance.errors import EngineError
from appliance.model.instance import PlannedContainer

BUNDLED = "appliance/"
"""Images of this name come with the package, never from a registry."""
PAUSE_IMAGE = f"{BUNDLED}pause"


class ImageSource(Protocol):
    def ensure(self, planned: PlannedContainer) -> str:
        """Id or reference under which the engine has the image afterwards. Raises EngineError, Unavailable."""
        ...

    def bundled(self, name: str) -> str:
        """The same for an image of the package, ``appliance/NAME``."""
        ...


class Bundle(Protocol):
    """The images of the package. `name` is ``appliance/NAME``, with or without the release as its tag."""

    def image_id(self, name: str) -> str:
        """The image's id as the engine shows it. Raises NotFound."""
        ...

    def load(self, name: str) -> None:
        """Load it into the engine."""
        ...


class EngineImages:
    def __init__(self, engine: Engine, bundle: Bundle) -> None:
        self._engine = engine
        self._bundle = bundle
        self._lock = threading.Lock()
        self._loading: dict[str, threading.Lock] = {}

    def ensure(self, planned: PlannedContainer) -> str:
        reference = planned.spec.image
        if reference.startswith(BUNDLED):
            return self.bundled(reference)
        if planned.pull:
            return self._one(planned.image_id or planned.pull, lambda: self._engine.pull(planned.pull))
        found = self._engine.image_id(planned.image_id or reference)
        if found is None:
            raise EngineError(
                f"This node has no image {reference}.",
                why="it is neither in the engine, nor in the cluster's registry, nor in the package",
                next="load it with `appliance image load`",
            )
        return found

    def bundled(self, name: str) -> str:
        return self._one(self._bundle.image_id(name), lambda: self._bundle.load(name))

    def _one(self, wanted: str, bring: Callable[[], None]) -> str:
        """One load at a time for each image; the others wait for it and find it done."""
        found = self._engine.image_id(wanted)
        if found is not None:
            return found
        with self._lock:
            loading = self._loading.setdefault(wanted, threading.Lock())
        with loading:
            found = self._engine.image_id(wanted)
            if found is None:
                bring()
                found = self._engine.image_id(wanted)
        if found is None:
            raise EngineError(
                f"The image {wanted} was loaded, but the engine does not have it.",
                why="what was loaded is another image than the one wanted",
                next="load the image again with `appliance image load`",
            )
        return found
