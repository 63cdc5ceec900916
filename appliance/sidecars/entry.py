"""The entry sidecar: nginx on a node's own address, which sends requests from outside to ready instances."""

from collections.abc import Sequence
from itertools import groupby

from appliance.model.container import Probe
from appliance.model.entry import EntryRule
from appliance.model.instance import Mount
from appliance.sidecars.sidecar import Sidecar, sidecar

ENTRY_PORT = 80
CONFIG = "nginx.conf"
PROGRAM = "/usr/sbin/nginx"

_HEAD = """worker_processes auto;
error_log stderr warn;
pid /tmp/nginx.pid;
user root;
worker_shutdown_timeout 60s;
events { worker_connections 4096; }
http {
  access_log off;
  server_tokens off;
  default_type text/plain;
  client_max_body_size 0;
  client_header_timeout 10s;
  server_names_hash_bucket_size 256;
  variables_hash_max_size 2048;
  proxy_http_version 1.1;
  proxy_request_buffering off;
  proxy_connect_timeout 2s;
  proxy_read_timeout 1h;
  proxy_send_timeout 1h;
  proxy_next_upstream error timeout;
  proxy_next_upstream_tries 3;
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection $connection_upgrade;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
"""


def entry(*, number: int, config: str, rules: Sequence[EntryRule]) -> Sidecar:
    """`config` is the sidecar's folder on the host; `rules` are in the order of host and path, each pair once. Pure."""
    return sidecar(
        "entry",
        number=number,
        image="nginx",
        command=("-c", f"/config/{CONFIG}", "-e", "stderr", "-g", "daemon off;"),
        mounts=(Mount(source=config, target="/config", read_only=True),),
        ready=Probe(tcp=ENTRY_PORT, port=ENTRY_PORT, every=10.0, timeout=3.0),
        files={CONFIG: (config_text(rules), 0o644)},
    )


def config_text(rules: Sequence[EntryRule]) -> str:
    """nginx's configuration (nginx.org/en/docs/http, modules core, upstream and proxy)."""
    numbered = list(enumerate(rules))
    upstreams = [_upstream(number, rule) for number, rule in numbered if rule.backends]
    servers = [_server(host, list(group)) for host, group in groupby(numbered, key=lambda each: each[1].host)]
    if not any(rule.host == "" for rule in rules):
        servers.insert(0, _server("", []))
    return "".join((_HEAD, *upstreams, *servers, "}\n"))


def _upstream(number: int, rule: EntryRule) -> str:
    lines = [f"    server {backend} max_fails=1 fail_timeout=2s;\n" for backend in rule.backends]
    return f"  upstream rule{number} {{\n    random two least_conn;\n{''.join(lines)}  }}\n"


def _server(host: str, rules: Sequence[tuple[int, EntryRule]]) -> str:
    """The one without a host takes every host that no other names."""
    listen = f"listen {ENTRY_PORT} default_server;" if not host else f"listen {ENTRY_PORT};\n    server_name {host};"
    locations = "".join(_locations(number, rule) for number, rule in rules)
    if not any(rule.path == "/" for _, rule in rules):
        locations += '    location / { return 404 "No service has an entry for this host and path.\\n"; }\n'
    return f"  server {{\n    {listen}\n{locations}  }}\n"


def _locations(number: int, rule: EntryRule) -> str:
    """``/api`` means ``/api`` and what is below it, not ``/apix``."""
    unready = f'return 503 "No instance of {rule.service} is ready.\\n";'
    action = f"proxy_pass http://rule{number};" if rule.backends else unready
    if rule.path == "/":
        return f"    location / {{ {action} }}\n"
    path = rule.path.rstrip("/")
    return f"    location = {path} {{ {action} }}\n    location {path}/ {{ {action} }}\n"
