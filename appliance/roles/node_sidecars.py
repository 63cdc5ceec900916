"""The sidecars that every node keeps by itself, made of what it has heard: names, the entry, and the time."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from appliance.agent.assignments import AssignmentBook
from appliance.agent.entry import EntryServer
from appliance.agent.kept_sidecar import KeptSidecar
from appliance.agent.name_server import NameFiles, NameServer
from appliance.delivery.package import Package
from appliance.engine.engine import Engine
from appliance.host import clock
from appliance.host.layout import Layout
from appliance.link.messages import Peers
from appliance.model.addresses import gateway_of
from appliance.model.cluster import DOMAIN
from appliance.model.entry import EntryRule
from appliance.model.identity import NodeIdentity
from appliance.model.instance import Assignment
from appliance.network.directory_book import DirectoryBook
from appliance.network.names import hosts_files, reverse_zone, srv_records, upstream_text
from appliance.sidecars import dns, entry, ntp


def entry_server(
    engine: Engine,
    book: AssignmentBook,
    layout: Layout,
    identity: NodeIdentity,
    package: Package,
    remark: Callable[[str, str], None],
) -> EntryServer:
    folder = layout.sidecar_files / "entry"
    image_id = f"sha256:{package.image('nginx').id}"

    def make(rules: Sequence[EntryRule], certificates: Mapping[str, str]) -> tuple[Assignment, str]:
        made = entry.entry(number=identity.number, config=str(folder), rules=rules, certificates=certificates)
        return made.with_image(image_id), made.files[entry.CONFIG][0]

    return EntryServer(engine, book, layout.root_id, make, folder, entry.PROGRAM, remark)


def name_server(
    book: AssignmentBook,
    layout: Layout,
    identity: NodeIdentity,
    package: Package,
    directory: DirectoryBook,
    balanced: Callable[[], bool],
) -> NameServer:
    """`balanced`: whether this node leads stable addresses to instances."""
    config = layout.sidecar_files / "dns"
    image_id = f"sha256:{package.image('dns').id}"
    gateway = gateway_of(identity.network, identity.number)

    def wanted() -> NameFiles:
        now = directory.now
        made = dns.dns(
            number=identity.number,
            address=gateway,
            config=str(config),
            data=str(layout.names),
            domain=DOMAIN,
            reverse=reverse_zone(identity.network),
            records=srv_records(now, DOMAIN),
        )
        files = {name: text for name, (text, _) in made.files.items()}
        return NameFiles(made.with_image(image_id), hosts_files(now, DOMAIN, balanced=balanced()), files)

    made = NameServer(
        book,
        wanted,
        lambda text: upstream_text(text, gateway),
        config=config,
        hosts=layout.names / dns.HOSTS,
        upstream=layout.names / dns.UPSTREAM,
    )
    directory.subscribe(lambda _: made.wake())
    return made


class TimeServer(KeptSidecar):
    """The ntp sidecar, made anew of what the node hears of the others. None where the host keeps its clock itself."""

    def __init__(self, book: AssignmentBook, layout: Layout, identity: NodeIdentity, package: Package) -> None:
        self._config = layout.sidecar_files / "ntp"
        super().__init__("time", book, self._config)
        self._data = layout.clock
        self._identity = identity
        self._image_id = f"sha256:{package.image('ntp').id}"
        self._peers: Peers | None = None

    def follow(self, managers: tuple[str, ...]) -> None:
        """These (HOST:PORT) are the managers from now on."""
        self._identity = msgspec.structs.replace(self._identity, managers=managers)
        if self._peers is not None:
            self.hear(self._peers)

    def hear(self, peers: Peers) -> None:
        self._peers = peers
        if self._identity.clock == "host":
            return
        made = ntp.ntp(
            number=self._identity.number,
            text=time_settings(self._identity, peers),
            config=str(self._config),
            data=str(self._data),
            sets_clock=clock.may_set(),
        )
        self.update(made.with_image(self._image_id), {name: text for name, (text, _) in made.files.items()})


def time_settings(identity: NodeIdentity, peers: Peers) -> str:
    """chrony's configuration for this node. Pure."""
    managers = [manager.rpartition(":")[0] for manager in identity.managers]
    others = [address for address in managers if address != identity.address]
    if "manager" in identity.roles:
        allowed = sorted(peer.address for peer in peers.peers if peer.address != identity.address)
        return ntp.serving(allowed=allowed, site=peers.time_servers, managers=others)
    # Where only managers may connect, a question for the time would be one connection too many.
    return ntp.following(managers=others if identity.dial == "agent" else ())
