"""The entry sidecar: nginx on a node's own address, which sends requests from outside to ready instances."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from appliance.model.container import Probe
from appliance.model.entry import HTTP_PORT, TLS_PORT, EntryRule
from appliance.model.instance import Mount
from appliance.sidecars.sidecar import Sidecar, sidecar

CONFIG = "nginx.conf"
PROGRAM = "/usr/sbin/nginx"

_STREAM_MODULE = "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n"
_HEAD = """worker_processes auto;
error_log stderr warn;
pid /tmp/nginx.pid;
user root;
worker_rlimit_nofile 65536;
# A process with old rules ends with its last connection, or then.
worker_shutdown_timeout 5m;
events { worker_connections 8192; }
"""
_HTTP = """http {
  access_log off;
  server_tokens off;
  default_type text/plain;
  client_header_timeout 10s;
  server_names_hash_bucket_size 256;
  variables_hash_max_size 2048;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache shared:tls:10m;
  proxy_http_version 1.1;
  proxy_request_buffering off;
  proxy_connect_timeout 2s;
  # A request is sent again where that cannot do it twice: it is idempotent, or no instance has got it.
  proxy_next_upstream error timeout;
  proxy_next_upstream_tries 3;
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $connection_upgrade;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
"""
_KEPT = 64
_KEPT_FOR = "1s"
"""How many connections without a request are kept to a rule's instances, and how long: shorter than usual servers keep
theirs, so that no request meets one that is being closed."""
_NO_RULE = '    location / { return 404 "No service has an entry for this host and path.\\n"; }\n'

Certificates = Mapping[str, str]
"""Host → file, below the configuration's folder, with its certificates and key."""


def entry(*, number: int, config: str, rules: Sequence[EntryRule], certificates: Certificates) -> Sidecar:
    """`config` is the sidecar's folder on the host; `rules` are in the order of protocol, host and path, none twice.
    Pure."""
    return sidecar(
        "entry",
        number=number,
        image="nginx",
        command=("-c", f"/config/{CONFIG}", "-e", "stderr", "-g", "daemon off;"),
        mounts=(Mount(source=config, target="/config", read_only=True),),
        ready=Probe(tcp=HTTP_PORT, port=HTTP_PORT, every=10.0, timeout=3.0),
        files={CONFIG: (config_text(rules, certificates), 0o644)},
    )


def config_text(rules: Sequence[EntryRule], certificates: Certificates) -> str:
    """nginx's configuration (nginx.org/en/docs: modules core, ssl, upstream and proxy of http and stream)."""
    numbered = list(enumerate(rules))
    http = [each for each in numbered if each[1].protocol == "http"]
    ports = [each for each in numbered if each[1].protocol != "http"]
    parts = [_STREAM_MODULE if ports else "", _HEAD, _HTTP, *(_upstream(*each) for each in http if each[1].backends)]
    parts += _plain_servers(http)
    parts += _tls_servers([each for each in http if each[1].tls != "never"], certificates)
    parts.append("}\n")
    if ports:
        parts += ["stream {\n  proxy_connect_timeout 2s;\n", *(_port(*each) for each in ports), "}\n"]
    return "".join(parts)


_Numbered = tuple[int, EntryRule]


def _plain_servers(rules: Sequence[_Numbered]) -> list[str]:
    listen = f"    listen {HTTP_PORT}"
    servers = [
        _server(_listen(listen, host) + _locations(list(group), plain=True))
        for host, group in groupby(rules, key=lambda each: each[1].host)
    ]
    if not any(rule.host == "" for _, rule in rules):
        servers.insert(0, _server(_listen(listen, "") + _NO_RULE))
    return servers


def _tls_servers(rules: Sequence[_Numbered], certificates: Certificates) -> list[str]:
    """Only hosts that have a certificate. For others the handshake is refused."""
    servers, listen = [], f"    listen {TLS_PORT} ssl"
    for host, group in groupby(rules, key=lambda each: each[1].host):
        if file := certificates.get(host):
            own = f"    http2 on;\n    ssl_certificate /config/{file};\n    ssl_certificate_key /config/{file};\n"
            servers.append(_server(_listen(listen, host) + own + _locations(list(group), plain=False)))
    if servers and not (certificates.get("") and rules[0][1].host == ""):
        servers.insert(0, _server(_listen(listen, "") + "    ssl_reject_handshake on;\n"))
    return servers


def _server(body: str) -> str:
    return f"  server {{\n{body}  }}\n"


def _listen(listen: str, host: str) -> str:
    """The one without a host takes every host that no other names."""
    return f"{listen};\n    server_name {host};\n" if host else f"{listen} default_server;\n"


def _locations(rules: Sequence[_Numbered], *, plain: bool) -> str:
    found = "".join(_location(number, rule, plain=plain) for number, rule in rules)
    return found if any(rule.path == "/" for _, rule in rules) else found + _NO_RULE


def _location(number: int, rule: EntryRule, *, plain: bool) -> str:
    """``/api`` means ``/api`` and what is below it, not ``/apix``."""
    action = _action(number, rule, plain=plain)
    if rule.path == "/":
        return f"    location / {{ {action} }}\n"
    return f"    location = {rule.path} {{ {action} }}\n    location {rule.path}/ {{ {action} }}\n"


def _action(number: int, rule: EntryRule, *, plain: bool) -> str:
    if plain and rule.tls == "only":
        return "return 308 https://$host$request_uri;"
    if not rule.backends:
        return f'return 503 "No instance of {rule.service} is ready.\\n";'
    silence = _milliseconds(rule.timeout)
    limits = f"client_max_body_size {rule.body}; proxy_read_timeout {silence}; proxy_send_timeout {silence};"
    return f"{limits} proxy_pass http://rule{number};"


def _upstream(number: int, rule: EntryRule) -> str:
    kept = f"    keepalive {_KEPT};\n    keepalive_timeout {_KEPT_FOR};\n" if rule.protocol == "http" else ""
    return f"  upstream rule{number} {{\n{_balance(rule)}{_backends(rule)}{kept}  }}\n"


def _balance(rule: EntryRule) -> str:
    return "    hash $remote_addr consistent;\n" if rule.sticky else "    random two least_conn;\n"


def _backends(rule: EntryRule) -> str:
    return "".join(f"    server {backend} max_fails=1 fail_timeout=2s;\n" for backend in rule.backends)


def _port(number: int, rule: EntryRule) -> str:
    """Without a ready instance a connection is closed at once."""
    listen = f"    listen {rule.port}{' udp' if rule.protocol == 'udp' else ''};\n"
    if not rule.backends:
        return _server(f'{listen}    return "";\n')
    proxy = f"    proxy_timeout {_milliseconds(rule.timeout)};\n    proxy_pass rule{number};\n"
    return _upstream(number, rule) + _server(listen + proxy)


def _milliseconds(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
