"""A container's environment, and the ``$(NAME)`` that Kubernetes puts into commands and variables."""

import re
from collections.abc import Mapping

from appliance.spec.converted import Ours
from appliance.spec.foreign import Part
from appliance.spec.kubernetes.surroundings import Surroundings

Env = dict[str, object]
"""Name → a text, one of our own with references (`Ours`), or ``{secret: NAME}``."""

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
_FIELDS = {
    "metadata.name": "instance.name",
    "status.podIP": "instance.ip",
    "status.podIPs": "instance.ip",
    "spec.nodeName": "node.name",
    "status.hostIP": "node.address",
    "metadata.labels['apps.kubernetes.io/pod-index']": "instance.index",
    "metadata.labels['statefulset.kubernetes.io/pod-name']": "instance.name",
}


def environment(container: Part, labels: Mapping[str, str], around: Surroundings) -> Env:
    """`env` wins over `envFrom`; `labels` are the pod's."""
    found: Env = {}
    for source in container.parts("envFrom"):
        found |= _all_of(source, around)
    for number, variable in enumerate(container.parts("env")):
        name = variable.text("name")
        value = _value(variable, name, found, labels, around)
        if value is None:
            container.note(f"{name} has no value and is left out", "env", number)
        else:
            found[name] = value
    return found


def expanded(text: str, env: Mapping[str, object]) -> str:
    """The text with the variables that are known; the others stay as they are written."""
    ours = False

    def replace(match: re.Match[str]) -> str:
        nonlocal ours
        value = env.get(match[1]) if match[1] else "$"
        if value is None:
            return _literal(match[0])
        if isinstance(value, str) and not isinstance(value, Ours):
            return _literal(value)
        ours = True
        return value if isinstance(value, Ours) else f"${{secret.{_secret(value)}}}"

    pieces, position = [], 0
    for match in _REFERENCE.finditer(text):
        pieces += [_literal(text[position : match.start()]), replace(match)]
        position = match.end()
    whole = "".join([*pieces, _literal(text[position:])])
    return Ours(whole) if ours else whole.replace("$$", "$")


def words(container: Part, key: str, env: Mapping[str, object], around: Surroundings) -> list[str] | None:
    """A command; only texts can be put into one, since its words are not filled on the node."""
    if key not in container:
        container.take(key)
        return None
    found = []
    for number, word in enumerate(container.texts(key)):
        text = expanded(word, env)
        if isinstance(text, Ours):
            container.refuse(
                "a secret or a fact of the node reaches a command only through a shell: sh -c", key, number
            )
            text = word
        found.append(text)
    return around.peers.words(found, container, key)


def _literal(text: str) -> str:
    return text.replace("$", "$$")


def _secret(value: object) -> str:
    return str(value["secret"]) if isinstance(value, dict) else ""


def _all_of(source: Part, around: Surroundings) -> Env:
    prefix = source.text("prefix")
    maps, secrets = source.part("configMapRef"), source.part("secretRef")
    if maps:
        optional = bool(maps.flag("optional"))
        texts = around.config_map(maps.text("name"), maps, optional=optional) or {}
        return {prefix + key: around.peers.env(key, text, maps, "name") for key, text in texts.items()}
    name, optional = secrets.text("name"), bool(secrets.flag("optional"))
    keys = around.secret_keys(name)
    if keys is None and not optional:
        secrets.refuse(f"the Secret {name} is not in these files, so its keys are not known; write env for each")
    return {prefix + key: {"secret": around.secret(name, key, secrets)} for key in keys or []}


def _value(variable: Part, name: str, env: Env, labels: Mapping[str, str], around: Surroundings) -> object:
    if "valueFrom" not in variable:
        text = expanded(variable.text("value"), env)
        if isinstance(text, Ours):
            return Ours(around.peers.text(text, variable, "value"))
        return around.peers.env(name, text, variable, "value")
    origin = variable.part("valueFrom", {"resourceFieldRef": "write the number"})
    for key, read in (("configMapKeyRef", _from_map), ("secretKeyRef", _from_secret)):
        if key in origin:
            return read(origin.part(key), name, around)
    return _from_field(origin.part("fieldRef"), labels, around) if "fieldRef" in origin else None


def _from_map(reference: Part, name: str, around: Surroundings) -> object:
    map_name, key, optional = reference.text("name"), reference.text("key"), bool(reference.flag("optional"))
    texts = around.config_map(map_name, reference, optional=optional)
    if texts is not None and key not in texts and not optional:
        reference.refuse(f"the ConfigMap {map_name} has no key {key}", "key")
    text = (texts or {}).get(key)
    return None if text is None else around.peers.env(name, text, reference, "key")


def _from_secret(reference: Part, name: str, around: Surroundings) -> object:
    if reference.flag("optional"):
        reference.note("a secret is not optional here: it has to be set", "optional")
    return {"secret": around.secret(reference.text("name"), reference.text("key"), reference)}


def _from_field(reference: Part, labels: Mapping[str, str], around: Surroundings) -> object:
    reference.take("apiVersion")
    path = reference.text("fieldPath")
    if path in _FIELDS:
        return Ours(f"${{{_FIELDS[path]}}}")
    if path == "metadata.namespace":
        reference.note("there are no namespaces; the service's name was put in", "fieldPath")
        return around.service
    own = re.fullmatch(r"metadata\.labels\['(.*)'\]", path)
    if own and own[1] in labels:
        return labels[own[1]]
    reference.refuse(f"the field {path} is not known to an instance", "fieldPath")
    return None
