"""The `deploy` section of a Compose service (compose-spec, "deploy")."""

import re

from appliance.spec.compose.container import amount
from appliance.spec.converted import compact
from appliance.spec.foreign import Part
from appliance.spec.foreign_amounts import go_duration

_CONSTRAINT = re.compile(r"\s*([\w.-]+(?:/[\w.-]+)?)\s*(==|!=)\s*(\S+)\s*")
_ADVICE = {"rollback_config": "a rollback goes as an update does; see max_unavailable and rollout"}


def pace(service: Part) -> dict[str, object]:
    """How many instances, where, and how an update goes; in the order of the manual."""
    deploy = service.part("deploy", _ADVICE)
    update = deploy.part("update_config", {"max_failure_ratio": "the first instance that fails ends the update"})
    every_node = deploy.text("mode", "replicated") == "global"
    if deploy.text("mode", "replicated") not in ("replicated", "global"):
        deploy.refuse("a job is a service that another waits for to complete, or an entry under jobs", "mode")
    deploy.ignore("DEPLOY.SERVICE stands for the addresses of all instances, in every mode", "endpoint_mode")
    deploy.ignore("labels are not kept", "labels")
    return compact(
        {
            "replicas": None if every_node else _replicas(service, deploy),
            "scale": "every-node" if every_node else None,
            "network": _network(service),
            "max_unavailable": _parallel(update),
            "min_ready": amount(update, "delay", go_duration),
            "stop_grace": amount(service, "stop_grace_period", go_duration),
            "placement": _placement(service, deploy.part("placement")),
        }
    )


def on_failure(update: Part) -> str:
    """What becomes of an update that fails, for the whole service; "" where nothing is said.

    Compose's default is to pause; an update that nothing is said about goes back here, as every service does.
    """
    update.ignore("an update is watched until every instance is ready and min_ready has passed", "monitor")
    order = update.text("order", "stop-first")
    if order != "stop-first":
        update.note("an instance keeps its name and address, so its old containers stop before the new start", "order")
    action = update.text("failure_action")
    if action not in ("", "rollback", "pause"):
        update.refuse("a failed update is rolled back or pauses; it does not go on", "failure_action")
    return action if action in ("rollback", "pause") else ""


def _replicas(service: Part, deploy: Part) -> int | None:
    scale, replicas = service.whole("scale"), deploy.whole("replicas")
    found = replicas if replicas is not None else scale
    return None if found == 1 else found


def _network(service: Part) -> str:
    mode = service.text("network_mode", "bridge")
    if mode not in ("host", "bridge", "default"):
        service.refuse("an instance is on the overlay, or with `network: host` on its node's network", "network_mode")
    return "host" if mode == "host" else ""


def _parallel(update: Part) -> str | int | None:
    count = update.whole("parallelism")
    return "100%" if count == 0 else count


def _placement(service: Part, placement: Part) -> dict[str, object]:
    require: dict[str, str] = {}
    pinned, architectures, spread = "", _platform(service), ""
    for number, text in enumerate(placement.texts("constraints")):
        match = _CONSTRAINT.fullmatch(text)
        what, value = (match[1], match[3]) if match and match[2] == "==" else ("", "")
        if what.startswith("node.labels."):
            require[what.removeprefix("node.labels.")] = value
        elif what == "node.hostname":
            pinned = value
        elif what == "node.platform.arch":
            architectures = value
        elif (what, value) != ("node.platform.os", "linux"):
            why = "only node.labels.NAME == VALUE, node.hostname == and node.platform.arch == can be required"
            placement.refuse(f"{text!r}: {why}; label the nodes (`appliance node label`)", "constraints", number)
    for number, preference in enumerate(placement.parts("preferences")):
        label = preference.text("spread").removeprefix("node.labels.")
        if number or not label:
            preference.refuse("instances are spread by one label")
        spread = spread or label
    fields = {"require": require, "spread": spread, "architecture": architectures, "node": pinned}
    return compact({**fields, "max_per_node": placement.whole("max_replicas_per_node")})


def _platform(service: Part) -> str:
    platform = service.text("platform")
    system, _, architecture = platform.partition("/")
    if platform and system != "linux":
        service.refuse("only linux/ARCHITECTURE can be run", "platform")
    return architecture.partition("/")[0]
