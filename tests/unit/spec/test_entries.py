"""Entry rules: nothing may stand in them that means something in the configuration of a web server."""

import pytest

from appliance.errors import SpecInvalid
from appliance.model.service import Entry
from appliance.spec.reader import read_services

SERVICE = """
service: shop
secrets: [tls]
deploys: {web: {containers: {main: {image: a, ports: {http: 8080}}}}}
entry:
"""


def read(*rules: str) -> tuple[Entry, ...]:
    text = SERVICE + "".join(f"  - {{to: web/http, {rule}}}\n" for rule in rules)
    (service,) = read_services(text, "", {})
    return service.entry


def test_a_rule_is_read_with_all_its_limits() -> None:
    (one,) = read("host: a.b, path: /c/, tls: only, certificate: tls, body: 1Ki, timeout: 5s, sticky: true")
    assert one == Entry(
        deploy="web",
        port=8080,
        host="a.b",
        path="/c",
        tls="only",
        certificate="tls",
        body=1024,
        timeout=5.0,
        sticky=True,
    )
    assert [each.tls for each in read("tls: true", "host: a, tls: false")] == ["also", "never"]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (['path: "/a;b"'], "not a path of an entry"),
        (['path: "/a b"'], "not a path of an entry"),
        (['path: "/a{"'], "not a path of an entry"),
        (["path: '/a\"'"], "not a path of an entry"),
        (['path: "/a$b"'], "not a path of an entry"),
        (['path: "/a\\nb"'], "not a path of an entry"),
        (["path: /a/../b"], "not a path of an entry"),
        (['host: "a;b"'], "not a host name"),
        (["host: a.*.b"], "not a host name"),
        (["tls: maybe"], "none of: true, false, only"),
        (["tls: false, certificate: tls"], "without TLS has no certificate"),
        (["certificate: other"], "name other in secrets as well"),
        (["tcp: 8443"], "in use by the appliance"),
        (["tcp: 70, udp: 70"], "write two rules"),
        (["tcp: 70, host: a"], "has no host"),
        (["tcp: 70", "tcp: 70"], "for the same port"),
        (["host: a, path: /b", "host: a, path: /b/"], "for the same host and path"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_the_reason(rules: list[str], said: str) -> None:
    with pytest.raises(SpecInvalid) as refused:
        read(*rules)
    assert any(said in problem.message for problem in refused.value.problems), refused.value.problems


def test_one_port_number_may_be_had_by_tcp_and_by_udp() -> None:
    assert [each.claim for each in read("tcp: 70", "udp: 70")] == ["tcp/70", "udp/70"]
