"""HorizontalPodAutoscalers (autoscaling/v2)."""

from appliance.spec.converted import compact
from appliance.spec.foreign import Part
from appliance.spec.foreign_amounts import seconds
from appliance.spec.kubernetes.objects import Object

_BEHAVIOR = {
    "policies": "the number changes at once to what the load asks for",
    "selectPolicy": "the number changes at once to what the load asks for",
    "tolerance": "a tenth more or less changes nothing",
}
_METRIC = (
    "of a resource only averageUtilization of cpu and memory; for a metric of the instances write autoscale: {metric}"
)


def scaled(autoscaler: Object) -> str:
    """Name of the workload whose number it changes; "" where it is none."""
    target = autoscaler.spec.part("scaleTargetRef")
    target.take("apiVersion")
    kind, name = target.text("kind"), target.text("name")
    return name if kind in ("Deployment", "StatefulSet") else ""


def autoscale(autoscaler: Object) -> dict[str, object]:
    spec = autoscaler.spec
    behavior = spec.part("behavior")
    up, down = behavior.part("scaleUp", _BEHAVIOR), behavior.part("scaleDown", _BEHAVIOR)
    least = spec.whole("minReplicas")
    return compact(
        {
            "min": 1 if least is None else least,
            "max": spec.whole("maxReplicas"),
            **_targets(spec),
            "up_after": _window(up),
            "down_after": _window(down),
        }
    )


def _targets(spec: Part) -> dict[str, object]:
    found: dict[str, object] = {}
    for metric in spec.parts("metrics"):
        resource = metric.part("resource")
        name, target = resource.text("name"), resource.part("target")
        percent = target.whole("averageUtilization")
        known = metric.text("type") == "Resource" and name in ("cpu", "memory")
        if not known or target.text("type") != "Utilization" or percent is None:
            metric.refuse(_METRIC)
        else:
            found[name] = f"{percent}%"
            metric.note("percent of the resources written for the containers, which are limits here")
    return found


def _window(direction: Part) -> str:
    window = direction.whole("stabilizationWindowSeconds")
    return "" if window is None else seconds(window)
