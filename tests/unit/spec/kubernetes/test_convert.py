"""Whole sets of manifests: the exact service, and the exact list of what is different."""

import json
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from appliance.errors import SpecInvalid
from appliance.spec.converted import Converted
from appliance.spec.kubernetes.convert import convert
from appliance.spec.reader import read_service
from tests.unit.spec.odd_values import ODD, changed

DATA = Path(__file__).parent / "data"
SETS = sorted(path.name for path in DATA.iterdir())


def converted(name: str) -> Converted:
    return convert((DATA / name / "manifests.yaml").read_text(), "manifests.yaml", name, {})


def said(found: Converted) -> str:
    lines = [f"changed: {problem}" for problem in found.notes] + [f"left out: {each}" for each in found.unsupported]
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("name", SETS)
def test_a_whole_set_becomes_exactly_this_service(name: str) -> None:
    assert converted(name).text == (DATA / name / "service.yaml").read_text()


@pytest.mark.parametrize("name", SETS)
def test_a_whole_set_is_told_exactly_what_is_different(name: str) -> None:
    assert said(converted(name)) == (DATA / name / "said.txt").read_text()


@pytest.mark.parametrize("name", SETS)
def test_the_service_of_a_whole_set_can_be_read(name: str) -> None:
    assert read_service(converted(name).text, name, {}).name == name


def test_no_value_of_a_secret_gets_into_the_file_or_the_notes() -> None:
    found = converted("shop")
    assert "never-to-be-seen" not in found.text + said(found)


POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {app: web}}\nspec:\n  restartPolicy: Always\n"
MAIN = "  containers:\n    - name: main\n      image: a\n"


def one(more: str, *, pod: str = "", others: str = "") -> Converted:
    """A pod with `more` in its container, `pod` in its spec, and other documents."""
    lines = "".join(f"      {line}\n" for line in more.splitlines())
    return convert(POD + "".join(f"  {line}\n" for line in pod.splitlines()) + MAIN + lines + others, "m.yaml", "s", {})


def other(kind: str, spec: str, *, name: str = "x", version: str = "v1") -> str:
    return f"---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("securityContext: {capabilities: {drop: [ALL]}}", "drop is not supported"),
        ("securityContext: {runAsNonRoot: true}", "say runAsUser"),
        ("securityContext: {allowPrivilegeEscalation: false}", "raise privileges"),
        ("securityContext: {seccompProfile: {type: Localhost}}", "usual profile"),
        ("livenessProbe: {periodSeconds: 3}", "a probe needs exec"),
        ("livenessProbe: {httpGet: {port: 80, scheme: HTTPS}}", "plain HTTP"),
        ("livenessProbe: {httpGet: {port: 80, httpHeaders: [{name: a, value: b}]}}", "httpHeaders is not supported"),
        ("lifecycle: {preStop: {sleep: {seconds: 5}}}", "sleep is not supported: run: [sleep, N]"),
        ("env: [{name: A, valueFrom: {configMapKeyRef: {name: no, key: a}}}]", "there is no ConfigMap no"),
        ("env: [{name: A, valueFrom: {fieldRef: {fieldPath: spec.x}}}]", "not known to an instance"),
        ("env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}]", "write the number"),
        ("envFrom: [{secretRef: {name: no}}]", "its keys are not known"),
        ("volumeMounts: [{name: no, mountPath: /a}]", "no volume no"),
        ("ports: [{containerPort: 80, protocol: SCTP}]", "TCP or UDP"),
        ("ports: [{containerPort: 80, hostIP: 10.0.0.1}]", "hostIP is not supported"),
        ("resources: {limits: {memory: lots}}", "is not a quantity"),
        ("resources: {limits: {hugepages-2Mi: 1}}", "hugepages-2Mi is not supported"),
        ("restartPolicy: Always", "restartPolicy is not supported"),
        ("args: [$(TOKEN)]\nenv: [{name: TOKEN, valueFrom: {secretKeyRef: {name: a, key: b}}}]", "through a shell"),
    ],
)
def test_what_a_container_cannot_bring_over_is_named_with_its_line(more: str, told: str) -> None:
    named(one(more), told)


@pytest.mark.parametrize(
    ("pod", "told"),
    [
        ("hostIPC: true", "hostIPC is not supported"),
        ("dnsPolicy: None", "answered by the node"),
        ("securityContext: {fsGroup: 5}", "fsGroup is not supported"),
        ("volumes: [{name: a, nfs: {server: b, path: /c}}]", "nfs is not supported: mount it on the nodes"),
        ("volumes: [{name: a, emptyDir: {medium: Memory}}]", "needs a size"),
        ("volumes: [{name: a, persistentVolumeClaim: {claimName: b, readOnly: 7}}]", "neither true nor false"),
        ("nodeSelector: {kubernetes.io/hostname: n1}\naffinity: {podAffinity: {x: 1}}", "x is not supported"),
        (
            "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: "
            "[{matchExpressions: [{key: a, operator: NotIn, values: [b]}]}]}}}",
            "a NotIn: only one In",
        ),
        (
            "affinity: {podAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1}]}}",
            "can be required, not wished",
        ),
        (
            "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
            "[{topologyKey: a, labelSelector: {matchLabels: {app: no}}}]}}",
            "no workload of these files",
        ),
        ("tolerations: [{key: a, operator: Gt}]", "Equal or Exists"),
        ("initContainers: [{name: a, image: b}]", "a step needs its command"),
        ("initContainers: [{name: a, image: b, command: [c], securityContext: {runAsUser: 0}}]", "a step runs as"),
    ],
)
def test_what_a_pod_cannot_bring_over_is_named_with_its_line(pod: str, told: str) -> None:
    named(one("", pod=pod), told)


@pytest.mark.parametrize(
    ("others", "told"),
    [
        (other("Service", "{type: ExternalName, externalName: a.b}"), "no workload of these files"),
        (other("Service", "{selector: {app: web}, sessionAffinity: ClientIP}"), "not tied to an instance"),
        (other("Service", "{selector: {app: web}, externalIPs: [10.0.0.1]}"), "externalIPs is not supported"),
        (other("Service", "{selector: {app: web}, ports: [{port: 80, targetPort: no}]}"), "the pods have no port no"),
        (other("Gadget", "{}"), "the kind Gadget is not read"),
        (other("NetworkPolicy", "{}", version="networking.k8s.io/v1"), "reach each other"),
        (other("Deployment", "{}", version="extensions/v1beta1"), "read as apps/v1"),
        (other("Pod", "{containers: [{name: a, image: b}]}", name="web"), "Pod/web has this one"),
        (
            other(
                "HorizontalPodAutoscaler", "{scaleTargetRef: {kind: Deployment, name: no}}", version="autoscaling/v2"
            ),
            "there is no such Deployment",
        ),
        (
            other(
                "Ingress", "{defaultBackend: {service: {name: no, port: {number: 1}}}}", version="networking.k8s.io/v1"
            ),
            "no Service of this name",
        ),
        (other("Job", "{suspend: true, template: {spec: {containers: []}}}", version="batch/v1"), "suspend"),
        (other("Job", "{completions: 5, template: {spec: {containers: []}}}", version="batch/v1"), "must equal"),
        ("---\nkind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\nbinaryData: {b: YQ==}\n", "binaryData is not"),
    ],
)
def test_what_other_objects_cannot_bring_over_is_named_with_its_line(others: str, told: str) -> None:
    named(one("", others=others), told)


def named(found: Converted, told: str) -> None:
    problems = [problem for problem in found.unsupported if told in problem.message]
    assert problems, said(found)
    assert problems[0].file == "m.yaml"
    assert problems[0].line >= 1


def test_a_fixed_address_of_a_service_is_noted() -> None:
    found = one("", others=other("Service", "{selector: {app: web}, clusterIP: 10.0.0.9, ports: [{port: 80}]}"))
    assert "m.yaml:13: Service/x: spec.clusterIP: a Service has no address of its own" in said(found)


def test_a_claim_of_two_workloads_is_refused() -> None:
    volumes = "volumes: [{name: d, persistentVolumeClaim: {claimName: data}}]"
    second = other("Pod", f"{{{volumes}, containers: [{{name: a, image: b}}]}}")
    named(one("", pod=volumes, others=second), "several would share this one")


def test_the_steps_needs_are_given_to_the_container_it_takes_after() -> None:
    step = "{name: a, image: tools, command: [c], env: [{name: X, value: y}], volumeMounts: [{name: d, mountPath: /d}]}"
    found = one("", pod=f"volumes: [{{name: d, emptyDir: {{}}}}]\ninitContainers: [{step}]")
    main = read_service(found.text, "", {}).deploys["web"].containers["main"]
    assert (main.env, main.volumes) == ({"X": "y"}, {"d": "/d"})
    assert "X was added to the env of the container main" in said(found)


@pytest.mark.parametrize("text", ["", "- 1", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", "[", "a: {b"])
def test_what_is_nothing_to_run_is_refused(text: str) -> None:
    try:
        assert convert(text, "m.yaml", "s", {}).unsupported
    except SpecInvalid as error:
        assert error.problems


def mappings(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in parts:
        yield from mappings(item, (*path, key))


EXAMPLES = {name: list(YAML(typ="safe").load_all(DATA / name / "manifests.yaml")) for name in SETS}


def example(name: str) -> Any:
    return deepcopy(EXAMPLES[name])


LEFT_AS_A_WHOLE = {"annotations", "labels", "matchLabels", "selector", "PodDisruptionBudget", "labelSelector"}
PLACES = [(name, path) for name in SETS for path in mappings(example(name)) if LEFT_AS_A_WHOLE.isdisjoint(path)]


@settings(deadline=None, max_examples=50)
@given(place=st.sampled_from(PLACES), key=st.from_regex(r"q[a-z]{3,8}", fullmatch=True))
def test_no_unknown_key_is_dropped_silently(place: tuple[str, tuple[str | int, ...]], key: str) -> None:
    name, path = place
    documents = example(name)
    part = documents
    for step in path:
        part = part[step]
    part[key] = "nothing known"
    found = convert("\n---\n".join(map(json.dumps, documents)), "m.yaml", name, {})
    named = any(key in problem.path or key in problem.message for problem in (*found.notes, *found.unsupported))
    # Of these the whole is named, or their values are never to be seen.
    noted = "not read" in said(found) and documents[int(path[0])].get("kind") in ("PodDisruptionBudget",)
    hidden = not {"data", "stringData"}.isdisjoint(path)
    assert named or key in found.text or noted or hidden


@settings(deadline=None, max_examples=50)
@given(place=st.sampled_from([place for place in PLACES if len(place[1]) > 1]), value=st.sampled_from(ODD))
def test_nothing_in_a_manifest_ends_in_a_traceback(place: tuple[str, tuple[str | int, ...]], value: object) -> None:
    name, path = place
    text = "\n---\n".join(map(json.dumps, changed(example(name), path, value)))
    with suppress(SpecInvalid):
        convert(text, "m.yaml", "shop", {})
