"""What a deploy or a job of one revision amounts to, so that two revisions can be compared.

A revision may ask for the same of a deploy as an earlier one did: then its instances are up to date with both, and
nothing is restarted for a change elsewhere.
"""

import hashlib

import msgspec

from appliance.model.container import Container
from appliance.model.service import Config, Deploy, Hook, Placement, Revision, Service
from appliance.model.template import secrets_in


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """`deploy` without what concerns the number and the pace of its instances, never one of them.

    `configs`, `images` (ids) and `secrets` (versions) are those that its containers use, by name.
    """

    deploy: Deploy
    configs: dict[str, Config] = {}
    images: dict[str, str] = {}
    secrets: dict[str, int] = {}

    @property
    def digest(self) -> str:
        """Equal for equal definitions, in every process."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]


def definition(revision: Revision, name: str) -> Definition | None:
    """Of the deploy or the job `name`; None when the revision has neither."""
    deploy = part(revision.spec, name)
    if deploy is None:
        return None
    containers = deploy.containers.values()
    configs = {each: revision.spec.configs[each] for container in containers for each in container.configs}
    secrets = {each for container in containers for each in secrets_of(container, configs)}
    references = {container.image for container in containers} | {hook.image for hook in hooks_of(deploy) if hook.image}
    return Definition(
        deploy=msgspec.structs.replace(
            deploy, replicas=1, max_unavailable="", min_ready=0.0, move_after=None, drain=None
        ),
        configs=configs,
        images={each: revision.images[each].id for each in sorted(references) if each in revision.images},
        secrets={each: revision.secrets[each] for each in sorted(secrets) if each in revision.secrets},
    )


def part(service: Service, name: str) -> Deploy | None:
    """The deploy `name`, or the job of this name as one that runs the job's only container, ``main``."""
    job = service.jobs.get(name)
    if job is None:
        return service.deploys.get(name)
    return Deploy(
        name=name,
        rank=job.rank,
        replicas=job.parallelism,
        containers={"main": job.container},
        placement=Placement(require=job.require),
        stop_grace=job.stop_grace,
    )


def secrets_of(container: Container, configs: dict[str, Config]) -> tuple[str, ...]:
    """Names of the secrets that a container gets in any way; `configs` are the service's, or those it uses."""
    texts = [container.env[name] for name in container.templates]
    texts += [configs[name].text for name in container.configs if configs[name].template]
    found = [*container.secret_env.values(), *container.secrets, *(name for text in texts for name in secrets_in(text))]
    return tuple(sorted(set(found)))


def images_of(service: Service) -> frozenset[str]:
    """References of all images that the service needs."""
    parts = [each for name in (*service.deploys, *service.jobs) if (each := part(service, name)) is not None]
    containers = {container.image for each in parts for container in each.containers.values()}
    return frozenset(containers | {hook.image for each in parts for hook in hooks_of(each) if hook.image})


def hooks_of(deploy: Deploy) -> tuple[Hook, ...]:
    """All hooks of a deploy."""
    hooks = deploy.hooks
    return (*hooks.pre, *hooks.after_start, *hooks.before_stop, *hooks.post)
