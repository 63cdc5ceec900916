"""What a node has to run: joined from the wish, the binding, the revision and the images. Pure."""

from collections.abc import Mapping

from appliance.model.cluster import Image
from appliance.model.instance import Assignment, Binding, Instance, PlannedContainer
from appliance.model.service import Deploy
from appliance.store.state import State


def assignments_for(node_id: str, state: State) -> dict[str, Assignment]:
    """By instance name. An instance whose revision has not reached this manager's copy yet is left out."""
    found = {}
    for name, binding in state.bindings.all().items():
        if binding.node != node_id:
            continue
        instance = state.instances.get(name)
        revision = state.revision(instance.service, instance.revision) if instance else None
        deploy = revision.spec.deploys.get(instance.deploy) if instance and revision else None
        if instance is not None and revision is not None and deploy is not None:
            found[name] = assignment(instance, binding, deploy, revision.images)
    return found


def assignment(instance: Instance, binding: Binding, deploy: Deploy, images: Mapping[str, Image]) -> Assignment:
    """`images` are the revision's; those that nobody loaded are in the bundle, where the node finds them by name."""
    containers = []
    for name, container in deploy.containers.items():
        image = images.get(container.image)
        containers.append(
            PlannedContainer(
                name=name, spec=container, image_id=image.id if image else "", pull=image.pull if image else ""
            )
        )
    return Assignment(
        instance=instance.name,
        service=instance.service,
        deploy=instance.deploy,
        index=instance.index,
        revision=instance.revision,
        rank=deploy.rank,
        desired=instance.desired,
        restart=instance.restart,
        ip=binding.ip,
        containers=tuple(containers),
        volumes=deploy.volumes,
        stop_grace=deploy.stop_grace,
    )
