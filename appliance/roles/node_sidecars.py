"""The sidecars that every node keeps by itself, made of what it has heard: names for its instances, and the entry."""

from collections.abc import Sequence

from appliance.agent.assignments import AssignmentBook
from appliance.agent.entry import EntryServer
from appliance.agent.name_server import NameFiles, NameServer
from appliance.delivery.package import Package
from appliance.engine.engine import Engine
from appliance.host.layout import Layout
from appliance.model.addresses import gateway_of
from appliance.model.cluster import DOMAIN
from appliance.model.entry import EntryRule
from appliance.model.identity import NodeIdentity
from appliance.model.instance import Assignment
from appliance.network.directory_book import DirectoryBook
from appliance.network.names import hosts_files, reverse_zone, srv_records, upstream_text
from appliance.sidecars import dns, entry


def entry_server(
    engine: Engine, book: AssignmentBook, layout: Layout, identity: NodeIdentity, package: Package
) -> EntryServer:
    folder = layout.sidecar_files / "entry"
    image_id = f"sha256:{package.image('nginx').id}"

    def make(rules: Sequence[EntryRule]) -> tuple[Assignment, str]:
        made = entry.entry(number=identity.number, config=str(folder), rules=rules)
        return made.with_image(image_id), made.files[entry.CONFIG][0]

    return EntryServer(engine, book, layout.root_id, make, folder, entry.PROGRAM)


def name_server(
    book: AssignmentBook, layout: Layout, identity: NodeIdentity, package: Package, directory: DirectoryBook
) -> NameServer:
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
        return NameFiles(made.with_image(image_id), hosts_files(now, DOMAIN), files)

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
