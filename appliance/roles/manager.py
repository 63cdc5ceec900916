"""The manager: holds the cluster's state, decides, and talks to people and nodes."""

import logging
import secrets
import socket
import time
from collections.abc import Sequence
from functools import partial

from appliance.api.chronicle import Draft
from appliance.api.event_log import EventLog
from appliance.component import Group
from appliance.delivery import pki
from appliance.delivery.backups import Backups
from appliance.delivery.image_copies import ImageCopies
from appliance.delivery.package import Package
from appliance.delivery.renewal import Renewal
from appliance.delivery.rotating import Rotating
from appliance.errors import StoreUnavailable
from appliance.host.layout import Layout
from appliance.link.adoption import Adoption
from appliance.model.certificate import Use
from appliance.model.cluster import ETCD_CLIENT_PORT
from appliance.model.identity import NodeIdentity
from appliance.model.manager import Alive
from appliance.model.moment import now_text
from appliance.network.certificates import EntryCertificates
from appliance.network.leases import LeaseMirror
from appliance.orchestrator.autoscale_controller import Autoscaler
from appliance.orchestrator.controller import Orchestrator
from appliance.orchestrator.jobs_controller import Jobs
from appliance.orchestrator.managers_controller import Managers
from appliance.orchestrator.virtual_controller import Addresses
from appliance.roles import recovering
from appliance.roles.authorities import AuthorityFiles
from appliance.roles.etcd_start import start_own_etcd_anew
from appliance.roles.first_state import fill_if_empty, open_seal
from appliance.roles.ground import Ground
from appliance.roles.manager_api import served
from appliance.roles.manager_links import Links
from appliance.roles.manager_nodes import ManagerNodes
from appliance.roles.own_member import OwnMemberCare, credentials, endpoints
from appliance.roles.rehearsal import rehearse_apart
from appliance.roles.signals import Signals
from appliance.scheduler.controller import Scheduler
from appliance.sidecars.etcd import METRICS_PORT, QUOTA
from appliance.store import keys
from appliance.store.caretaker import Caretaker
from appliance.store.disk import EtcdDisk
from appliance.store.election import Election
from appliance.store.etcd import EtcdStore
from appliance.store.etcd_channels import EtcdChannels
from appliance.store.etcd_members import EtcdMembership
from appliance.store.maintenance import EtcdMaintenance
from appliance.store.mirror import Mirror
from appliance.store.presence import Presence
from appliance.store.state import State
from appliance.store.store import Store

log = logging.getLogger(__name__)

ASK_AGAIN = 0.1
"""Seconds between two tries to reach etcd while it starts."""


def run_manager(layout: Layout, identity: NodeIdentity) -> None:
    """Run until SIGTERM or SIGINT."""
    signals = Signals()
    pki.renew_due(layout, time.time())  # before they are needed: this node may have been off for months
    others = [] if layout.recovery_file.exists() else recovering.other_managers(identity)
    channels = EtcdChannels(endpoints(others), credentials(layout))
    store = EtcdStore(channels)
    try:
        if not _wait_for(store, "" if others else identity.address, signals):
            return
        said = recovering.finish(store, EtcdMembership(channels), layout, identity)
        fill_if_empty(store, layout)
        with Package.open() as package:
            group = _components(_ground(layout, identity, channels, store, said), package)
            group.start()
            log.info("manager %s is up", identity.name)
            while not signals.asked_to_end:
                signals.wait(3600.0)
            group.stop()
    finally:
        store.close()


def _wait_for(store: Store, address: str, signals: Signals) -> bool:
    """Return True once etcd answers, False when we are to end before that.

    The only member has to be at `address` as well ("" : there are others): one that is not will be made anew in a
    moment, as the node has moved.
    """
    complaint = ""
    while not signals.asked_to_end:
        try:
            store.get(keys.CLUSTER)
            if address:
                socket.create_connection((address, ETCD_CLIENT_PORT), 1.0).close()
            return True
        except (StoreUnavailable, OSError) as error:
            why = str(error) if isinstance(error, OSError) else error.why
            if why != complaint:
                complaint = why
                log.info("waiting for etcd: %s", why)
        signals.wait(ASK_AGAIN)
    return False


def _components(ground: Ground, package: Package) -> Group:
    layout, identity, store, state = ground.layout, ground.identity, ground.store, ground.state

    def lead_changed() -> None:
        for part in led:
            part.wake()

    def released() -> None:
        lead_changed()
        links.greet_all()

    def renewed(uses: set[Use]) -> None:
        if "client" in uses:
            ground.channels.prove(credentials(layout))
        if "user" in uses:
            links.show_own_certificates()
        rotating.wake()

    def other_authorities() -> None:
        authorities.read()
        links.show_own_certificates()
        ground.channels.prove(credentials(layout))
        renewal.wake()
        certificates.wake()
        links.trust.wake()

    leadership = partial(ground.mirror.subscribe, keys.LEADER)
    election = Election(store, identity.id, lead_changed, lambda: ground.is_manager(identity.id), leadership)
    adoption = Adoption(state, store, election.term, released)
    own = Alive(id=identity.id, run=secrets.token_hex(8))
    presence = Presence(store, ground.mirror, own)
    membership = EtcdMembership(ground.channels)
    own_member = OwnMemberCare(layout, identity, state, ground.channels, membership)
    caretaker = Caretaker(
        store,
        EtcdMaintenance(ground.channels),
        EtcdDisk(layout.var / "etcd", METRICS_PORT),
        identity.store_quota or QUOTA,
        election.term,
        partial(ground.teller("store"), identity.id),
    )
    authorities = AuthorityFiles(layout, time.time)
    links = Links(ground, election.term, own, presence, adoption, authorities, lambda: managers.wake())
    orchestrator = Orchestrator(store, state, adoption.term)
    jobs = Jobs(store, state, adoption.term, time.time)
    scheduler = Scheduler(store, state, adoption.term, now_text)
    autoscaler = Autoscaler(store, state, adoption.term, links.measurements.instances)
    addresses = Addresses(store, state, adoption.term)
    leases = LeaseMirror(store, state, election.term)
    certificates = EntryCertificates(
        store, state, election.term, lambda: pki.read_authority_pair(layout), ground.seal, time.time
    )
    managers = Managers(store, state, adoption.term, membership, ManagerNodes(layout, state, links.outlet))
    renewal = Renewal(layout, identity.id, state, store, renewed, time.time)
    start_etcd = partial(start_own_etcd_anew, layout, identity)
    rotating = Rotating(layout, identity.id, store, state, adoption.term, ground.seal, start_etcd, other_authorities)
    copies = ImageCopies(state, identity.id, links.end.registry_of, layout.known_images)
    backups = Backups(state, store, layout, identity, partial(rehearse_apart, layout))
    led = (
        caretaker,
        orchestrator,
        jobs,
        scheduler,
        autoscaler,
        addresses,
        leases,
        certificates,
        managers,
        rotating,
        adoption,
        links.holders,
        links.reports,
    )
    return Group(
        "manager",
        [
            ground.mirror,
            presence,
            ground.events,
            own_member,
            election,
            caretaker,
            orchestrator,
            jobs,
            scheduler,
            autoscaler,
            leases,
            certificates,
            addresses,
            renewal,
            rotating,
            *links.parts(),
            copies,
            managers,
            *served(ground, package, links, adoption, managers, caretaker, backups, authorities),
        ],
    )


def _ground(
    layout: Layout, identity: NodeIdentity, channels: EtcdChannels, store: Store, said: Sequence[str]
) -> Ground:
    """`said`: what happened before, for people."""
    mirror = Mirror(store, keys.ROOT)
    state = State(mirror)
    first = [Draft("recovery", identity.name, text, "warning", identity.id) for text in said]
    events = EventLog(mirror, state, layout.events_file, first)
    return Ground(layout, identity, channels, store, mirror, state, open_seal(store, layout), events)
