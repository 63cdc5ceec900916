"""The entry beside a bare nginx: the same image, on the same host, in front of the same instance."""

import re
import statistics
from pathlib import Path

from tests.bench.figures import Figure
from tests.lab.cluster import Cluster, fetch
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.waiting import eventually

SECONDS = 5
CONNECTIONS = 16
BARE_PORT = 8088

_PAGE = """
service: page
configs:
  nginx.conf:
    path: /etc/nginx/nginx.conf
    text: |
      worker_processes 1; error_log stderr; pid /tmp/nginx.pid; user root;
      events {{ worker_connections 1024; }}
      http {{
        access_log off; keepalive_requests 1000000;
        server {{ listen 8080; location / {{ return 200 "hello\\n"; }} }}
      }}
deploys:
  web:
    placement: {{node: {node}}}
    containers: {{main: {{image: appliance/nginx, ports: {{http: 8080}}, health: {{ready: {{http: /, port: http}}}}}}}}
entry: [{{host: page.local, to: web/http}}]
"""
_BARE = """
service: bare
configs:
  nginx.conf:
    path: /etc/nginx/nginx.conf
    text: |
      worker_processes auto; error_log stderr; pid /tmp/nginx.pid; user root;
      events {{ worker_connections 8192; }}
      http {{
        access_log off;
        upstream page {{ server {instance}:8080; keepalive 64; }}
        server {{
          listen {port};
          location / {{ proxy_pass http://page; proxy_http_version 1.1; proxy_set_header Connection ""; }}
        }}
      }}
deploys:
  web:
    network: host
    placement: {{node: {node}}}
    containers: {{main: {{image: appliance/nginx, health: {{ready: {{tcp: {port}}}}}}}}}
"""


def entry(package: Path, rounds: int) -> list[Figure]:
    """Requests per second that a client on a third host gets, in turns."""
    with Lab(package=package) as lab:
        cluster = Cluster(lab)
        cluster.start(lab.host("m1"))
        for name in ("a1", "a2"):
            cluster.join(lab.host(name))
        manager, client = cluster.manager, cluster.hosts[2]
        cluster.apply(_PAGE.format(node=cluster.node_name(cluster.hosts[1])))
        instance = cluster.ps("page")[0]["ip"]
        cluster.apply(_BARE.format(node=cluster.node_name(manager), instance=instance, port=BARE_PORT))
        urls = {"entry": f"http://{manager.address}/", "bare": f"http://{manager.address}:{BARE_PORT}/"}
        for url in urls.values():
            eventually(lambda: fetch(client, url, "-H", "Host: page.local"), timeout=20)  # noqa: B023
        rates: dict[str, list[float]] = {name: [] for name in urls}
        for _ in range(rounds):
            for name, url in urls.items():
                rates[name].append(_requests_per_second(client, url))
    ours, bare = statistics.median(rates["entry"]), statistics.median(rates["bare"])
    note = f"{CONNECTIONS} kept connections, {rounds} × {SECONDS} s each"
    return [
        Figure("requests through the entry", round(ours), "/s", note=note),
        Figure("… through a bare nginx", round(bare), "/s"),
        Figure("entry beside bare nginx", round(ours / bare, 3), "×", at_least=0.95),
    ]


def _requests_per_second(client: Host, url: str) -> float:
    said = client.run("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-H", "Host: page.local", url).stdout
    assert "Non-2xx" not in said, said
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert found, said
    return float(found[1])
