"""The names of instances and deploys, as files and records of dnsmasq. Pure.

``web-2.web.shop.DOMAIN`` is an instance, and so are ``2.web.shop.DOMAIN`` and ``web-2.shop.DOMAIN``;
``web.shop.DOMAIN`` are the ready instances of a deploy, ``_http._tcp.web.shop.DOMAIN`` tells its port called http.
"""

from ipaddress import IPv4Network

from appliance.model.directory import Directory, Endpoint


def hosts_files(directory: Directory, domain: str, *, balanced: bool = True) -> dict[str, str]:
    """Service → text of its file for dnsmasq's ``hostsdir`` (hosts(5)). An address answers to its first name.

    Where stable addresses are not `balanced`, their names lead to the ready instances instead.
    """
    lines: dict[str, list[str]] = {}
    for _, each in sorted(directory.endpoints.items()):
        deploy = f"{each.deploy}.{each.service}.{domain}"
        own = f"{each.deploy}-{each.index}"
        names = [f"{own}.{deploy}", f"{each.index}.{deploy}", f"{own}.{each.service}.{domain}"]
        names += [deploy] if each.ready else []
        names += [f"virtual.{deploy}"] if each.ready and not balanced and _virtual(directory, each) else []
        lines.setdefault(each.service, []).append(f"{each.ip} {' '.join(names)}\n")
    for name, deploy_names in sorted(directory.deploys.items()):
        service, _, deploy = name.partition("/")
        if deploy_names.virtual and balanced:
            lines.setdefault(service, []).append(f"{deploy_names.virtual} virtual.{deploy}.{service}.{domain}\n")
    return {service: "".join(each) for service, each in lines.items()}


def _virtual(directory: Directory, endpoint: Endpoint) -> str:
    known = directory.deploys.get(f"{endpoint.service}/{endpoint.deploy}")
    return known.virtual if known else ""


def srv_records(directory: Directory, domain: str) -> tuple[str, ...]:
    """dnsmasq's ``srv-host`` lines (RFC 2782): they change with what is deployed, never with what is ready."""
    return tuple(
        f"srv-host=_{port.name}._{port.protocol}.{deploy}.{service}.{domain},{deploy}.{service}.{domain},{port.port}"
        for name, each in sorted(directory.deploys.items())
        for service, _, deploy in [name.partition("/")]
        for port in each.ports
    )


def reverse_zone(network: str) -> str:
    """``99.10.in-addr.arpa`` of a /16: questions for names of its addresses are never passed on."""
    return ".".join(reversed(str(IPv4Network(network).network_address).split(".")[:2])) + ".in-addr.arpa"


def resolver_text(gateway: str, service: str, domain: str) -> str:
    """A container's /etc/resolv.conf (resolv.conf(5)): ``db`` is of its own service, ``db.shop`` of another."""
    return f"nameserver {gateway}\nsearch {service}.{domain} {domain}\noptions ndots:3 timeout:2 attempts:3\n"


def upstream_text(host_resolver: str, own: str) -> str:
    """The site's name servers, from the text of the host's /etc/resolv.conf, without `own`, which would ask itself."""
    servers = [line.split()[1] for line in host_resolver.splitlines() if line.split()[:1] == ["nameserver"]]
    return "".join(f"nameserver {server}\n" for server in servers if server != own)
