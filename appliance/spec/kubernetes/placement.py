"""Where pods may go: selectors, affinities, tolerations and spread, as a deploy's placement."""

from collections.abc import Mapping

from appliance.spec.converted import compact
from appliance.spec.foreign import Part
from appliance.spec.kubernetes.surroundings import Surroundings

_HOST = "kubernetes.io/hostname"
_ARCHITECTURE = "kubernetes.io/arch"
_SYSTEM = "kubernetes.io/os"
_NOT_READY = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_TERM = {
    "namespaceSelector": "there are no namespaces",
    "namespaces": "there are no namespaces",
    "matchLabelKeys": "write the labels of one workload's pods",
}
_SPREAD = {
    "minDomains": "instances are spread as evenly as the nodes allow",
    "nodeAffinityPolicy": "only nodes that fit count",
    "nodeTaintsPolicy": "only nodes that fit count",
    "matchLabelKeys": "the instances of the deploy are spread",
}


def placement(pod: Part, owner: str, around: Surroundings) -> dict[str, object]:
    """In the order of the manual."""
    require: dict[str, list[str]] = {}
    prefer: dict[str, list[str]] = {}
    for name, value in pod.pairs("nodeSelector").items():
        require[name] = [value or ""]
    affinity = pod.part("affinity")
    _node_affinity(affinity.part("nodeAffinity"), require, prefer)
    fields: dict[str, object] = {"prefer": _plain(prefer)}
    fields["near"] = _near(affinity.part("podAffinity"), owner, around)
    fields |= _away(affinity.part("podAntiAffinity"), owner, around)
    architectures, hosts = require.pop(_ARCHITECTURE, []), require.pop(_HOST, [])
    if require.get(_SYSTEM) == ["linux"]:
        del require[_SYSTEM]
    if len(hosts) > 1:
        pod.refuse(f"one node can be named, or a label required; not {', '.join(hosts)}", "affinity")
    for name in [*require, *prefer]:
        pod.note(f"the nodes have to carry the label {name}: appliance node label NODE {name}=VALUE", "nodeSelector")
    spread = _spread(pod)
    return compact(
        {
            "require": _plain(require),
            "prefer": fields["prefer"],
            "spread": spread,
            "near": fields["near"],
            "away": fields.get("away"),
            "tolerate": _tolerate(pod),
            "architecture": architectures[0] if len(architectures) == 1 else architectures,
            "node": hosts[0] if hosts else "",
            "max_per_node": fields.get("max_per_node"),
        }
    )


def _plain(labels: Mapping[str, list[str]]) -> dict[str, object]:
    return {name: values[0] if len(values) == 1 else values for name, values in labels.items()}


def _node_affinity(part: Part, require: dict[str, list[str]], prefer: dict[str, list[str]]) -> None:
    terms = part.part("requiredDuringSchedulingIgnoredDuringExecution").parts("nodeSelectorTerms")
    if len(terms) > 1:
        part.refuse("of several terms one must hold; only one can be written, with several values for each label")
    for term in terms:
        _expressions(term, require)
    for wish in part.parts("preferredDuringSchedulingIgnoredDuringExecution"):
        wish.ignore("all wishes count the same", "weight")
        _expressions(wish.part("preference"), prefer)


def _expressions(term: Part, labels: dict[str, list[str]]) -> None:
    for expression in term.parts("matchExpressions"):
        key, operator, values = expression.text("key"), expression.text("operator"), expression.texts("values")
        if operator != "In" or key in labels:
            expression.refuse(
                f"{key} {operator}: only one In for each label can be required; label the nodes", "operator"
            )
        else:
            labels[key] = values


def _near(part: Part, owner: str, around: Surroundings) -> list[object]:
    _refuse_wishes(part)
    found: list[object] = []
    for term in part.parts("requiredDuringSchedulingIgnoredDuringExecution", _TERM):
        found += [_affinity(name, _by(term)) for name in _selected(term, around) if name != owner]
    return found


def _away(part: Part, owner: str, around: Surroundings) -> dict[str, object]:
    """From pods of its own on one node: then a node takes one. A mere wish for that is what spread does anyway."""
    found: dict[str, object] = {}
    away: list[object] = []
    for term in part.parts("requiredDuringSchedulingIgnoredDuringExecution", _TERM):
        by = _by(term)
        for name in _selected(term, around):
            if name == owner and by == "node":
                found["max_per_node"] = 1
            else:
                away.append(_affinity(name, by))
    for wish in part.parts("preferredDuringSchedulingIgnoredDuringExecution"):
        term = wish.part("podAffinityTerm", _TERM)
        by = _by(term)
        wish.take("weight")
        if by == "node" and _selected(term, around) == [owner]:
            wish.note("instances are spread over the nodes anyway")
        else:
            wish.refuse("to be away from others can be required, not wished; or spread by a label")
    return compact({**found, "away": away})


def _affinity(deploy: str, by: str) -> object:
    return deploy if by == "node" else {"deploy": deploy, "by": by}


def _refuse_wishes(part: Part) -> None:
    for wish in part.parts("preferredDuringSchedulingIgnoredDuringExecution"):
        wish.refuse("to be near others can be required, not wished")
        wish.skip(*wish.fields())


def _by(term: Part) -> str:
    key = term.text("topologyKey")
    return "node" if key == _HOST else key


def _selected(term: Part, around: Surroundings) -> list[str]:
    """Workloads whose pods the term selects."""
    found = around.workloads_with(_labels(term.part("labelSelector")))
    if not found:
        term.refuse("no workload of these files has pods with these labels", "labelSelector")
    return found


def _labels(selector: Part) -> dict[str, str]:
    labels = {name: value or "" for name, value in selector.pairs("matchLabels").items()}
    for expression in selector.parts("matchExpressions"):
        key, operator, values = expression.text("key"), expression.text("operator"), expression.texts("values")
        if operator == "In" and len(values) == 1:
            labels[key] = values[0]
        else:
            expression.refuse("pods are selected by labels that are equal", "operator")
    return labels


def _spread(pod: Part) -> str:
    found = []
    for wish in pod.parts("topologySpreadConstraints", _SPREAD):
        wish.take("labelSelector")
        key = wish.text("topologyKey")
        found.append("node" if key == _HOST else key)
        if wish.whole("maxSkew") != 1:
            wish.note("instances are spread as evenly as the nodes allow", "maxSkew")
        if wish.text("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule":
            wish.note("an instance that cannot be spread evenly is placed all the same", "whenUnsatisfiable")
    others = [key for key in found if key != "node"]
    if len(others) > 1:
        pod.refuse("instances are spread by one label", "topologySpreadConstraints")
    return others[0] if others else ""


def _tolerate(pod: Part) -> list[str]:
    found = []
    for each in pod.parts("tolerations"):
        key, value, operator = each.text("key"), each.text("value"), each.text("operator", "Equal")
        each.skip("effect")
        each.ignore("instances are moved by on_unreachable, or by a person", "tolerationSeconds")
        if operator not in ("Equal", "Exists"):
            each.refuse("the operator is Equal or Exists", "operator")
        elif key in _NOT_READY:
            found.append("not-ready")
        elif not key:
            found += ["*", "not-ready"]
        else:
            found.append(key if operator == "Exists" else f"{key}={value}")
    return list(dict.fromkeys(found))
