"""The etcd sidecar: the cluster's state, reachable with a certificate of the cluster's CA only."""

from appliance.model.cluster import ETCD_CLIENT_PORT, ETCD_PEER_PORT, PROGRESS
from appliance.model.container import Probe
from appliance.model.instance import Mount
from appliance.sidecars.sidecar import Sidecar, sidecar

METRICS_PORT = 2381
"""On loopback, without TLS: health and metrics, no data."""


def etcd(*, number: int, node_id: str, address: str, cluster_id: str, data: str, pki: str) -> Sidecar:
    """A member of its own new cluster. `data` and `pki` are folders of the host.

    Flags: etcd 3.5 operations guide, "Configuration options".
    """
    client, peer = f"https://{address}:{ETCD_CLIENT_PORT}", f"https://{address}:{ETCD_PEER_PORT}"
    tls = ("--cert-file=/pki/etcd.crt", "--key-file=/pki/etcd.key", "--trusted-ca-file=/pki/ca.crt")
    peer_tls = (
        "--peer-cert-file=/pki/etcd.crt",
        "--peer-key-file=/pki/etcd.key",
        "--peer-trusted-ca-file=/pki/ca.crt",
    )
    command = (
        f"--name={node_id}",
        "--data-dir=/data",
        f"--listen-client-urls=https://127.0.0.1:{ETCD_CLIENT_PORT}" + ("" if address == "127.0.0.1" else f",{client}"),
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster={node_id}={peer}",
        f"--initial-cluster-token={cluster_id}",
        "--initial-cluster-state=new",
        f"--listen-metrics-urls=http://127.0.0.1:{METRICS_PORT}",
        "--client-cert-auth",
        "--peer-client-cert-auth",
        *tls,
        *peer_tls,
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=1h",
        "--quota-backend-bytes=2147483648",
        # Ten ticks a second (the default) are most of what an idle etcd costs; members share a machine room.
        "--heartbeat-interval=250",
        "--election-timeout=2500",
        f"--experimental-watch-progress-notify-interval={PROGRESS:g}s",
        "--log-level=warn",
    )
    return sidecar(
        "etcd",
        number=number,
        command=command,
        mounts=(Mount(source=data, target="/data"), Mount(source=pki, target="/pki", read_only=True)),
        ready=Probe(http="/health", port=METRICS_PORT, every=10.0, timeout=3.0),
    )
