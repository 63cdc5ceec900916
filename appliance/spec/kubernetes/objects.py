"""The objects of Kubernetes manifests: one or several documents, each an object or a List of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from appliance.spec.foreign import Findings, Part, Source
from appliance.spec.yaml_text import Document, read_yaml

VERSIONS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "Pod": "v1",
    "Service": "v1",
    "Ingress": "networking.k8s.io/v1",
    "ConfigMap": "v1",
    "Secret": "v1",
    "PersistentVolumeClaim": "v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
}
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Pod", "Job", "CronJob")
_ADVICE = {
    "NetworkPolicy": "all services of a cluster reach each other",
    "PodDisruptionBudget": "max_unavailable of the deploy bounds what an update or a drain may have away",
    "PersistentVolume": "volumes are folders of a node",
    "StorageClass": "say the medium of a volume: nvme, ssd or hdd",
    "CustomResourceDefinition": "there are no resources of one's own",
}
_NEEDLESS = {
    "Namespace": "the service's name separates it from others",
    "ServiceAccount": "containers do not talk to the appliance's API",
}


@dataclass(frozen=True)
class Object:
    """One object; `labels` are its own, or for a workload those of its pods."""

    kind: str
    name: str
    part: Part

    @property
    def spec(self) -> Part:
        return self.part.part("spec")

    @property
    def pod(self) -> Part:
        """The pod's spec of a workload."""
        return self._template.part("spec")

    @property
    def labels(self) -> dict[str, str]:
        labels = self._template.part("metadata").part("labels")
        return {name: labels.text(name) for name in labels.fields()}

    @property
    def _template(self) -> Part:
        if self.kind == "Pod":
            return self.part
        if self.kind == "CronJob":
            return self.spec.part("jobTemplate").part("spec").part("template")
        return self.spec.part("template")


def read_objects(texts: Sequence[tuple[str, str]], findings: Findings) -> list[Object]:
    """`texts`: text and file name. What is of no use here is noted, and a kind that is not read is a problem."""
    documents = [(document, file) for text, file in texts for document in read_yaml(text, file, foreign=True)]
    single = [(each, file) for document, file in documents for each in _unpacked(document, file, findings)]
    return [found for document, file in single if (found := _object(document, file, findings)) is not None]


def _unpacked(document: Document, file: str, findings: Findings) -> Iterator[Document]:
    value = document.value
    items = value.get("items") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not str(value.get("kind")).endswith("List") or not isinstance(items, list):
        yield document
        return
    Part(value, (), Source(document, file, findings, title="List")).skip("apiVersion", "kind", "metadata", "items")
    for number, item in enumerate(items):
        lines = {path[2:]: line for path, line in document.lines.items() if path[:2] == ("items", number)}
        yield Document(item, lines)


def _object(document: Document, file: str, findings: Findings) -> Object | None:
    value = document.value if isinstance(document.value, dict) else {}
    metadata = value.get("metadata")
    kind, name = str(value.get("kind", "")), str(metadata.get("name", "")) if isinstance(metadata, dict) else ""
    source = Source(document, file, findings, title=f"{kind or 'object'}/{name}")
    whole = Part(document.value, (), source)
    version = whole.text("apiVersion")
    whole.take("kind")
    if kind in _NEEDLESS:
        whole.note(f"a {kind} is not needed: {_NEEDLESS[kind]}")
    elif kind not in VERSIONS:
        whole.refuse(f"the kind {kind or '(none)'} is not read" + (f": {_ADVICE[kind]}" if kind in _ADVICE else ""))
    elif version != VERSIONS[kind]:
        whole.refuse(f"{kind} is read as {VERSIONS[kind]}, not as {version or '(none)'}", "apiVersion")
    elif not name:
        whole.refuse("metadata.name is missing")
    else:
        _metadata(whole, kind)
        return Object(kind, name, whole)
    whole.skip(*whole.fields())
    return None


def _metadata(whole: Part, kind: str) -> None:
    metadata = whole.part("metadata")
    metadata.skip("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")
    whole.ignore("what was observed is not a wish", "status")
    if kind == "Ingress":
        _annotations_of_ingress(metadata)
    else:
        metadata.ignore("annotations are not kept", "annotations")
    if kind != "Pod":
        metadata.ignore("labels are not kept", "labels")


def _annotations_of_ingress(metadata: Part) -> None:
    """They change how requests are served, so they are not only notes."""
    metadata.ignore("labels are not kept", "labels")
    annotations = metadata.part("annotations")
    annotations.ignore("there is one entry, whatever its class", "kubernetes.io/ingress.class")
