"""The nginx sidecar: TLS in front of the manager's API and pages, with a certificate of the cluster's CA."""

from appliance.model.cluster import HTTPS_PORT
from appliance.model.container import Probe
from appliance.model.instance import Mount
from appliance.sidecars.sidecar import Sidecar, remade_by_files, sidecar

_CONFIG = """# its certificate is for @ADDRESS@
worker_processes 1;
error_log stderr warn;
pid /tmp/nginx.pid;
user root;
events { worker_connections 4096; }
http {
  include /etc/nginx/mime.types;
  access_log off;
  server_tokens off;
  client_max_body_size 4m;
  client_header_timeout 10s;
  client_body_timeout 20s;
  send_timeout 60s;
  gzip on;
  gzip_types text/css text/javascript application/javascript application/json image/svg+xml;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  map '' $page { default web; }
  upstream api { server unix:/sockets/api.sock; }
  upstream live { server unix:/sockets/live.sock; }
  # A browser that comes without TLS is sent to the right address.
  error_page 497 =301 https://$http_host$request_uri;
  server {
    listen @PORT@ ssl;
    http2 on;
    # With a variable in their names they are read anew at each handshake: a renewal needs no reload.
    ssl_certificate /pki/$page.crt;
    ssl_certificate_key /pki/$page.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:tls:2m;
    add_header Strict-Transport-Security "max-age=31536000" always;
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto https;
    # All headers stand here: one in a location would replace them all (an empty one is not sent).
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    location / {
      proxy_pass http://api;
      proxy_read_timeout 120s;
    }
    location /ws/ {
      proxy_pass http://live;
      proxy_read_timeout 1d;
      proxy_send_timeout 1d;
    }
  }
}
"""


def nginx(*, number: int, address: str, sockets: str, config: str, pki: str) -> Sidecar:
    """`sockets` is the folder of the manager's two web sockets, `pki` holds web.crt and web.key.

    With another `address` it is made anew, with its configuration.
    """
    text = _CONFIG.replace("@PORT@", str(HTTPS_PORT)).replace("@ADDRESS@", address)
    made = sidecar(
        "nginx",
        number=number,
        command=("-c", "/config/nginx.conf", "-e", "stderr", "-g", "daemon off;"),
        mounts=(
            Mount(source=sockets, target="/sockets"),
            Mount(source=config, target="/config", read_only=True),
            Mount(source=pki, target="/pki", read_only=True),
        ),
        ready=Probe(tcp=HTTPS_PORT, port=HTTPS_PORT, every=10.0, timeout=3.0),
        files={"nginx.conf": (text, 0o644)},
    )
    return remade_by_files(made)
