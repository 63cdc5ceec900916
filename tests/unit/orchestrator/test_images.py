"""Another image under a known name: the next revision's matter, never that of instances which run."""

from appliance.model.cluster import Image
from appliance.model.container import Container
from appliance.model.instance import Binding, Instance, InstanceStatus
from appliance.model.service import Deploy, Revision, Rollout, Service, ServiceHead
from appliance.orchestrator.assignments import assignment
from appliance.orchestrator.decisions import Alter
from appliance.orchestrator.services import decide
from appliance.orchestrator.snapshot import Snapshot

SPEC = Service(name="shop", deploys={"web": Deploy(name="web", containers={"main": Container(image="shop/web:1")})})


def image(number: int) -> Image:
    return Image(
        reference="shop/web:1",
        id=f"sha256:{number}",
        pull=f"127.0.0.1:5000/shop/web@sha256:m{number}",
        architecture="amd64",
        size=1,
        loaded_at="2026-11-24T12:00:00Z",
    )


def revision(number: int, found: Image) -> Revision:
    return Revision(service="shop", number=number, spec=SPEC, author="a", created_at="", images={"shop/web:1": found})


def running(*images: Image) -> Snapshot:
    """Instance 0 runs revision 1; the last of the revisions, which differ in their images only, is wanted."""
    instance = Instance(name="shop/web-0", service="shop", deploy="web", index=0, revision=1)
    status = InstanceStatus(instance="shop/web-0", node="n1", state="running", ready=True, revision=1)
    numbers = range(1, len(images) + 1)
    return Snapshot(
        head=ServiceHead(service="shop", revision=len(images)),
        revisions={number: revision(number, found) for number, found in zip(numbers, images, strict=True)},
        instances={instance.name: instance},
        bindings={instance.name: "n1"},
        rollout=Rollout(service="shop", revision=len(images), state="done"),
        statuses={instance.name: status},
    )


def test_the_same_image_is_left_alone() -> None:
    assert decide(running(image(1), image(1))) == []


def test_another_image_of_the_next_revision_is_an_update() -> None:
    (decision,) = decide(running(image(1), image(2)))
    assert isinstance(decision, Alter)
    assert decision.instance.revision == 2


def test_an_assignment_has_the_image_of_its_revision() -> None:
    instance = Instance(name="shop/web-0", service="shop", deploy="web", index=0, revision=1)
    binding = Binding(instance="shop/web-0", node="n1", ip="10.99.1.2", bound_at="")
    made = assignment(instance, binding, revision(1, image(1)))
    assert made is not None
    assert (made.containers[0].image_id, made.containers[0].pull) == (image(1).id, image(1).pull)
