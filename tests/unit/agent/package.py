"""A package with one small image, as the agent sees it."""

import hashlib
import io
import json
import tarfile

from appliance.engine.fake import FakeEngine
from appliance.errors import NotFound

CONFIG = json.dumps({"config": {"Cmd": ["catatonit", "-P"]}}).encode()
PAUSE_ID = f"sha256:{hashlib.sha256(CONFIG).hexdigest()}"


def _archive() -> io.BytesIO:
    """As `docker save` writes it, without layers."""
    manifest = json.dumps([{"Config": "config.json", "RepoTags": ["appliance/pause:1"], "Layers": []}]).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in (("config.json", CONFIG), ("manifest.json", manifest)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    out.seek(0)
    return out


class Package:
    """A package with the pause image. `image_id` is what its manifest says."""

    def __init__(self, engine: FakeEngine, image_id: str = PAUSE_ID) -> None:
        self._engine = engine
        self._id = image_id
        self.loads = 0

    def image_id(self, name: str) -> str:
        if name.split(":")[0] != "appliance/pause":
            raise NotFound(f"The package has no image {name}.")
        return self._id

    def reference(self, name: str) -> str:
        return "appliance/pause:1"

    def load(self, name: str) -> None:
        self.loads += 1
        self._engine.load(_archive())
