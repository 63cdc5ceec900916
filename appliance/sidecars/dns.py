"""The dns sidecar: answers names on every node, for the node's instances, from files that the agent keeps."""

from collections.abc import Sequence

from appliance.model.container import Probe
from appliance.model.instance import Mount
from appliance.sidecars.sidecar import Sidecar, remade_by_files, sidecar

DNS_PORT = 53
CONFIG = "dnsmasq.conf"
HOSTS, UPSTREAM = "hosts", "upstream.conf"
"""Folder of the hosts files and name of the file with the site's name servers, below the data."""


def dns(
    *, number: int, address: str, config: str, data: str, domain: str, reverse: str, records: Sequence[str]
) -> Sidecar:
    """Listens on `address` (that of the node's bridge) only. `config` and `data` are folders of the host; the files in
    `data` are followed without a restart, `records` are lines of the configuration. Options: dnsmasq(8), 2.91. Pure.
    """
    text = "\n".join((*_lines(address, domain, reverse), *records, ""))
    made = sidecar(
        "dns",
        number=number,
        command=("--keep-in-foreground", "--log-facility=-", f"--conf-file=/config/{CONFIG}"),
        mounts=(
            Mount(source=config, target="/config", read_only=True),
            Mount(source=data, target="/data", read_only=True),
        ),
        # A name server that hangs holds everything up; asking by TCP also sees whether it answers at all.
        ready=Probe(exec=("/usr/sbin/dnsmasq", "--test", f"--conf-file=/config/{CONFIG}"), every=30.0, timeout=5.0),
        files={CONFIG: (text, 0o644)},
    )
    return remade_by_files(made)


def _lines(address: str, domain: str, reverse: str) -> tuple[str, ...]:
    return (
        "user=root",
        f"port={DNS_PORT}",
        f"listen-address={address}",
        "bind-dynamic",
        "no-hosts",
        "no-dhcp-interface=*",
        f"hostsdir=/data/{HOSTS}",
        f"resolv-file=/data/{UPSTREAM}",
        f"local=/{domain}/",
        f"local=/{reverse}/",
        "domain-needed",
        "local-ttl=1",
        "neg-ttl=1",
        "cache-size=10000",
        "dns-forward-max=1000",
        "all-servers",
    )
