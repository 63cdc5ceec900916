"""The names of instances and deploys, and the real dnsmasq answering for them."""

from appliance.model.directory import DeployNames, Directory, Endpoint, NamedPort
from appliance.network.names import hosts_files, resolver_text, reverse_zone, srv_records, upstream_text

DOMAIN = "appliance.internal"


def endpoint(index: int, *, ready: bool = True) -> Endpoint:
    return Endpoint(
        instance=f"shop/web-{index}",
        service="shop",
        deploy="web",
        index=index,
        ip=f"10.99.1.{index + 2}",
        node="n1",
        ready=ready,
    )


def directory(*endpoints: Endpoint) -> Directory:
    deploys = {"shop/web": DeployNames(virtual="10.99.0.7", ports=(NamedPort(name="http", port=8080),))}
    return Directory(endpoints={each.instance: each for each in endpoints}, deploys=deploys)


def test_only_ready_instances_answer_to_the_name_of_their_deploy() -> None:
    text = hosts_files(directory(endpoint(0), endpoint(1, ready=False)), "d")["shop"]
    assert text.splitlines() == [
        "10.99.1.2 web-0.web.shop.d 0.web.shop.d web-0.shop.d web.shop.d",
        "10.99.1.3 web-1.web.shop.d 1.web.shop.d web-1.shop.d",
        "10.99.0.7 virtual.web.shop.d",
    ]


def test_named_ports_have_records_that_do_not_change_with_readiness() -> None:
    up, down = directory(endpoint(0)), directory(endpoint(0, ready=False))
    assert srv_records(up, "d") == ("srv-host=_http._tcp.web.shop.d,web.shop.d,8080",) == srv_records(down, "d")


def test_a_container_asks_its_node_and_finds_its_own_service_first() -> None:
    assert resolver_text("10.99.1.1", "shop", "d").splitlines()[:2] == ["nameserver 10.99.1.1", "search shop.d d"]


def test_the_sites_name_servers_are_asked_for_everything_else_but_never_ourselves() -> None:
    host = "# site\nsearch example\nnameserver 192.0.2.53\nnameserver 10.99.1.1\noptions x\n"
    assert upstream_text(host, "10.99.1.1") == "nameserver 192.0.2.53\n"


def test_addresses_of_instances_are_a_zone_of_ours() -> None:
    assert reverse_zone("10.99.0.0/16") == "99.10.in-addr.arpa"


def test_where_stable_addresses_are_not_balanced_their_names_lead_to_ready_instances() -> None:
    lines = hosts_files(directory(endpoint(0), endpoint(1, ready=False)), "d", balanced=False)["shop"].splitlines()
    assert [line.split()[0] for line in lines if "virtual.web.shop.d" in line] == ["10.99.1.2"]
