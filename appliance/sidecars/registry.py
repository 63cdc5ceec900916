"""The registry sidecar: where nodes pull users' images from, by way of their own loopback address."""

from appliance.model.cluster import REGISTRY_PORT
from appliance.model.container import Probe
from appliance.model.instance import Mount
from appliance.sidecars.sidecar import Sidecar, sidecar

_CONFIG = f"""version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: /data
  delete:
    enabled: true
http:
  addr: 127.0.0.1:{REGISTRY_PORT}
"""


def registry(*, number: int, data: str, config: str) -> Sidecar:
    """`data` and `config` are folders of the host. It listens on loopback only; other nodes come through the link."""
    return sidecar(
        "registry",
        number=number,
        command=("serve", "/config/config.yml"),
        mounts=(Mount(source=data, target="/data"), Mount(source=config, target="/config", read_only=True)),
        ready=Probe(http="/", port=REGISTRY_PORT, every=10.0, timeout=3.0),
        files={"config.yml": (_CONFIG, 0o644)},
    )
