"""What a node has to run: joined from the wish, the binding and the revision. Pure."""

from collections.abc import Mapping

from appliance.model.cluster import Image
from appliance.model.container import Container
from appliance.model.definition import hooks_of, part, secrets_of
from appliance.model.instance import Assignment, Binding, Instance, PlannedContainer, PlannedFile
from appliance.model.job import JobPlan
from appliance.model.service import Deploy, Revision, Service

DRAIN = 2.0
"""Seconds within which every node that serves the entry has heard of an instance that goes, and acts on it."""


def assignment_now(instance: Instance, binding: Binding, revision: Revision) -> Assignment | None:
    """None also while the binding lacks what the revision asks of the node: the scheduler is to renew it first, and the
    node goes on with what it was told."""
    deploy = part(revision.spec, instance.deploy)
    if deploy is None or (instance.desired == "running" and not _is_provided(binding, deploy)):
        return None
    return assignment(instance, binding, revision)


def assignment(instance: Instance, binding: Binding, revision: Revision) -> Assignment | None:
    """None when the revision has neither a deploy nor a job of the instance's name."""
    deploy = part(revision.spec, instance.deploy)
    if deploy is None:
        return None
    job = revision.spec.jobs.get(instance.deploy)
    one_shot = dict.fromkeys(hook.image for hook in hooks_of(deploy) if hook.image)
    return Assignment(
        instance=instance.name,
        service=instance.service,
        deploy=instance.deploy,
        index=instance.index,
        revision=instance.revision,
        rank=deploy.rank,
        desired=instance.desired,
        restart=instance.restart,
        generation=instance.generation,
        ip=binding.ip,
        host_network=deploy.host_network,
        containers=tuple(_planned(name, container, revision) for name, container in deploy.containers.items()),
        volumes=deploy.volumes,
        stop_grace=deploy.stop_grace,
        drain=_drain(deploy, revision.spec),
        hooks=deploy.hooks,
        hook_images=tuple(_image(reference, revision.images) for reference in one_shot),
        job=JobPlan(type=job.type, retries=job.retries, timeout=job.timeout) if job else None,
        gpus=binding.gpus,
        metric=deploy.autoscale.metric if deploy.autoscale else None,
        heard=instance.heard,
    )


def _is_provided(binding: Binding, deploy: Deploy) -> bool:
    gpus = sum(container.resources.gpus for container in deploy.containers.values())
    return binding.suits(host_network=deploy.host_network, gpus=gpus)


def _drain(deploy: Deploy, spec: Service) -> float:
    if deploy.drain is not None:
        return deploy.drain
    return DRAIN if any(entry.deploy == deploy.name for entry in spec.entry) else 0.0


def _planned(name: str, container: Container, revision: Revision) -> PlannedContainer:
    """Images that nobody loaded are in the bundle, where the node finds them by name."""
    image = revision.images.get(container.image)
    configs = revision.spec.configs
    return PlannedContainer(
        name=name,
        spec=container,
        image_id=image.id if image else "",
        pull=image.pull if image else "",
        files=tuple(
            PlannedFile(path=config.path, text=config.text, mode=config.mode, template=config.template)
            for config in (configs[each] for each in container.configs)
        ),
        secrets={each: revision.secrets.get(each, 0) for each in secrets_of(container, configs)},
    )


def _image(reference: str, images: Mapping[str, Image]) -> PlannedContainer:
    image = images.get(reference)
    return PlannedContainer(
        name=reference,
        spec=Container(image=reference),
        image_id=image.id if image else "",
        pull=image.pull if image else "",
    )
