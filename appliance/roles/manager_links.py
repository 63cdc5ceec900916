"""The links of a manager: what nodes say and who hears it, and what nodes are told."""

import time
from collections.abc import Callable
from typing import Any

from appliance.component import Component
from appliance.delivery import pki
from appliance.errors import Refused
from appliance.link.adoption import Adoption, Hold
from appliance.link.clocks import Clocks
from appliance.link.dial_targets import DialTargets
from appliance.link.diaries import Diaries
from appliance.link.directory import directory_telling
from appliance.link.dispatch import Dispatch, peers_telling
from appliance.link.entries import entry_telling
from appliance.link.lateness import Lateness
from appliance.link.manager_end import ManagerLink
from appliance.link.measurements import Measurements
from appliance.link.messages import Heartbeat, Hello, Report
from appliance.link.reports import Reports
from appliance.link.telling import Telling
from appliance.link.trust import TrustDispatch
from appliance.link.vips import VipHolders, vip_telling
from appliance.link.ways import Ways
from appliance.link.whereabouts import Movers, whereabouts_telling
from appliance.link.wishes import WishMerge
from appliance.model.cluster import LINK_PORT
from appliance.model.manager import Alive
from appliance.model.release import THIS_RELEASE, Release, refusal
from appliance.network.certificates import host_certificates
from appliance.network.directory import directory
from appliance.network.entry import entry_nodes, entry_rules
from appliance.network.vip import vip_plans
from appliance.orchestrator.assignments import assignment_now
from appliance.orchestrator.gates import gates
from appliance.roles.authorities import AuthorityFiles
from appliance.roles.ground import Ground
from appliance.security.secrets import plain_text
from appliance.store.presence import Presence
from appliance.store.store import Expect


class Links:
    """`term` as in Election; `own`: what the others are told of this manager. `greeted` is called when a node follows
    this manager from now on."""

    def __init__(
        self,
        ground: Ground,
        term: Callable[[], Expect | None],
        own: Alive,
        presence: Presence,
        adoption: Adoption,
        authorities: AuthorityFiles,
        greeted: Callable[[], None],
    ) -> None:
        state, store = ground.state, ground.store
        tell_of_certificates = ground.teller("certificate")
        self._ground = ground
        self._presence = presence
        self._adoption = adoption
        self._greeted = greeted
        self.reports = Reports(state, store, own, term)
        self.wishes = WishMerge(state, store)
        self.measurements = Measurements(state)
        self.clocks = Clocks(ground.teller("clock"))
        self.ways = Ways(ground.teller("overlay"), self._reaches)
        self.holders = VipHolders(store, state, term, vip_plans)
        self.movers = Movers(state, store)
        self.end = self._end()
        self.diaries = Diaries(state, store, self.end.send)
        self.lateness = Lateness(state, lambda node, text: tell_of_certificates(node, text, True), time.time)
        self.trust = TrustDispatch(state, store, self.end, lambda: authorities.now, time.time)
        self.outlet = Hold(self.end, adoption.held)
        self.tellings = self._tellings()
        self.dial_targets = DialTargets(state, self.end)

    def greet_all(self) -> None:
        """Tell every node that follows this manager everything anew."""
        for node_id in self.end.followers():
            for telling in self.tellings:
                telling.greet(node_id)

    def show_own_certificates(self) -> None:
        """As they are on the disk, to nodes that are linked from now on."""
        keys, certificates = pki.read_user_keys(self._ground.layout), pki.read_user_certificates(self._ground.layout)
        self.end.use(keys.key, certificates)

    def parts(self) -> list[Component]:
        """Those that begin with the links, in their order."""
        return [
            self.reports,
            self.wishes,
            self.lateness,
            self.diaries,
            self.end,
            self.trust,
            self._adoption,
            *self.tellings,
            self.movers,
            self.holders,
            self.dial_targets,
        ]

    def _end(self) -> ManagerLink:
        layout, state = self._ground.layout, self._ground.state
        return ManagerLink(
            key=pki.read_user_keys(layout).key,
            certificates=pki.read_user_certificates(layout),
            why_not=lambda certificate: self.trust.why_not(certificate),
            address=self._ground.identity.address,
            port=LINK_PORT,
            refuse=_too_old_or_new,
            on_refused=self._refused,
            on_hello=self._hello,
            on_report=self._report,
            on_left=self.reports.left,
            fresh=self._presence.fresh,
            on_gone=self._gone,
            reached=lambda stamp: state.stamp() >= stamp,
            on_heartbeat=self._heartbeat,
            on_held=self.holders.heard,
            on_wishes=self.wishes.heard,
            on_diary=lambda node_id, page: self.diaries.heard(node_id, page),
            on_believes=lambda node_id, message: self.trust.believes(node_id, message),
            # On a manager's own loopback a registry listens already.
            forward_registry=lambda node_id: not self._ground.is_manager(node_id),
        )

    def _tellings(self) -> tuple[Telling[Any] | Dispatch, ...]:
        state, seal = self._ground.state, self._ground.seal
        return (
            peers_telling(state, self.end),
            Dispatch(state, self.outlet, assignment_now, lambda *secret: plain_text(state, seal, *secret), gates),
            directory_telling(state, self.outlet, directory),
            whereabouts_telling(state, self.end),
            entry_telling(state, self.outlet, entry_rules, entry_nodes, lambda now: host_certificates(now, seal)),
            vip_telling(state, self.outlet, vip_plans),
        )

    def _reaches(self, node_id: str) -> bool:
        status = self._ground.state.node_status.get(node_id)
        return status is not None and status.state == "ready"

    # -- what nodes say, on the link's loop ----------------------------------------------------------------------------

    def _hello(self, node_id: str, hello: Hello) -> None:
        self.reports.hello(node_id, hello)
        self._adoption.hello(node_id, hello.statuses)
        self.movers.said(node_id, hello.address)
        self.trust.greet(node_id)
        for telling in self.tellings:
            telling.greet(node_id)
        self._greeted()

    def _refused(self, node_id: str, refused: Refused) -> None:
        self.reports.refused(node_id, f"{refused.what} See: appliance docs managers")

    def _report(self, node_id: str, report: Report) -> None:
        self.reports.report(node_id, report)
        self._adoption.report(node_id, report.statuses)

    def _heartbeat(self, node_id: str, heartbeat: Heartbeat) -> None:
        for hearer in (self.measurements, self.clocks, self.ways):
            hearer.heard(node_id, heartbeat)

    def _gone(self, node_id: str) -> None:
        for hearer in (self.wishes, self.diaries, self.measurements, self.clocks, self.holders, self.ways):
            hearer.gone(node_id)


def _too_old_or_new(hello: Hello) -> Refused | None:
    return refusal(Release(number=hello.facts.release, version=hello.facts.version), THIS_RELEASE, hello.node)
