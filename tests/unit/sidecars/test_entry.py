"""The entry's configuration, as text and as the real nginx takes it."""

import re

from appliance.model.entry import EntryRule
from appliance.sidecars.entry import config_text, entry


def rule(host: str, path: str = "/", *backends: str) -> EntryRule:
    return EntryRule(service="shop", host=host, path=path, backends=backends)


def servers(*rules: EntryRule) -> list[str]:
    return re.findall(r"^  server \{\n(.*?)^  \}", config_text(rules), flags=re.DOTALL | re.MULTILINE)


def test_a_host_has_one_server_with_a_location_for_each_path() -> None:
    _, shop = servers(rule("shop.local", "/", "10.0.0.1:80"), rule("shop.local", "/api", "10.0.0.2:80"))
    assert "server_name shop.local;" in shop
    assert re.findall(r"location (.*?) \{ proxy_pass http://rule(\d);", shop) == [
        ("/", "0"),
        ("= /api", "1"),
        ("/api/", "1"),
    ]


def test_a_path_means_itself_and_what_is_below_it() -> None:
    _, shop = servers(rule("shop.local", "/api/", "10.0.0.2:80"))
    assert "location = /api {" in shop
    assert "location /api/ {" in shop
    assert "location /api {" not in shop


def test_hosts_that_nobody_named_are_told_so() -> None:
    fallback, _ = servers(rule("shop.local", "/", "10.0.0.1:80"))
    assert "default_server" in fallback
    assert "return 404" in fallback


def test_a_rule_without_a_host_takes_all_others() -> None:
    (only,) = servers(rule("", "/", "10.0.0.1:80"))
    assert "default_server" in only
    assert "proxy_pass http://rule0;" in only


def test_a_rule_without_a_ready_instance_says_so() -> None:
    _, shop = servers(rule("shop.local"))
    assert 'return 503 "No instance of shop is ready.' in shop
    assert "upstream rule" not in config_text((rule("shop.local"),))


def test_the_sidecar_runs_nginx_on_the_hosts_network() -> None:
    made = entry(number=3, config="/files/entry", rules=())
    assert made.assignment.instance == "system/entry-3"
    assert made.assignment.host_network
    assert made.assignment.containers[0].spec.image == "appliance/nginx"
