"""The entry's configuration as text."""

import re
from collections.abc import Mapping

from msgspec.structs import replace

from appliance.model.entry import EntryRule, Tls
from appliance.sidecars.entry import config_text, entry


def rule(host: str, path: str = "/", *backends: str, tls: Tls = "also") -> EntryRule:
    return EntryRule(service="shop", host=host, path=path, backends=backends, tls=tls)


def servers(*rules: EntryRule, certificates: Mapping[str, str] | None = None) -> list[str]:
    text = config_text(rules, certificates or {})
    return re.findall(r"^  server \{\n(.*?)^  \}", text, flags=re.DOTALL | re.MULTILINE)


def test_a_host_has_one_server_with_a_location_for_each_path() -> None:
    _, shop = servers(rule("shop.local", "/", "10.0.0.1:80"), rule("shop.local", "/api", "10.0.0.2:80"))
    assert "server_name shop.local;" in shop
    assert re.findall(r"location (.*?) \{ .* proxy_pass http://rule(\d);", shop) == [
        ("/", "0"),
        ("= /api", "1"),
        ("/api/", "1"),
    ]


def test_a_path_means_itself_and_what_is_below_it() -> None:
    _, shop = servers(rule("shop.local", "/api", "10.0.0.2:80"))
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
    assert "upstream rule" not in config_text((rule("shop.local"),), {})


def test_the_sidecar_runs_nginx_on_the_hosts_network() -> None:
    made = entry(number=3, config="/files/entry", rules=(), certificates={})
    assert made.assignment.instance == "system/entry-3"
    assert made.assignment.host_network
    assert made.assignment.containers[0].spec.image == "appliance/nginx"


def test_a_host_with_a_certificate_is_served_with_tls_as_well() -> None:
    _, plain, others, secure = servers(rule("shop.local", "/", "10.0.0.1:80"), certificates={"shop.local": "c/a.pem"})
    assert "listen 80;" in plain
    assert "ssl_reject_handshake on;" in others
    assert "listen 443 ssl;" in secure
    assert "ssl_certificate /config/c/a.pem;" in secure
    assert "proxy_pass http://rule0;" in plain and "proxy_pass http://rule0;" in secure


def test_without_a_certificate_the_port_of_tls_stays_free() -> None:
    assert "443" not in config_text((rule("shop.local", "/", "10.0.0.1:80"),), {})


def test_only_tls_sends_plain_requests_there_and_no_tls_keeps_a_rule_out_of_it() -> None:
    rules = (rule("a", "/", "10.0.0.1:80", tls="only"), rule("a", "/plain", "10.0.0.1:81", tls="never"))
    _, plain, _, secure = servers(*rules, certificates={"a": "a.pem"})
    assert "location / { return 308 https://$host$request_uri; }" in plain
    assert "location /plain/" in plain and "/plain" not in secure


def test_a_rule_for_any_host_answers_tls_without_a_known_name() -> None:
    _, secure = servers(rule("", "/", "10.0.0.1:80"), certificates={"": "any.pem"})
    assert "listen 443 ssl default_server;" in secure and "ssl_certificate /config/any.pem;" in secure


def test_limits_stand_in_the_configuration() -> None:
    limited = replace(rule("a", "/", "10.0.0.1:80"), body=1024, timeout=1.5, sticky=True)
    text = config_text((limited,), {})
    assert "client_max_body_size 1024; proxy_read_timeout 1500ms; proxy_send_timeout 1500ms;" in text
    assert "hash $remote_addr consistent;" in text


def test_ports_are_served_by_the_module_for_streams_which_is_loaded_for_them_only() -> None:
    tcp = EntryRule(service="db", backends=("10.0.0.1:5432",), protocol="tcp", port=5432)
    udp = EntryRule(service="log", backends=(), protocol="udp", port=514)
    text = config_text((rule("a", "/", "10.0.0.2:80"), tcp, udp), {})
    http, _, stream = text.partition("stream {")
    assert text.startswith("load_module ")
    assert "listen 5432;" in stream and "proxy_pass rule1;" in stream and "5432" not in http
    assert 'listen 514 udp;\n    return "";' in stream
    assert "load_module" not in config_text((rule("a"),), {})
