"""The secrets of this node's instances, kept on its disk sealed, so that it needs no manager after a reboot."""

import logging
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from appliance.errors import ApplianceError
from appliance.host.files import write_atomic
from appliance.model.decoding import decode
from appliance.security.sealing import Seal, make_seal, read_seal

log = logging.getLogger(__name__)

_ABOUT = "the secrets of this node"


class SecretBook:
    """Plain texts by reference (``shop/db-password@3``) in `file`; `key_file` is made when it is first needed.

    Thread-safe. What cannot be read is forgotten, and comes again with a manager's next full orders.
    """

    def __init__(self, file: Path, key_file: Path) -> None:
        self._file = file
        self._key_file = key_file
        self._lock = threading.Lock()
        self._all = self._read()

    def get(self, reference: str) -> str | None:
        with self._lock:
            return self._all.get(reference)

    def take(self, secrets: Mapping[str, str]) -> None:
        """Durable when it returns."""
        with self._lock:
            self._replace(self._all | dict(secrets))

    def keep(self, references: Iterable[str]) -> None:
        """Forget all others."""
        wanted = set(references)
        with self._lock:
            self._replace({name: text for name, text in self._all.items() if name in wanted})

    def _replace(self, secrets: dict[str, str]) -> None:
        if secrets == self._all:
            return
        seal = self._seal() or make_seal(self._key_file)
        write_atomic(self._file, seal.seal(msgspec.json.encode(secrets), _ABOUT))
        self._all = secrets

    def _read(self) -> dict[str, str]:
        try:
            sealed = self._file.read_bytes()
            seal = self._seal()
            return {} if seal is None else decode(seal.unseal(sealed, _ABOUT), dict[str, str])
        except FileNotFoundError:
            return {}
        except (ApplianceError, ValueError) as error:
            log.error("%s cannot be read (%s); its secrets come again from a manager", self._file, error)
            return {}

    def _seal(self) -> Seal | None:
        try:
            return read_seal(self._key_file)
        except ApplianceError as error:
            log.error("%s: %s %s; another one is made", error.where, error.what, error.why)
            return None
