"""Volumes of a pod: folders of the instance or the node, ConfigMaps and Secrets."""

import posixpath
from dataclasses import dataclass, field

from appliance.spec.converted import compact, file_label
from appliance.spec.foreign import Part
from appliance.spec.foreign_amounts import file_mode, kubernetes_quantity, size
from appliance.spec.kubernetes.surroundings import Surroundings

_VOLUME = {
    "nfs": "mount it on the nodes, and use a volume with a path",
    "csi": "volumes are folders of a node",
    "projected": "mount its sources one by one",
    "downwardAPI": "use environment variables",
    "ephemeral": "use an emptyDir",
    "image": "copy the files in with a step of the deploy (pre)",
}
_MOUNT = {"subPathExpr": "every instance has a volume of its own"}


@dataclass
class Mounts:
    """Of one container. `inside`: volume → path, `secrets`: secret → path."""

    inside: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PodVolumes:
    """`folders`: volume of the deploy → its fields; the others are files that are put into containers."""

    folders: dict[str, dict[str, object]]
    config_maps: dict[str, Part]
    secrets: dict[str, Part]


def pod_volumes(pod: Part, owner: str, templates: list[Part], replicated: bool, around: Surroundings) -> PodVolumes:
    """`templates`: the claims of a StatefulSet. `replicated`: there may be several instances."""
    found = PodVolumes({}, {}, {})
    for template in templates:
        metadata = template.part("metadata")
        metadata.ignore("labels are not kept", "labels", "annotations")
        template.skip("apiVersion", "kind", "status")
        found.folders[metadata.text("name")] = _claim(template.part("spec"))
    for volume in pod.parts("volumes", _VOLUME):
        name = volume.text("name")
        if "configMap" in volume:
            found.config_maps[name] = volume.part("configMap")
        elif "secret" in volume:
            found.secrets[name] = volume.part("secret")
        elif "emptyDir" in volume:
            found.folders[name] = _empty(volume.part("emptyDir"))
        elif "hostPath" in volume:
            found.folders[name] = _path(volume.part("hostPath"))
        elif "persistentVolumeClaim" in volume:
            found.folders[name] = _claimed(volume.part("persistentVolumeClaim"), owner, replicated, around)
    return found


def mounted(container: Part, volumes: PodVolumes, to: str, around: Surroundings) -> Mounts:
    """What one container mounts; `to` names it in the configs."""
    found = Mounts()
    for mount in container.parts("volumeMounts", _MOUNT):
        name, path, inside = mount.text("name"), mount.text("mountPath"), mount.text("subPath")
        if mount.text("mountPropagation", "None") != "None":
            mount.refuse("mounts inside a container stay inside", "mountPropagation")
        if name in volumes.config_maps:
            mount.take("readOnly")
            _config_files(volumes.config_maps[name], path, inside, to, around)
        elif name in volumes.secrets:
            mount.take("readOnly")
            _secret_files(volumes.secrets[name], path, inside, found, around)
        elif name in volumes.folders:
            _folder(mount, name, path, inside, found)
        else:
            mount.refuse(f"the pod has no volume {name} that could be brought over", "name")
    return found


def _folder(mount: Part, name: str, path: str, inside: str, found: Mounts) -> None:
    if inside:
        mount.refuse("a container mounts a volume as a whole", "subPath")
    if name in found.inside:
        mount.refuse(f"the volume {name} is mounted twice; a container mounts a volume once")
    found.inside[name] = f"{path}:ro" if mount.flag("readOnly") else path


def _empty(part: Part) -> dict[str, object]:
    """Whatever its size, an emptyDir is gone with the instance; here it outlives a restart in place."""
    limit = _bytes(part, "sizeLimit")
    if part.text("medium") == "Memory":
        if not limit:
            part.refuse("a volume in memory needs a size: write sizeLimit", "medium")
        return compact({"medium": "memory", "size": limit or "64Mi"})
    return compact({"size": limit})


def _path(part: Part) -> dict[str, object]:
    path = part.text("path")
    part.ignore("the path has to be there", "type")
    part.note(f"{path} has to be on every node where an instance may run", "path")
    return {"path": path}


def _claimed(part: Part, owner: str, replicated: bool, around: Surroundings) -> dict[str, object]:
    name = part.text("claimName")
    if part.flag("readOnly"):
        part.note("write :ro behind the path where it is mounted", "readOnly")
    other = around.claimed.setdefault(name, owner)
    if other != owner or replicated:
        part.refuse(
            "here each instance has volumes of its own, and several would share this one; use a path", "claimName"
        )
    claim = around.claims.get(name)
    return _claim(claim.spec) if claim else {"keep": True}


def _claim(spec: Part) -> dict[str, object]:
    spec.skip("accessModes", "volumeMode")
    spec.ignore("say the medium of the volume instead: nvme, ssd or hdd", "storageClassName")
    return compact({"size": _bytes(spec.part("resources").part("requests"), "storage"), "keep": True})


def _bytes(part: Part, key: str) -> str:
    text = part.text(key)
    try:
        return size(int(kubernetes_quantity(text))) if text else ""
    except ValueError as error:
        part.refuse(str(error), key)
        return ""


def _config_files(source: Part, path: str, inside: str, to: str, around: Surroundings) -> None:
    name = source.text("name")
    texts = around.config_map(name, source, "name", optional=bool(source.flag("optional")))
    for key, (below, mode) in _items(source, list(texts or {})).items():
        if texts is None or key not in texts:
            source.refuse(f"the ConfigMap {name} has no key {key}", "items")
        elif not inside or inside == below:
            text = around.peers.text(texts[key], around.config_maps[name].part, "data", key)
            file = path if inside else posixpath.join(path, below)
            around.files.add(file_label(f"{name}-{below}"), file, text, mode, to)


def _secret_files(source: Part, path: str, inside: str, found: Mounts, around: Surroundings) -> None:
    name = source.text("secretName")
    optional = source.flag("optional")
    keys = around.secret_keys(name)
    if keys is None and "items" not in source:
        if not optional:
            source.refuse(
                f"the Secret {name} is not in these files, so its keys are not known; write items", "secretName"
            )
        return
    for key, (below, mode) in _items(source, keys or []).items():
        if mode:
            source.note("a secret's file has the mode 0400", "defaultMode")
        if not inside or inside == below:
            found.secrets[around.secret(name, key, source)] = path if inside else posixpath.join(path, below)


def _items(source: Part, keys: list[str]) -> dict[str, tuple[str, str]]:
    """Key → path below the mount, and mode."""
    default = _mode(source, "defaultMode")
    chosen = {item.text("key"): (item.text("path"), _mode(item, "mode") or default) for item in source.parts("items")}
    return chosen or {key: (key, default) for key in keys}


def _mode(part: Part, key: str) -> str:
    text = part.text(key)
    try:
        return file_mode(text) if text else ""
    except ValueError as error:
        part.refuse(str(error), key)
        return ""
