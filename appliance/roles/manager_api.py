"""What a manager serves: the API, the pages and what is live on them, and the hosts that want to join."""

import time

from appliance import VERSION
from appliance.api.certificates import certificate_rows, certificate_summary
from appliance.api.context import Context
from appliance.api.overview import overview
from appliance.api.rows import Row
from appliance.api.server import ApiServer
from appliance.api.sessions import SessionBook
from appliance.api.store_care import store_row
from appliance.component import Component
from appliance.delivery.backups import Backups
from appliance.delivery.calls import Calls
from appliance.delivery.join_call import Proof
from appliance.delivery.joining import Joiner
from appliance.delivery.package import Package
from appliance.link.adoption import Adoption
from appliance.link.probing import Probing
from appliance.orchestrator.managers_controller import Managers
from appliance.roles.authorities import AuthorityFiles
from appliance.roles.ground import Ground
from appliance.roles.manager_links import Links
from appliance.store.caretaker import Caretaker
from appliance.terminal.live import Live
from appliance.web.pages import register


def served(
    ground: Ground,
    package: Package,
    links: Links,
    adoption: Adoption,
    managers: Managers,
    caretaker: Caretaker,
    backups: Backups,
    authorities: AuthorityFiles,
) -> list[Component]:
    """In the order in which they start."""
    layout, state, events = ground.layout, ground.state, ground.events
    sessions = SessionBook(state, ground.store)
    joiner = Joiner(state, ground.store, layout, time.time)
    context = Context(
        state=state,
        store=ground.store,
        version=VERSION,
        ca_pem=lambda: authorities.now.ca,
        leader=ground.leader,
        bundle_images=frozenset(image.reference for image in package.images()),
        join=joiner.join,
        sessions=sessions,
        seal=ground.seal,
        measurements=links.measurements,
        clocks=links.clocks,
        ways=links.ways,
        probe=Probing(links.end).ask,
        events=events,
        backups=backups,
        adoption=adoption,
        caretaker=caretaker,
        clock=time.time,
        members=managers.look,
        etcd_states=managers.etcd_states,
    )

    def overview_now() -> Row:
        certificates = certificate_summary(certificate_rows(state, authorities.now.ca, time.time()))
        leader, states = ground.leader(), managers.etcd_states()
        return overview(state, events, VERSION, leader, states, links.clocks.of, certificates, store_row(caretaker))

    manual = package.manual()
    live_sockets = layout.admin_live_socket, layout.web_live_socket
    return [
        Calls(state, _proof(ground), joiner.join, time.time),
        backups,
        Live(state, links.end, links.end.loop, *live_sockets, sessions.user_of, overview_now),
        ApiServer(context, layout.admin_socket, layout.web_socket, pages=lambda app: register(app, manual)),
    ]


def _proof(ground: Ground) -> Proof:
    """Of this being a manager of the cluster, for hosts that are called to join."""
    pki = ground.layout.pki
    return Proof(pki / "ca.crt", pki / "web" / "web.crt", pki / "web" / "web.key")
