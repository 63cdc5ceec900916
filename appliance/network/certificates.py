"""With which certificates the entry answers: of the cluster's authority, issued by the leader, or from a secret."""

import ipaddress
import logging
from collections.abc import Callable, Iterator

from appliance.errors import ApplianceError
from appliance.loop import Loop
from appliance.model.certificate import USUAL_LIFE
from appliance.model.entry import HostCertificate, IssuedCertificate
from appliance.model.vip import parse_vip
from appliance.network.entry import entries_in_effect, entry_nodes
from appliance.security.ca import KeyPair, is_issued_by, issue, pair_in, validity_of
from appliance.security.sealing import Seal
from appliance.security.secrets import plain_text
from appliance.store.state import Change, State, commit_as_leader
from appliance.store.store import Expect, Store

log = logging.getLogger(__name__)

LOOK_AGAIN = 60.0
"""Seconds until it is looked again whether a certificate is to be renewed: the clock may have been set meanwhile."""
ANY_HOST = "_"
"""The name in the store for requests that no rule names the host of."""


class EntryCertificates:
    """A component. While this manager leads, it issues what is missing and renews what has a third of its life left.

    `authority` signs; `clock` is seconds since the epoch.
    """

    name = "entry-certificates"

    def __init__(
        self,
        store: Store,
        state: State,
        term: Callable[[], Expect | None],
        authority: Callable[[], KeyPair],
        seal: Seal,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._state = state
        self._term = term
        self._authority = authority
        self._seal = seal
        self._clock = clock
        self._loop = Loop(self.name, self.cycle, interval=LOOK_AGAIN)

    def start(self) -> None:
        state = self._state
        self._loop.follow(
            *(table.subscribe for table in (state.services, state.revisions, state.rollouts, state.nodes, state.vips))
        )
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def wake(self) -> None:
        """This manager may lead now."""
        self._loop.wake()

    def cycle(self) -> float | None:
        """Returns in how many seconds the next one is due."""
        term = self._term()
        if term is None:
            return None
        signer = self._authority()
        commit_as_leader(self._store, self._state.copy, term, list(self._changes(signer)))
        return min((self._due_in(known, signer) for known in self._state.certificates.all().values()), default=None)

    def _changes(self, signer: KeyPair) -> Iterator[Change]:
        table, wanted = self._state.certificates, issued_hosts(self._state)
        for name, known in table.all().items():
            if known.host not in wanted:
                yield Change((table.delete(name),))
        for host, addresses in wanted.items():
            name = host or ANY_HOST
            issued = table.get(name)
            if issued is None or issued.addresses != addresses or not self._due_in(issued, signer):
                log.info("a certificate for %s is issued", host or ", ".join(addresses))
                yield Change((table.put(name, self._issue(signer, host, addresses, issued)),))

    def _due_in(self, issued: IssuedCertificate, signer: KeyPair) -> float:
        """Seconds; 0 also where another authority signs by now."""
        certificate = issued.certificate.encode()
        if not is_issued_by(certificate, signer.certificate):
            return 0.0
        return validity_of(certificate).due_in(self._clock())

    def _issue(
        self, signer: KeyPair, host: str, addresses: tuple[str, ...], before: IssuedCertificate | None
    ) -> IssuedCertificate:
        names, cluster, now = () if addresses else (host,), self._state.cluster(), self._clock()
        life = cluster.certificate_life if cluster else USUAL_LIFE
        if before is not None:
            life = validity_of(before.certificate.encode()).next_life(now, life)
        pair = issue(
            signer,
            host[:64] or "entry",
            now,
            names=names,
            addresses=addresses,
            server=True,
            life=life,
        )
        sealed = self._seal.seal(pair.key, _about(host))
        return IssuedCertificate(host=host, addresses=addresses, certificate=pair.certificate.decode(), sealed=sealed)


def issued_hosts(state: State) -> dict[str, tuple[str, ...]]:
    """Host of the rules with TLS that have no certificate of their own → addresses that its certificate has to name.

    A rule for any host is reached at the addresses of the nodes that serve the entry, and at the virtual ones.
    """
    own = {host for host, secret in _hosts(state).items() if secret is not None}
    nodes, cluster = state.nodes.all(), state.cluster()
    virtual = {*state.vips.all(), *([parse_vip(cluster.vip)[0]] if cluster is not None and cluster.vip else [])}
    serving = tuple(sorted({nodes[node].address for node in entry_nodes(state)} | virtual))
    return {host: _addresses(host, serving) for host in _hosts(state) if host not in own}


def host_certificates(state: State, seal: Seal) -> tuple[HostCertificate, ...]:
    """For every host that has one now. What cannot be opened is left out, and said in the log."""
    found = []
    for host, secret in _hosts(state).items():
        try:
            made = _supplied(state, seal, host, *secret) if secret else _issued(state, seal, host)
        except (ApplianceError, ValueError) as error:
            log.error("the certificate for %s cannot be used: %s", host or "any host", error)
            continue
        if made is not None:
            found.append(made)
    return tuple(found)


def _hosts(state: State) -> dict[str, tuple[str, str, int] | None]:
    """Host of the rules with TLS → service, name and version of the secret that the first of them names, or None."""
    found: dict[str, tuple[str, str, int] | None] = {}
    for revision, entry in entries_in_effect(state):
        if entry.tcp or entry.udp or entry.tls == "never":
            continue
        name = entry.certificate
        secret = (revision.service, name, revision.secrets.get(name, 0)) if name else None
        found[entry.host] = found.get(entry.host) or secret
    return dict(sorted(found.items()))


def _supplied(state: State, seal: Seal, host: str, service: str, name: str, version: int) -> HostCertificate:
    pair = pair_in(plain_text(state, seal, service, name, version))
    return HostCertificate(host=host, chain=pair.certificate.decode(), key=pair.key.decode())


def _issued(state: State, seal: Seal, host: str) -> HostCertificate | None:
    issued = state.certificates.get(host or ANY_HOST)
    if issued is None:
        return None
    return HostCertificate(host=host, chain=issued.certificate, key=seal.unseal(issued.sealed, _about(host)).decode())


def _addresses(host: str, serving: tuple[str, ...]) -> tuple[str, ...]:
    if not host:
        return serving
    try:
        return (str(ipaddress.ip_address(host)),)
    except ValueError:
        return ()


def _about(host: str) -> str:
    return f"the certificate of {host or 'any host'}"
