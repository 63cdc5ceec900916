"""The keepalived sidecar: holds virtual addresses, by VRRP version 3 among the nodes that may have them.

Who holds an address is a matter of priority alone. Each node has one by its place among the candidates, less what its
standing costs; its agent writes that into a file which keepalived follows. A node that is unwell stands below every
one that is well, and one that has come back lately in between, so that it takes nothing from those that serve. With
nobody well the address stays where it is: never with nobody.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from appliance.model.container import Probe
from appliance.model.instance import Mount
from appliance.model.vip import PlacedVip
from appliance.sidecars.sidecar import Sidecar, sidecar

CONFIG = "keepalived.conf"
PROGRAM = "/usr/sbin/keepalived"
CAPABILITIES = ("NET_ADMIN", "NET_BROADCAST", "NET_RAW")
FIRST_PRIORITY = 200
STEP = 50
"""What each step of a standing costs; more than there are candidates, so that standing comes before preference."""
NOBODY = "127.0.0.1"
"""The peer of a node that has none: without any keepalived takes to multicast, and to others' routers. What it sends
there is dropped by the host itself."""

_HEAD = """global_defs {
  vrrp_version 3
  vrrp_garp_master_delay 1
  vrrp_garp_master_repeat 3
  vrrp_garp_master_refresh 1
  vrrp_garp_lower_prio_repeat 1
}
"""


def keepalived(*, number: int, config: str, standing: str, vips: Sequence[PlacedVip]) -> Sidecar:
    """`config` and `standing` are folders of the host; in the latter a file ``FRONT`` holds 0, 1 or 2. Pure."""
    made = sidecar(
        "keepalived",
        number=number,
        command=("--vrrp", "--dont-fork", "--log-console", f"--use-file=/config/{CONFIG}"),
        mounts=(
            Mount(source=config, target="/config", read_only=True),
            # keepalived follows no file of a file system that is read-only.
            Mount(source=standing, target="/standing"),
        ),
        ready=Probe(exec=test_command(CONFIG), every=60.0, timeout=10.0),
        files={CONFIG: (config_text(vips), 0o644)},
    )
    container = replace(made.assignment.containers[0], capabilities=CAPABILITIES)
    return Sidecar(replace(made.assignment, containers=(container,)), made.files)


def test_command(config: str) -> tuple[str, ...]:
    """Says whether keepalived takes a configuration of the sidecar's folder."""
    return (PROGRAM, "--config-test", f"--use-file=/config/{config}")


def config_text(vips: Sequence[PlacedVip]) -> str:
    """keepalived's configuration (keepalived.conf(5), version 2.3)."""
    # With nobody else to take the address, how well this node is changes nothing.
    fronts = sorted({vip.front for vip in vips if vip.peers})
    return "".join((_HEAD, *map(_track, fronts), *map(_instance, vips)))


def _track(front: str) -> str:
    return f'track_file {front} {{\n  file "/standing/{front}"\n  weight -{STEP}\n}}\n'


def _instance(vip: PlacedVip) -> str:
    lines = [
        "state BACKUP",
        f"interface {vip.interface}",
        f"virtual_router_id {vip.router}",
        f"priority {FIRST_PRIORITY - vip.rank}",
        "advert_int 0.1",
        f"unicast_src_ip {vip.own}",
        "check_unicast_src",
        *_block("unicast_peer", vip.peers or [NOBODY]),
    ]
    if vip.peers:
        lines += _block("track_file", [vip.front])
    if vip.device != vip.interface:
        lines += _block("track_interface", [vip.device])
    lines += _block("virtual_ipaddress", [f"{vip.address}/{vip.length} dev {vip.device}"])
    body = "".join(f"  {line}\n" for line in lines)
    return f"vrrp_instance vip-{vip.address} {{\n{body}}}\n"


def _block(name: str, lines: Sequence[str]) -> list[str]:
    return [f"{name} {{", *(f"  {line}" for line in lines), "}"]
