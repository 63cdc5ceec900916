"""What the objects of one set of manifests share while they are converted."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.spec.converted import Configs, label
from appliance.spec.foreign import Part
from appliance.spec.kubernetes.objects import Object
from appliance.spec.peer_names import PeerNames


@dataclass(frozen=True)
class Surroundings:
    """`pods`: workload → labels of its pods. `scaled`: workloads whose number follows the load."""

    service: str
    peers: PeerNames
    pods: Mapping[str, Mapping[str, str]]
    scaled: frozenset[str]
    config_maps: Mapping[str, Object]
    secrets: Mapping[str, Object]
    claims: Mapping[str, Object]
    files: Configs = field(default_factory=Configs)
    needed_secrets: dict[str, str] = field(default_factory=dict)
    """Secret here → the Secret there."""
    claimed: dict[str, str] = field(default_factory=dict)
    """PersistentVolumeClaim → workload that has it."""
    used_maps: set[str] = field(default_factory=set)

    def config_map(self, name: str, part: Part, *below: str | int, optional: bool = False) -> dict[str, str] | None:
        """Key → text; None, and a problem, where there is none."""
        found = self.config_maps.get(name)
        if found is None:
            if not optional:
                part.refuse(f"there is no ConfigMap {name} in these files", *below)
            return None
        self.used_maps.add(name)
        data = found.part.part("data")
        return {key: data.text(key) for key in data.fields()}

    def secret_keys(self, name: str) -> list[str] | None:
        """None where the Secret is not in the files."""
        found = self.secrets.get(name)
        return None if found is None else [*found.part.part("data").fields(), *found.part.part("stringData").fields()]

    def secret(self, name: str, key: str, part: Part) -> str:
        """The secret of ours for one key of a Secret, which `part` refers to. Its value never gets into the file."""
        ours = label(f"{name}-{key}") or "secret"
        if ours not in self.needed_secrets:
            part.note(f"before it is applied: appliance secret set {self.service}/{ours} ({key} of the Secret {name})")
        self.needed_secrets[ours] = name
        return ours

    def workloads_with(self, labels: Mapping[str, str]) -> list[str]:
        """Workloads whose pods carry all the labels; none for no labels."""
        wanted = labels.items()
        return [name for name, own in self.pods.items() if labels and wanted <= own.items()]
