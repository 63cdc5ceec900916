"""What every answer of the API may need, handed in once by the role that serves it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from appliance.api.event_log import EventLog
from appliance.api.sessions import SessionBook
from appliance.delivery.backups import Backups
from appliance.delivery.joining import JoinAnswer, JoinRequest
from appliance.errors import StoreUnavailable, Unavailable
from appliance.link.adoption import Adoption
from appliance.link.clocks import Clocks
from appliance.link.measurements import Measurements
from appliance.link.messages import ProbeRequest
from appliance.link.probing import Answers
from appliance.link.ways import Ways
from appliance.model.moment import text_of_seconds
from appliance.model.service import Service
from appliance.orchestrator.managers import Seen
from appliance.security.sealing import Seal
from appliance.store.caretaker import Caretaker
from appliance.store.state import State
from appliance.store.store import Delete, Expect, Put, Store

READ_OWN_WRITE = 5.0
"""Seconds to wait for the copy to show what was just written."""


def _read_service(text: str, file: str, variables: dict[str, str]) -> Service:
    # The reader loads pydantic, which a manager that nobody applies to never needs.
    from appliance.spec.reader import read_service

    return read_service(text, file, variables)


@dataclass(frozen=True)
class Context:
    """`clock` is seconds since the epoch; `leader` names the leading manager's node id, "" if there is none now.

    `members` looks at etcd's members now and may take seconds; `etcd_states` is what the last look found of each
    manager. `probe` has nodes (by id) measure the overlay, and takes seconds. `seal` closes secrets before they reach
    the store. `bundle_images` holds the references of the images inside the package (``appliance/nginx:0.1.0``).
    `ca_pem`: certificates of the authorities for TLS, whoever signs first.
    """

    state: State
    store: Store
    version: str
    ca_pem: Callable[[], str]
    leader: Callable[[], str]
    bundle_images: frozenset[str]
    join: Callable[[JoinRequest], JoinAnswer]
    sessions: SessionBook
    seal: Seal
    measurements: Measurements
    clocks: Clocks
    ways: Ways
    probe: Callable[[Mapping[str, ProbeRequest]], Answers]
    events: EventLog
    backups: Backups
    adoption: Adoption
    caretaker: Caretaker
    clock: Callable[[], float]
    members: Callable[[], Seen]
    etcd_states: Callable[[], Mapping[str, str]]
    read_service: Callable[[str, str, dict[str, str]], Service] = field(default=_read_service)

    def commit(self, operations: list[Put | Delete], expect: list[Expect]) -> None:
        """Write, and return when the copy that all reads come from shows it.

        Raises StoreUnavailable for anything new while the store is almost full: what is left is for deleting.
        """
        if self.caretaker.full and any(isinstance(o, Put) and self.state.copy.get(o.key) is None for o in operations):
            raise self.caretaker.refusal()
        try:
            revision = self.store.commit(operations, expect)
        except StoreUnavailable as error:
            self.caretaker.wake()  # if it is for want of room, it looks now
            raise self.caretaker.explained(error) from error
        if not self.state.copy.wait_for(revision, READ_OWN_WRITE):
            raise Unavailable(
                "It was written, but this manager does not see it yet.",
                why="its connection to etcd lags behind",
                next="look with `appliance status` before doing it again",
            )

    def catch_up(self, key: str) -> None:
        """Let the copy reach the newest value of `key`: after a conflict, so that the next look sees who was faster."""
        entry = self.store.get(key)
        if entry is not None:
            self.state.copy.wait_for(entry.revision, READ_OWN_WRITE)

    def now(self) -> str:
        return text_of_seconds(self.clock(), "seconds")
