"""The other nodes as last heard, on this node's disk: after a reboot instances reach them without any manager."""

import logging
from pathlib import Path

import msgspec

from appliance.host.files import write_if_changed
from appliance.model.decoding import decode
from appliance.model.node import Peer

log = logging.getLogger(__name__)


class PeerFile:
    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> tuple[Peer, ...]:
        """Nothing when the file is missing or damaged: a manager sends them again."""
        try:
            return decode(self._path.read_bytes(), tuple[Peer, ...])
        except FileNotFoundError:
            return ()
        except ValueError as error:  # also UnicodeDecodeError, which is no MsgspecError
            log.error("%s does not parse (%s); waiting for a manager to name the other nodes", self._path, error)
            return ()

    def write(self, peers: tuple[Peer, ...]) -> None:
        write_if_changed(self._path, msgspec.json.encode(peers))
