"""Tells every follower whom to believe, gives it a new certificate in time, and cuts off whose key is revoked.

The links that this manager has are brought up to date whenever the store changes; who is not connected hears of it in
its next hello's answer, who follows another manager from that one. That a node's certificate has expired meanwhile is
no reason to keep it out (`admission`).
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import batched
from typing import Protocol

import msgspec

from appliance.link.admission import why_no_node
from appliance.link.messages import Believes, Picture, Trust
from appliance.loop import Loop
from appliance.model.certificate import USUAL_LIFE, HeldCertificate, Validity
from appliance.model.rotation import NodeTrust
from appliance.model.stamp import Stamp
from appliance.security.ssh import LinkCertificate, key_fingerprint, read_certificate
from appliance.store.state import State, await_copy, record_held
from appliance.store.store import MOST_OPERATIONS, Store

log = logging.getLogger(__name__)

LOOK_AGAIN = 60.0
"""Seconds until it is looked again whether a certificate is due: the clock may have been set meanwhile."""


class Outlet(Protocol):
    """The manager's end of the links."""

    def send(self, node_id: str, message: Picture) -> None: ...

    def connected(self) -> set[str]: ...

    def followers(self) -> set[str]: ...

    def certificate_of(self, node_id: str) -> LinkCertificate | None: ...

    def cut(self, node_id: str) -> None: ...


@dataclass(frozen=True)
class Authorities:
    """Who signs. `link`: public keys of the link's authorities, the one that signs now first; `ca`: certificates (PEM)
    of those for TLS. `sign`: a certificate of the link and for how many seconds → one for the same name and key."""

    link: tuple[str, ...]
    ca: str
    sign: Callable[[LinkCertificate, float], str]


class TrustDispatch:
    """A component. `greet` is called when a node follows this manager from now on. `clock`: seconds since the epoch."""

    name = "trust"

    def __init__(
        self,
        state: State,
        store: Store,
        outlet: Outlet,
        authorities: Callable[[], Authorities],
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._store = store
        self._outlet = outlet
        self._authorities = authorities
        self._clock = clock
        self._sent: dict[str, Trust] = {}
        self._said: dict[str, NodeTrust] = {}
        self._given: dict[str, tuple[LinkCertificate, LinkCertificate]] = {}
        self._lock = threading.Lock()
        self._loop = Loop(self.name, self.cycle, interval=LOOK_AGAIN)

    def start(self) -> None:
        self._loop.follow(self._state.nodes.subscribe, self._state.revoked.subscribe)
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def wake(self) -> None:
        """The authorities are others now."""
        self._loop.wake()

    def greet(self, node_id: str) -> None:
        with self._lock:
            self._sent.pop(node_id, None)
            self._given.pop(node_id, None)
        self._loop.wake()

    def believes(self, node_id: str, message: Believes) -> None:
        """The link's callback."""
        with self._lock:
            self._said[node_id] = NodeTrust(node=node_id, authorities=message.authorities, signed_by=message.signed_by)
        self._loop.wake()

    def why_not(self, certificate: LinkCertificate) -> str:
        """Why whoever shows this is not let in; "" where it is."""
        node, revoked = self._state.nodes.get(certificate.name), self._state.revoked.all()
        return why_no_node(certificate, self._authorities().link, node, revoked, self._clock())

    def cycle(self) -> float | None:
        """Bring every follower up to date. Returns in how many seconds the next certificate is due."""
        due = []
        followers = self._outlet.followers()  # first: what they have seen is in the state by now
        stamp = self._state.stamp()
        for node_id in sorted(self._outlet.connected()):
            shown = self._outlet.certificate_of(node_id)
            if shown is None:
                continue
            if why := self.why_not(self._known(node_id, shown)):
                log.warning("the link to %s is ended: %s", node_id, why)
                self._outlet.cut(node_id)
                continue
            if node_id in followers:
                due.append(self._bring_up_to_date(node_id, shown, stamp))
        self._write_down()
        return min(due, default=None)

    def _write_down(self) -> None:
        """What nodes have said of whom they believe."""
        with self._lock:
            said = dict(self._said)
        table, nodes = self._state.node_trust, self._state.nodes.all()
        news = [trust for name, trust in said.items() if name in nodes and table.get(name) != trust]
        for batch in batched(news, MOST_OPERATIONS, strict=False):
            await_copy(self._state.copy, self._store.commit([table.put(trust.node, trust) for trust in batch]))
        with self._lock:  # only now: a node says it once
            self._said = {name: trust for name, trust in self._said.items() if trust is not said.get(name)}

    def _bring_up_to_date(self, node_id: str, shown: LinkCertificate, stamp: Stamp) -> float:
        authorities = self._authorities()
        known, text = self._known(node_id, shown), ""
        latest, now = self._latest(node_id, known), self._clock()
        if known.authority != authorities.link[0] or not latest.due_in(now):
            text = authorities.sign(known, latest.next_life(now, self._life()))
            known = read_certificate(text)
            latest = self._latest(node_id, known)
            log.info("%s gets a new certificate", node_id)
        told = Trust(authorities=authorities.link, ca=authorities.ca, revoked=tuple(sorted(self._state.revoked.all())))
        with self._lock:
            sent = self._sent.get(node_id)
            self._given[node_id], self._sent[node_id] = (shown, known), told
        if text or told != sent:
            self._outlet.send(node_id, msgspec.structs.replace(told, certificate=text, stamp=stamp))
        if latest == known.validity:
            record_held(self._state, self._store, [_held(node_id, known)])
        return latest.due_in(now)

    def _known(self, node_id: str, shown: LinkCertificate) -> LinkCertificate:
        """The newest that the node has, for all this manager knows: what it was given since it has `shown` that."""
        with self._lock:
            at, given = self._given.get(node_id, (shown, shown))
        return given if at == shown else shown

    def _latest(self, node_id: str, known: LinkCertificate) -> Validity:
        """Another manager may have given it one meanwhile. By a clock that steps what ends last may be due first."""
        held, now = self._state.held.get(f"{node_id}/host"), self._clock()
        found = (known.validity, *([held.validity] if held else []))
        return max(found, key=lambda each: (each.due_in(now), each.over))

    def _life(self) -> float:
        cluster = self._state.cluster()
        return cluster.certificate_life if cluster else USUAL_LIFE


def _held(node_id: str, certificate: LinkCertificate) -> HeldCertificate:
    key = key_fingerprint(certificate.key)
    return HeldCertificate(node=node_id, use="host", validity=certificate.validity, key=key)
