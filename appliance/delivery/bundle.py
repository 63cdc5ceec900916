"""The package's images on their way into a node's engine."""

from appliance.delivery.package import Package
from appliance.engine.engine import Engine


class EngineBundle:
    """Loads images of the package. Several threads may use it; the package has to stay open."""

    def __init__(self, package: Package, engine: Engine) -> None:
        self._package = package
        self._engine = engine

    def image_id(self, name: str) -> str:
        """``sha256:…`` of the image ``appliance/NAME[:RELEASE]``. Raises NotFound."""
        return f"sha256:{self._package.image(name).id}"

    def reference(self, name: str) -> str:
        """``appliance/NAME:RELEASE``. Raises NotFound."""
        return self._package.image(name).reference

    def load(self, name: str) -> None:
        """Raises NotFound, EngineError, EngineUnavailable."""
        with self._package.image_archive(self._package.image(name)) as archive:
            self._engine.load(archive)
