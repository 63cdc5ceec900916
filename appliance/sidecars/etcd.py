"""The etcd sidecar: the cluster's state, reachable with a certificate of the cluster's CA only.

Its settings are in a file, which it reads at each start: whom it finds at its very first one may change without the
container being made anew.
"""

import json
from collections.abc import Mapping

from appliance.model.cluster import ETCD_CLIENT_PORT, PROGRESS, etcd_peer_url
from appliance.model.container import Probe
from appliance.model.instance import Mount
from appliance.sidecars.sidecar import Sidecar, remade_by, sidecar

QUOTA = 2 * 1024**3
"""Bytes that the store may take, unless the cluster was founded with another number."""
METRICS_PORT = 2381
"""On loopback, without TLS: health and metrics, no data."""
CONFIG = "etcd.json"


def etcd(
    *,
    number: int,
    node_id: str,
    address: str,
    token: str,
    data: str,
    pki: str,
    config: str,
    founds: bool,
    peers: Mapping[str, str],
    quota: int = 0,
    alone: bool = False,
) -> Sidecar:
    """`data`, `pki` and `config` are folders of the host. `quota` in bytes, 0 : QUOTA.

    With `founds` it makes a new cluster when it has no data; else it joins `peers` (node id → URL), which know it
    already. With neither, it does not start without data. A cluster that is made with another `token` is another one to
    etcd, although its members have the names and addresses of before. `alone` makes it forget all other members when it
    starts, and keep its data; with a majority elsewhere there are two clusters then.
    """
    settings = _settings(node_id, address, quota or QUOTA)
    first: dict[str, object] = {
        "initial-cluster": ",".join(
            f"{name}={url}" for name, url in {node_id: etcd_peer_url(address), **peers}.items()
        ),
        "initial-cluster-state": "new" if founds else "existing",
        "initial-cluster-token": token,
    }
    if alone:
        first["force-new-cluster"] = True
    made = sidecar(
        "etcd",
        number=number,
        command=(f"--config-file=/config/{CONFIG}",),
        mounts=(
            Mount(source=data, target="/data"),
            Mount(source=pki, target="/pki", read_only=True),
            Mount(source=config, target="/config", read_only=True),
        ),
        ready=Probe(http="/health", port=METRICS_PORT, every=10.0, timeout=3.0),
        files={CONFIG: (json.dumps(settings | first, indent=1) + "\n", 0o644)},
    )
    return remade_by(made, json.dumps(settings))


def _settings(node_id: str, address: str, quota: int) -> dict[str, object]:
    """All but what the first start needs. Names: etcd 3.5 operations guide, "Configuration file"."""
    client, peer = f"https://{address}:{ETCD_CLIENT_PORT}", etcd_peer_url(address)
    tls = {
        "cert-file": "/pki/etcd.crt",
        "key-file": "/pki/etcd.key",
        "trusted-ca-file": "/pki/ca.crt",
        "client-cert-auth": True,
    }
    return {
        "name": node_id,
        "data-dir": "/data",
        "listen-client-urls": f"https://127.0.0.1:{ETCD_CLIENT_PORT}"
        + ("" if address == "127.0.0.1" else f",{client}"),
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "listen-metrics-urls": f"http://127.0.0.1:{METRICS_PORT}",
        "client-transport-security": tls,
        "peer-transport-security": tls,
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": "1h",
        "quota-backend-bytes": quota,
        # Members compare their data when they start and every so often; one that differs raises an alarm.
        "experimental-initial-corrupt-check": True,
        "experimental-corrupt-check-time": 6 * 3600 * 10**9,  # nanoseconds in this file
        # Ten ticks a second (the default) are most of what an idle etcd costs; members share a machine room.
        "heartbeat-interval": 250,
        # A dead leader's members elect another after this many milliseconds, or up to twice as many. Five ticks are the
        # least that etcd takes; with six, writes stood still for more than 3 s in half of the leaders' deaths.
        "election-timeout": 1250,
        "experimental-watch-progress-notify-interval": int(PROGRESS * 1e9),  # nanoseconds in this file
        "log-level": "warn",
    }
