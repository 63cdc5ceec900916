"""An ordinary Compose file as a service: the same containers, and by name everything that is different."""

from collections.abc import Callable, Mapping

from appliance.errors import Problem, SpecInvalid
from appliance.spec.compose import order
from appliance.spec.compose.container import amount, command, container, restart
from appliance.spec.compose.deploy import on_failure, pace
from appliance.spec.compose.extension import extended
from appliance.spec.compose.files import add_configs
from appliance.spec.compose.interpolation import Interpolation
from appliance.spec.compose.surroundings import Surroundings
from appliance.spec.compose.volumes import Mounts, mounts
from appliance.spec.converted import Configs, Converted, compact, label, write_service
from appliance.spec.foreign import Findings, Part, Source
from appliance.spec.foreign_amounts import go_duration
from appliance.spec.peer_names import Peer, PeerNames
from appliance.spec.yaml_text import Document, read_yaml

_INERT = "x-"
_TOP = {"include": "convert the files one by one", "models": "run the model as a service"}
_NETWORK = ("name", "external", "driver", "driver_opts", "attachable", "enable_ipv4", "enable_ipv6", "ipam", "labels")
"""Fields that only say how a network is made."""
_SERVICE = {
    "cap_drop": "an instance has the engine's usual capabilities, and those of capabilities",
    "dns": "names are answered by the node",
    "dns_search": "names are answered by the node",
    "extra_hosts": "the names of instances are in /etc/hosts; give the address in an environment variable",
    "ipc": "containers of one deploy share what they need over a volume of the medium memory",
    "links": "every service is reached as DEPLOY.SERVICE; say the order with depends_on",
    "external_links": "every service is reached as DEPLOY.SERVICE",
    "pid": "a container sees its own processes",
    "provider": "run the provider as a service of its own",
    "runtime": "for GPUs write resources: {gpu: 1}",
    "security_opt": "the engine's usual restrictions apply, or privileged: true",
    "sysctls": "set them on the nodes",
    "ulimits": "set them for the engine of the nodes",
    "use_api_socket": "mount the socket as a volume with a path",
    "volumes_from": "put the containers into one deploy",
}


def convert(
    text: str,
    file: str,
    name: str,
    environment: Mapping[str, str],
    *,
    folder: str = "/",
    read: Callable[[str], str] | None = None,
) -> Converted:
    """The service `name` that does what the Compose file says. Raises SpecInvalid for what is no Compose file.

    `environment`: variables for ``${NAME}``. `folder`: where relative paths start; `read` gives the text of a file
    (an absolute path) or raises OSError or UnicodeDecodeError; without it no other file is read.
    """
    document = _document(text, file)
    interpolation = Interpolation(environment, file)
    document = interpolation.document(document)
    findings = Findings(notes=interpolation.unset, unsupported=interpolation.problems)
    source = Source(document, file, findings, inert=_INERT)
    fields = document.value if isinstance(document.value, dict) else {}
    services = fields.get("services")
    if not isinstance(services, dict):
        raise SpecInvalid([Problem("a Compose file has services, a mapping of names", "services", file)])
    top = Part({**fields, "services": extended(services, source)}, (), source, _TOP)
    written = write_service(_service(top, name, environment, folder, read or _read_nothing))
    findings.name_leftovers()
    return Converted(written, *findings.in_order())


def project_name(text: str, file: str) -> str:
    """What the file calls itself, as a DNS label; "" where it does not. Raises SpecInvalid."""
    value = _document(text, file).value
    given = value.get("name") if isinstance(value, dict) else None
    return label(given) if isinstance(given, str) else ""


def _document(text: str, file: str) -> Document:
    documents = read_yaml(text, file, foreign=True)
    if len(documents) != 1:
        raise SpecInvalid([Problem(f"a Compose file is one document, not {len(documents)}", file=file)])
    return documents[0]


def _read_nothing(path: str) -> str:
    raise FileNotFoundError(f"{path}: no file is read here")


def _service(
    top: Part, name: str, environment: Mapping[str, str], folder: str, read: Callable[[str], str]
) -> dict[str, object]:
    top.skip("name")
    top.ignore("it has had no meaning for years", "version")
    _networks(top)
    services = _enabled(top.named("services", _SERVICE), environment)
    names = _names(services)
    peers = PeerNames({each: Peer(f"{ours}.{name}") for each, ours in names.items()})
    around = Surroundings(
        names=names,
        peers=peers,
        environment=environment,
        read=read,
        folder=folder,
        volumes=top.named("volumes", {"driver_opts": "volumes are folders of a node"}),
        configs=top.named("configs"),
        secrets=top.named("secrets"),
        files=Configs(),
    )
    _volumes(around.volumes)
    needs = {each: _needs(part, services) for each, part in services.items()}
    ranks = _ranks(needs, top)
    jobs = order.jobs(needs)
    deploys = {names[each]: _deploy(services[each], ranks[each], around) for each in services if each not in jobs}
    ran = {names[each]: _job(services[each], ranks[each], around) for each in services if each in jobs}
    for secret, hint in around.needed_secrets.items():
        top.note(f"before it is applied: appliance secret set {name}/{secret} ({hint})", "secrets", secret)
    return {
        "service": name,
        **compact(
            {
                "configs": around.files.found,
                "secrets": [*around.needed_secrets],
                "rollout": _rollout(services),
                "deploys": deploys,
                "jobs": ran,
            }
        ),
    }


def _networks(top: Part) -> None:
    for name, network in top.named("networks").items():
        if network.flag("internal"):
            network.refuse("every service of a cluster can reach every other, and the outside", "internal")
        network.skip(*_NETWORK)
        network.note(f"the network {name} is not made: all services of a cluster reach each other")


def _volumes(volumes: Mapping[str, Part]) -> None:
    for volume in volumes.values():
        volume.ignore("labels are not kept", "labels")
        volume.ignore("the volume is called by its name in this file", "name")
        if volume.text("driver", "local") != "local":
            volume.refuse("volumes are folders of a node", "driver")
        if volume.flag("external"):
            volume.note("the volume starts empty; copy the data into it", "external")


def _enabled(services: Mapping[str, Part], environment: Mapping[str, str]) -> dict[str, Part]:
    """Services with profiles are started only when one of them is asked for."""
    asked = set(environment.get("COMPOSE_PROFILES", "").split(","))
    found = {}
    for name, part in services.items():
        profiles = part.texts("profiles")
        if not profiles or asked & {*profiles, "*"}:
            found[name] = part
            continue
        part.note(f"left out, since its profiles are not asked for (COMPOSE_PROFILES={profiles[0]})", "profiles")
        part.skip(*part.fields())
    return found


def _names(services: Mapping[str, Part]) -> dict[str, str]:
    """Service there → its name here. Two that would be called the same are a problem."""
    found: dict[str, str] = {}
    for name, part in services.items():
        ours = label(name)
        if not ours or ours in found.values():
            part.refuse(f"{name!r} cannot be made a name of its own: use a-z, 0-9 and -")
        elif ours != name:
            part.note(f"{name} is called {ours} here")
        found[name] = ours or "unnamed"
    return found


def _needs(service: Part, services: Mapping[str, Part]) -> dict[str, str]:
    """Service it depends on → condition."""
    if isinstance(service.take("depends_on"), list):
        wishes = dict.fromkeys(service.texts("depends_on"), "service_started")
    else:
        wishes = {}
        for name, wish in service.named("depends_on").items():
            wishes[name] = wish.text("condition", "service_started")
            wish.ignore("a new revision of the one does not restart the other", "restart")
            if wish.flag("required") is False and name not in services:
                wish.note(f"{name} is not there; left out")
                wishes.pop(name)
    for name, condition in wishes.items():
        if name not in services:
            service.refuse(
                f"{name} is no service of this file, or one whose profile is not asked for", "depends_on", name
            )
        elif condition not in order.CONDITIONS:
            service.refuse(f"{condition} is no condition: {', '.join(order.CONDITIONS)}", "depends_on", name)
    return {name: condition for name, condition in wishes.items() if name in services}


def _ranks(needs: Mapping[str, Mapping[str, str]], top: Part) -> dict[str, int]:
    try:
        return order.ranks(needs)
    except ValueError as error:
        top.refuse(str(error), "services")
        return dict.fromkeys(needs, 0)


def _deploy(service: Part, rank: int, around: Surroundings) -> dict[str, object]:
    policy = restart(service)
    if not policy:
        service.note("nothing is said of restart, so it starts again whenever it ends")
    found, inside = _container(service, policy if policy != "always" else "", around)
    deploy = {"rank": rank or None, **pace(service), **_hooks(service, around), "volumes": found.volumes}
    if deploy.get("replicas") and any(volume == {"keep": True} for volume in found.volumes.values()):
        service.refuse("here each replica has a volume of its own; there they share one", "volumes")
    return compact({**deploy, "containers": {"main": inside}})


def _job(service: Part, rank: int, around: Surroundings) -> dict[str, object]:
    """Somebody waits for it to complete: it runs once for each revision that changes it."""
    found, inside = _container(service, "", around)
    repeated = restart(service) in ("on-failure", "always")
    service.note(f"somebody waits for it to complete, so it is a job, {_JOB[repeated]}")
    if found.volumes:
        service.refuse("a job has no volumes; run it as a hook of the deploy that has the data", "volumes")
        del inside["volumes"]
    if inside.pop("health", None):
        service.note("the check of a job is not needed: it is done when it ends", "healthcheck")
    for field, value in {**pace(service), **_hooks(service, around)}.items():
        if field != "stop_grace" and value:
            service.refuse(f"a job has no {field}", "deploy")
    grace = amount(service, "stop_grace_period", go_duration)
    kind = "normal" if repeated else "once"
    return compact({"type": kind, "rank": rank or None, "stop_grace": grace, "container": inside})


_JOB = {True: "run again until it succeeds", False: "which is not run again by itself when it fails"}


def _container(service: Part, policy: str, around: Surroundings) -> tuple[Mounts, dict[str, object]]:
    name = around.names[service.name]
    found = mounts(service, name, around)
    add_configs(service, name, around)
    _harmless(service)
    return found, container(service, policy, found, around)


def _hooks(service: Part, around: Surroundings) -> dict[str, object]:
    advice = {"user": "the container's user runs it", "privileged": "it runs as the container does"}
    hooks: dict[str, object] = {}
    for theirs, ours in (("post_start", "after_start"), ("pre_stop", "before_stop")):
        hooks[ours] = [{"run": command(hook, "command", around)} for hook in service.parts(theirs, advice)]
    return hooks


def _rollout(services: Mapping[str, Part]) -> dict[str, str]:
    """One policy for the whole service; `rollback` is the default and is not written."""
    wishes = {name: on_failure(part.part("deploy").part("update_config")) for name, part in services.items()}
    pausing = [name for name, wish in wishes.items() if wish == "pause"]
    if pausing and len(set(filter(None, wishes.values()))) > 1:
        services[pausing[0]].note("the whole service pauses when its update fails, not only this part", "deploy")
    return {"on_failure": "pause"} if pausing else {}


def _harmless(service: Part) -> None:
    """What has no counterpart and changes nothing of how the containers run."""
    service.ignore("the name here is SERVICE/DEPLOY-0, and so on", "container_name", "hostname", "domainname")
    service.ignore("labels are not kept; for a router's labels write an entry", "labels", "annotations", "label_file")
    service.ignore("what containers write is kept by the node: `appliance logs`", "logging")
    service.ignore("a container gets no extra first process; use an image that has one", "init")
    service.ignore("images come from the bundle or `appliance image load`", "pull_policy", "pull_refresh_after")
    service.ignore("it is for developing", "develop")
    service.ignore("a container has no terminal; use `appliance exec`", "tty", "stdin_open")
    service.ignore("it is started whether attached or not", "attach")
    if "networks" in service:
        _own_networks(service)


def _own_networks(service: Part) -> None:
    if isinstance(service.take("networks"), list):
        return
    for network in service.named("networks", {"aliases": "it is reached as DEPLOY.SERVICE only"}).values():
        network.ignore("there is one network", "priority", "gw_priority", "interface_name")
