"""What the services of a Compose file share while they are converted."""

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from appliance.spec.converted import Configs
from appliance.spec.foreign import Part
from appliance.spec.peer_names import PeerNames


@dataclass(frozen=True)
class Surroundings:
    """`names`: service there → deploy or job here. `read` gives the text of a file, by an absolute path, or raises
    OSError or UnicodeDecodeError. `folder`: where relative paths start."""

    names: Mapping[str, str]
    peers: PeerNames
    environment: Mapping[str, str]
    read: Callable[[str], str]
    folder: str
    volumes: Mapping[str, Part]
    configs: Mapping[str, Part]
    secrets: Mapping[str, Part]
    files: Configs
    owners: dict[str, str] = field(default_factory=dict)
    """Named volume → the service that has it."""
    needed_secrets: dict[str, str] = field(default_factory=dict)
    """Secret here → how its value is found."""

    def path(self, path: str) -> str:
        """Absolute, without ``..``."""
        return posixpath.normpath(posixpath.join(self.folder, path))
