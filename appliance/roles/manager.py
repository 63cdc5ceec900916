"""The manager: holds the cluster's state, decides, and talks to people and nodes."""

import logging
import secrets
import socket
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from appliance import VERSION
from appliance.api.certificates import certificate_rows, certificate_summary
from appliance.api.chronicle import Draft
from appliance.api.context import Context
from appliance.api.event_log import EventLog
from appliance.api.overview import overview
from appliance.api.rows import Row
from appliance.api.server import ApiServer
from appliance.api.sessions import SessionBook
from appliance.api.store_care import store_row
from appliance.component import Group
from appliance.delivery import node_files, pki
from appliance.delivery.backup_file import read_backup
from appliance.delivery.backups import Backups
from appliance.delivery.calls import Calls
from appliance.delivery.image_copies import ImageCopies
from appliance.delivery.join_call import Proof
from appliance.delivery.joining import Joiner
from appliance.delivery.package import Package
from appliance.delivery.refill import refill
from appliance.delivery.renewal import Renewal
from appliance.delivery.restored_state import restored
from appliance.delivery.rotating import Rotating
from appliance.errors import LocalStateDamaged, Refused, StoreUnavailable
from appliance.host.layout import Layout
from appliance.link.adoption import Adoption, Hold
from appliance.link.clocks import Clocks
from appliance.link.diaries import Diaries
from appliance.link.directory import directory_telling
from appliance.link.dispatch import Dispatch, peers_telling
from appliance.link.entries import entry_telling
from appliance.link.lateness import Lateness
from appliance.link.manager_end import ManagerLink
from appliance.link.measurements import Measurements
from appliance.link.messages import Heartbeat, Hello, Report
from appliance.link.probing import Probing
from appliance.link.reports import Reports
from appliance.link.trust import TrustDispatch
from appliance.link.vips import VipHolders, vip_telling
from appliance.link.ways import Ways
from appliance.link.whereabouts import Movers, whereabouts_telling
from appliance.link.wishes import WishMerge
from appliance.model.certificate import Use
from appliance.model.cluster import ETCD_CLIENT_PORT, LINK_PORT
from appliance.model.identity import FirstState, NodeIdentity
from appliance.model.manager import Alive
from appliance.model.moment import now_text
from appliance.model.release import THIS_RELEASE, Release, refusal
from appliance.network.certificates import EntryCertificates, host_certificates
from appliance.network.directory import directory
from appliance.network.entry import entry_nodes, entry_rules
from appliance.network.leases import LeaseMirror
from appliance.network.vip import vip_plans
from appliance.orchestrator.assignments import assignment_now
from appliance.orchestrator.autoscale_controller import Autoscaler
from appliance.orchestrator.controller import Orchestrator
from appliance.orchestrator.gates import gates
from appliance.orchestrator.jobs_controller import Jobs
from appliance.orchestrator.managers_controller import Managers
from appliance.orchestrator.virtual_controller import Addresses
from appliance.roles import recovering
from appliance.roles.authorities import AuthorityFiles
from appliance.roles.dialling import Dialling
from appliance.roles.etcd_start import start_etcd_anew
from appliance.roles.manager_nodes import ManagerNodes
from appliance.roles.own_member import OwnMemberCare, endpoints
from appliance.roles.rehearsal import rehearse_apart
from appliance.roles.signals import Signals
from appliance.scheduler.controller import Scheduler
from appliance.security.recovery_key import recovery_secret
from appliance.security.sealing import Seal, make_seal, read_seal
from appliance.security.secrets import plain_text
from appliance.sidecars.etcd import METRICS_PORT, QUOTA
from appliance.store import keys
from appliance.store.caretaker import Caretaker
from appliance.store.codec import encode
from appliance.store.disk import EtcdDisk
from appliance.store.election import Election
from appliance.store.etcd import EtcdStore
from appliance.store.etcd_channels import Credentials, EtcdChannels
from appliance.store.etcd_members import EtcdMembership
from appliance.store.maintenance import EtcdMaintenance
from appliance.store.mirror import Mirror
from appliance.store.presence import Presence
from appliance.store.state import State
from appliance.store.store import Expect, Put, Store
from appliance.terminal.live import Live
from appliance.web.pages import register

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
            group = _components(layout, identity, channels, store, package, said)
            group.start()
            log.info("manager %s is up", identity.name)
            while not signals.asked_to_end:
                signals.wait(3600.0)
            group.stop()
    finally:
        store.close()


def credentials(layout: Layout) -> Credentials:
    """By what this manager talks to etcd."""
    client = pki.read_leaf(layout, "client")
    return Credentials(pki.read_authority(layout), client.certificate, client.key)


def start_etcd(layout: Layout, identity: NodeIdentity) -> None:
    # Only a rotation needs the engine, and its library takes memory.
    from appliance.engine.docker import DockerEngine

    engine = DockerEngine(Path(identity.engine) if identity.engine else layout.engine_socket)
    start_etcd_anew(engine, layout.root_id, identity.number)


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


def fill_if_empty(store: Store, layout: Layout) -> None:
    """Write a new cluster's first state, or that of the backup which is being restored, once.

    The record of it is removed afterwards: a store that is empty later has lost its data, and filling it again would
    tell every node to remove its instances. Raises LocalStateDamaged for such a one.
    """
    if store.get(keys.CLUSTER) is None:
        if layout.restored_file.exists():
            _refill(store, layout)
        else:
            store.commit(*_first_commit(node_files.read_first_state(layout)))
            log.info("the new cluster's first state is in the store")
    layout.cluster_file.unlink(missing_ok=True)
    layout.restored_file.unlink(missing_ok=True)


def _refill(store: Store, layout: Layout) -> None:
    backup = read_backup(layout.restored_file, recovery_secret(layout.seal_key.read_bytes()))
    refill(store, restored(backup.entries, node_files.read_identity(layout), time.time()))
    log.info("the store is filled with the cluster's state of %s", backup.header.made_at)


def _first_commit(first: FirstState) -> tuple[list[Put], list[Expect]]:
    node = first.node
    puts = [
        Put(keys.CLUSTER, encode(first.cluster)),
        Put(keys.USERS + first.admin.name, encode(first.admin)),
        Put(keys.NODES + node.id, encode(node)),
        Put(f"{keys.NUMBERS}{node.number}", encode(node.id)),
    ]
    return puts, [Expect(put.key, 0) for put in puts]


def open_seal(store: Store, layout: Layout) -> Seal:
    """What secrets are sealed with. Raises LocalStateDamaged where the store has secrets and this node no key."""
    found = read_seal(layout.seal_key)
    if found is None and store.list(keys.SECRETS).entries:
        raise LocalStateDamaged(
            "The key that the cluster's secrets are sealed with is missing.",
            where=str(layout.seal_key),
            why="there are secrets in the store, and nothing else opens them",
            next="restore the file from a backup",
            page="secrets",
        )
    return found or make_seal(layout.seal_key)


def _components(
    layout: Layout, identity: NodeIdentity, channels: EtcdChannels, store: Store, package: Package, said: Sequence[str]
) -> Group:
    seal = open_seal(store, layout)
    mirror = Mirror(store, keys.ROOT)
    state = State(mirror)
    first = [Draft("recovery", identity.name, text, "warning", identity.id) for text in said]
    events = EventLog(mirror, state, layout.events_file, first)

    def lead_changed() -> None:
        orchestrator.wake()
        scheduler.wake()
        autoscaler.wake()
        jobs.wake()
        leases.wake()
        certificates.wake()
        holders.wake()
        reports.wake()
        addresses.wake()
        managers.wake()
        rotating.wake()
        caretaker.wake()
        adoption.wake()

    def released() -> None:
        lead_changed()
        for telling in tellings:
            for node_id in link.followers():
                telling.greet(node_id)

    def may_lead() -> bool:
        node = state.nodes.get(identity.id)
        return node is not None and "manager" in node.roles

    election = Election(store, identity.id, lead_changed, may_lead, partial(mirror.subscribe, keys.LEADER))
    membership = EtcdMembership(channels)
    own_member = OwnMemberCare(layout, identity, state, channels, membership)
    caretaker = Caretaker(
        store,
        EtcdMaintenance(channels),
        EtcdDisk(layout.var / "etcd", METRICS_PORT),
        identity.store_quota or QUOTA,
        election.term,
        lambda text, warns: events.add(
            [Draft("store", identity.id, text, "warning" if warns else "info", identity.id)]
        ),
    )
    adoption = Adoption(state, store, election.term, released)
    orchestrator = Orchestrator(store, state, adoption.term)
    jobs = Jobs(store, state, adoption.term, time.time)
    addresses = Addresses(store, state, adoption.term)
    scheduler = Scheduler(store, state, adoption.term, now_text)
    leases = LeaseMirror(store, state, election.term)
    own = Alive(id=identity.id, run=secrets.token_hex(8))
    presence = Presence(store, mirror, own)
    reports = Reports(state, store, own, election.term)
    wishes = WishMerge(state, store)
    measurements = Measurements(state)
    clocks = Clocks(
        lambda node, text, warns: events.add([Draft("clock", node, text, "warning" if warns else "info", node)])
    )
    holders = VipHolders(store, state, election.term, vip_plans)
    ways = Ways(
        lambda node, text, warns: events.add([Draft("overlay", node, text, "warning" if warns else "info", node)]),
        lambda node: (status := state.node_status.get(node)) is not None and status.state == "ready",
    )
    autoscaler = Autoscaler(store, state, adoption.term, measurements.instances)

    certificates = EntryCertificates(
        store, state, election.term, lambda: pki.read_authority_pair(layout), seal, time.time
    )

    def greeted(node_id: str, hello: Hello) -> None:
        reports.hello(node_id, hello)
        adoption.hello(node_id, hello.statuses)
        movers.said(node_id, hello.address)
        trust.greet(node_id)
        for telling in tellings:
            telling.greet(node_id)
        managers.wake()

    def refuse(hello: Hello) -> Refused | None:
        return refusal(Release(number=hello.facts.release, version=hello.facts.version), THIS_RELEASE, hello.node)

    def reported(node_id: str, report: Report) -> None:
        reports.report(node_id, report)
        adoption.report(node_id, report.statuses)

    def gone(node_id: str) -> None:
        wishes.gone(node_id)
        diaries.gone(node_id)
        measurements.gone(node_id)
        clocks.gone(node_id)
        holders.gone(node_id)
        ways.gone(node_id)

    def beaten(node_id: str, heartbeat: Heartbeat) -> None:
        measurements.heard(node_id, heartbeat)
        clocks.heard(node_id, heartbeat)
        ways.heard(node_id, heartbeat)

    def renewed(uses: set[Use]) -> None:
        if "client" in uses:
            channels.prove(credentials(layout))
        if "user" in uses:
            link.use(pki.read_user_keys(layout).key, pki.read_user_certificates(layout))
        rotating.wake()

    def other_authorities() -> None:
        authorities.read()
        link.use(pki.read_user_keys(layout).key, pki.read_user_certificates(layout))
        channels.prove(credentials(layout))
        renewal.wake()
        certificates.wake()
        trust.wake()

    authorities = AuthorityFiles(layout, time.time)
    link = ManagerLink(
        key=pki.read_user_keys(layout).key,
        certificates=pki.read_user_certificates(layout),
        why_not=lambda certificate: trust.why_not(certificate),
        address=identity.address,
        port=LINK_PORT,
        refuse=refuse,
        on_refused=lambda node_id, refused: reports.refused(node_id, f"{refused.what} See: appliance docs managers"),
        on_hello=greeted,
        on_report=reported,
        on_left=reports.left,
        fresh=presence.fresh,
        on_gone=gone,
        reached=lambda stamp: state.stamp() >= stamp,
        on_heartbeat=beaten,
        on_held=holders.heard,
        on_wishes=wishes.heard,
        on_diary=lambda node_id, page: diaries.heard(node_id, page),
        on_believes=lambda node_id, message: trust.believes(node_id, message),
        # On a manager's own loopback a registry listens already.
        forward_registry=lambda node_id: (node := state.nodes.get(node_id)) is None or "manager" not in node.roles,
    )
    diaries = Diaries(state, store, link.send)
    lateness = Lateness(
        state, lambda node, text: events.add([Draft("certificate", node, text, "warning", node)]), time.time
    )
    trust = TrustDispatch(state, store, link, lambda: authorities.now, time.time)
    renewal = Renewal(layout, identity.id, state, store, renewed, time.time)
    rotating = Rotating(
        layout, identity.id, store, state, adoption.term, seal, lambda: start_etcd(layout, identity), other_authorities
    )
    outlet = Hold(link, adoption.held)
    tellings = (
        peers_telling(state, link),
        Dispatch(state, outlet, assignment_now, lambda *secret: plain_text(state, seal, *secret), gates),
        directory_telling(state, outlet, directory),
        whereabouts_telling(state, link),
        entry_telling(state, outlet, entry_rules, entry_nodes, lambda now: host_certificates(now, seal)),
        vip_telling(state, outlet, vip_plans),
    )
    movers = Movers(state, store)
    copies = ImageCopies(state, identity.id, link.registry_of, layout.known_images)
    managers = Managers(store, state, adoption.term, membership, ManagerNodes(layout, state, outlet))
    sessions = SessionBook(state, store)

    def leader() -> str:
        entry = mirror.get(keys.LEADER)
        return entry.value.decode() if entry else ""

    def certificates_now() -> Row:
        return certificate_summary(certificate_rows(state, authorities.now.ca, time.time()))

    backups = Backups(state, store, layout, identity, lambda path: rehearse_apart(layout, path))
    joiner = Joiner(state, store, layout, time.time)
    context = Context(
        state=state,
        store=store,
        version=VERSION,
        ca_pem=lambda: authorities.now.ca,
        leader=leader,
        bundle_images=frozenset(image.reference for image in package.images()),
        join=joiner.join,
        sessions=sessions,
        seal=seal,
        measurements=measurements,
        clocks=clocks,
        ways=ways,
        probe=Probing(link).ask,
        events=events,
        backups=backups,
        adoption=adoption,
        caretaker=caretaker,
        clock=time.time,
        members=managers.look,
        etcd_states=managers.etcd_states,
    )
    manual = package.manual()
    api = ApiServer(context, layout.admin_socket, layout.web_socket, pages=lambda app: register(app, manual))
    live = Live(
        state,
        link,
        link.loop,
        layout.admin_live_socket,
        layout.web_live_socket,
        sessions.user_of,
        lambda: overview(
            state,
            events,
            VERSION,
            leader(),
            managers.etcd_states(),
            clocks.of,
            certificates_now(),
            store_row(caretaker),
        ),
    )
    dialling = Dialling(state, link)
    web = layout.pki / "web"
    proof = Proof(layout.pki / "ca.crt", web / "web.crt", web / "web.key")
    calls = Calls(state, proof, joiner.join, time.time)
    return Group(
        "manager",
        [
            mirror,
            presence,
            events,
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
            reports,
            wishes,
            renewal,
            rotating,
            lateness,
            diaries,
            link,
            trust,
            adoption,
            *tellings,
            movers,
            copies,
            holders,
            managers,
            dialling,
            calls,
            backups,
            live,
            api,
        ],
    )
