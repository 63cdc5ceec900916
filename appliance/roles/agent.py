"""The agent: keeps this node's instances alive, with or without a manager."""

import logging
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from appliance.agent.assignments import AssignmentBook
from appliance.agent.clock_feed import ClockFeed
from appliance.agent.diary import Diary, News
from appliance.agent.files import InstanceFiles
from appliance.agent.images import EngineImages
from appliance.agent.inbox import Inbox
from appliance.agent.meter import Meter
from appliance.agent.provision import Provision
from appliance.agent.record import Records
from appliance.agent.reporter import Reporter
from appliance.agent.secrets import SecretBook
from appliance.agent.supervisor import Supervisor
from appliance.agent.volumes import Volumes
from appliance.agent.wishes import LocalWishes
from appliance.component import Group
from appliance.delivery import pki
from appliance.delivery.bundle import EngineBundle
from appliance.delivery.node_files import change_identity
from appliance.delivery.package import Package
from appliance.delivery.runtime import EngineRuntime, unpack_engine
from appliance.engine.container import NodePlaces
from appliance.engine.docker import DockerEngine
from appliance.errors import EngineUnavailable
from appliance.host import facts, storage
from appliance.host.layout import Layout
from appliance.host.process import age_of, cgroup_of
from appliance.link.agent_end import AgentLink, LinkState
from appliance.link.door import NodeKeys
from appliance.link.fence import Fence
from appliance.link.messages import (
    Believes,
    Demotion,
    DiaryPage,
    DirectoryNews,
    Entries,
    Gates,
    Held,
    Hello,
    Orders,
    Peers,
    Picture,
    Promotion,
    Trust,
    Vips,
    Whereabouts,
    Wishes,
)
from appliance.model.addresses import gateway_of
from appliance.model.cluster import DOMAIN, INSTANCE_NETWORK, LINK_PORT
from appliance.model.directory import Directory
from appliance.model.identity import NodeIdentity
from appliance.model.instance import InstanceStatus
from appliance.model.node import NodeFacts
from appliance.model.secret import secrets_used
from appliance.model.wish import Action, LocalWish
from appliance.network.balance import Balance
from appliance.network.bridge import Bridge
from appliance.network.bridged import BridgedTraffic
from appliance.network.checkup import Checkup
from appliance.network.directory_book import DirectoryBook
from appliance.network.kernel_news import KernelNews
from appliance.network.names import resolver_text
from appliance.network.overlay import DEVICE, Overlay
from appliance.network.peers import PeerFile
from appliance.network.probe import Probe
from appliance.roles import node_sidecars
from appliance.roles.channels import NodeChannels
from appliance.roles.following import Following
from appliance.roles.promotion import Office, lost_member
from appliance.roles.signals import Signals
from appliance.roles.status_file import StatusFile
from appliance.roles.vip_sidecar import vip_keeper
from appliance.security.ssh import read_certificate
from appliance.sidecars import ntp
from appliance.terminal.local import LocalSocket

log = logging.getLogger(__name__)

ASK_AGAIN = 0.1
"""Seconds between two tries to reach the engine while it starts."""


def run_agent(layout: Layout, identity: NodeIdentity) -> None:
    """Run until SIGTERM or SIGINT."""
    signals = Signals()
    engine = DockerEngine(Path(identity.engine) if identity.engine else layout.engine_socket)
    version = _version(engine, signals)
    if not version:
        return
    with Package.open() as package:
        measured = msgspec.structs.replace(
            facts.measure(version, layout), manager="manager" in identity.roles, lost_member=lost_member(layout)
        )
        group = _components(layout, identity, package, engine, measured)
        group.start()
        log.info("agent of node %s is up", identity.name)
        while not signals.asked_to_end:
            signals.wait(3600.0)
        group.stop()


def _version(engine: DockerEngine, signals: Signals) -> str:
    """The engine's, once it answers; "" when we are to end before that."""
    complaint = ""
    while not signals.asked_to_end:
        try:
            return engine.version()
        except EngineUnavailable as error:
            if error.why != complaint:
                complaint = error.why
                log.info("waiting for the engine: %s", error.why)
        signals.wait(ASK_AGAIN)
    return ""


def _components(
    layout: Layout, identity: NodeIdentity, package: Package, engine: DockerEngine, measured: NodeFacts
) -> Group:
    def connected() -> bool:
        return link.answers

    def link_state() -> LinkState:
        return link.state if link.answers else LinkState()

    def wish(instance: str, action: Action, who: str) -> LocalWish:
        made = book.wish(instance, action, who)
        diary.note(instance, News("local", f"{who} said {action} on its node"))
        return made

    inbox = Inbox()
    wishes = LocalWishes(layout.wishes)
    diary = Diary(layout.diary, measured.boot_id, connected, inbox.put)
    book = AssignmentBook(layout.assignments, wishes)
    directory = DirectoryBook(layout.directory_file)
    peer_file = PeerFile(layout.peers_file)
    overlay = overlay_of(identity, unpack_engine(package))
    overlay.reconcile(peer_file.read())
    places = NodePlaces(
        root_id=layout.root_id,
        network=INSTANCE_NETWORK,
        volumes=str(layout.volumes),
        memory=str(layout.memory_volumes),
    )
    secrets = SecretBook(layout.secrets_file, layout.secrets_key)
    volumes = Volumes(layout.volumes, layout.memory_volumes, lambda: storage.places(layout.volumes, layout.media))
    gateway = gateway_of(identity.network, identity.number)

    def hello() -> Hello:
        return Hello(
            node=identity.id,
            facts=measured,
            vtep_mac=overlay.vtep_mac(),
            statuses=supervisor.statuses(),
            clock=time.time(),
            address=identity.address if identity.moved else "",
        )

    def ordered(orders: Orders) -> None:
        secrets.take(orders.secrets)
        book.apply(full=orders.full, assignments=orders.assignments, forget=orders.forget, keep=orders.keep)
        secrets.keep(reference for assignment in book.all().values() for reference in secrets_used(assignment))
        fence.keep(orders.stamp)

    def peers_changed(peers: Peers) -> None:
        overlay.reconcile(peers.peers)
        checkup.wake()
        inbox.put(lambda: peer_file.write(peers.peers))
        time_server.hear(peers)

    def managers_changed(managers: tuple[str, ...]) -> None:
        link.set_managers(map(_address, managers))
        time_server.follow(managers)

    def take_news(news: DirectoryNews) -> None:
        directory.take(
            full=news.full,
            endpoints=news.endpoints,
            gone=news.gone,
            deploys=news.deploys,
            policies=news.policies,
        )

    def trusting(news: Trust) -> None:
        pki.write_trust(layout, news.authorities, news.certificate, news.revoked)
        if "manager" not in identity.roles:  # a manager has it from the store
            pki.write_authority(layout, news.ca.encode())
        use(_node_keys(layout))

    def use(keys: NodeKeys) -> None:
        link.use(keys)
        link.say(_believes(keys))

    def received(message: Picture) -> None:
        match message:
            case Orders():
                inbox.put(lambda: ordered(message))
            case Peers():
                peers_changed(message)
            case Gates():
                supervisor.open_gates(message.open)
            case DirectoryNews():
                inbox.put(lambda: take_news(message))
            case Entries():
                entry_server.update(message.rules, message.certificates)
            case Vips():
                vips.update(message.vips)
            case Whereabouts():
                following.take(message)
            case Trust():
                inbox.put(lambda: trusting(message))
            case Promotion():
                inbox.put(lambda: office.promote(message))
            case Demotion():
                inbox.put(lambda: office.demote(message))

    def resolver(service: str) -> str:
        return resolver_text(gateway, service, DOMAIN)

    def report(statuses: tuple[InstanceStatus, ...]) -> None:
        link.report(statuses)
        status_file.wake()

    probe = Probe(identity.network, identity.id, overlay.mtu, overlay.missing, asks_hosts=identity.dial == "agent")
    checkup = Checkup(probe.measure, overlay.peers)
    channels = NodeChannels(engine, book, layout.root_id, probe.measure)
    fence = Fence(layout.fence_file, identity.cluster_id)
    link = AgentLink(
        managers=map(_address, identity.managers),
        keys=_node_keys(layout),
        hello=hello,
        on_message=received,
        on_taken=lambda taken: diary.taken(taken.volume, taken.number),
        channels=channels,
        fence=fence,
        dial=identity.dial,
        listen=(identity.address, LINK_PORT),
        usage=lambda: meter.newest(),
        on_skew=lambda skew: clock_feed.tell(skew, time.time()),
        overlay=checkup.bad,
    )
    link.say(_believes(_node_keys(layout)))
    following = Following(
        identity,
        partial(change_identity, layout),
        managers_changed,
    )
    office = Office(layout, package)
    reporter = Reporter(report)
    supervisor = Supervisor(
        engine,
        book,
        EngineImages(engine, EngineBundle(package, engine)),
        reporter,
        Provision(volumes, InstanceFiles(layout.instance_files), secrets, identity, resolver),
        Records(layout.records),
        places,
        identity.id,
        measured.boot_id,
        connected,
        note=diary.note,
        age_of=age_of,
        cgroup_of=cgroup_of,
    )
    entry_server = node_sidecars.entry_server(engine, book, layout, identity, package, supervisor.remark)
    time_server = node_sidecars.TimeServer(book, layout, identity, package)
    clock_feed = ClockFeed(layout.clock / ntp.LINK_SOCKET)
    vips = vip_keeper(
        engine, book, layout, identity, package, supervisor.statuses, lambda held: link.say(Held(vips=held))
    )
    balance = balance_of(layout, identity, lambda: directory.now, lambda: names.wake())
    directory.subscribe(lambda _: balance.wake())
    names = node_sidecars.name_server(book, layout, identity, package, directory, lambda: balance.works)
    meter = Meter(engine, book, supervisor.statuses)
    status_file = StatusFile(
        layout.agent_status,
        identity,
        link_state,
        supervisor.statuses,
        wishes.all,
        lambda: set(book.damaged),
        lambda: link.turned_away,
    )
    diary.subscribe(lambda page: link.say(DiaryPage(volume=page.volume, lost=page.lost, happenings=page.happenings)))
    wishes.subscribe(lambda now: link.say(Wishes(wishes=now)))
    local_socket = LocalSocket(layout.agent_socket, channels, status_file.seen, wish)
    bridge = Bridge(engine, identity.network, identity.number, overlay.mtu)

    def something_is_gone() -> None:
        overlay.wake()
        bridge.wake()
        balance.wake()

    return Group(
        "agent",
        [
            overlay,
            bridge,
            balance,
            KernelNews(DEVICE, something_is_gone),
            status_file,
            inbox,
            diary,
            reporter,
            vips,  # what keepalived follows has to be there before the supervisor starts it
            supervisor,
            meter,
            local_socket,
            names,
            entry_server,
            time_server,
            following,
            link,
            checkup,
        ],
    )


def overlay_of(identity: NodeIdentity, runtime: EngineRuntime) -> Overlay:
    """This node's part of the overlay, with the network programs that the package carries."""
    os.environ.update(runtime.environment)
    return Overlay(
        network=identity.network,
        node=identity.id,
        number=identity.number,
        address=identity.address,
    )


def balance_of(
    layout: Layout, identity: NodeIdentity, directory: Callable[[], Directory], changed: Callable[[], None]
) -> Balance:
    """This node's stable addresses and isolation; `overlay_of` has put the programs that it needs into the PATH."""
    return Balance(
        network=identity.network,
        node=identity.id,
        number=identity.number,
        directory=directory,
        bridged=BridgedTraffic(layout.bridged_before),
        changed=changed,
    )


def _node_keys(layout: Layout) -> NodeKeys:
    """Raises LocalStateDamaged."""
    keys = pki.read_host_keys(layout)
    lines = (" ".join(line.split()[:2]) for line in keys.authority.splitlines())
    return NodeKeys(tuple(lines), keys.key, keys.certificate, pki.read_revoked(layout))


def _believes(keys: NodeKeys) -> Believes:
    return Believes(authorities=keys.authorities, signed_by=read_certificate(keys.certificate).authority)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)
