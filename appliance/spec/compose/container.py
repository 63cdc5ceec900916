"""A Compose service's container."""

import re
import shlex
from collections.abc import Callable

from appliance.spec.compose.env_file import read_env_file
from appliance.spec.compose.files import secrets
from appliance.spec.compose.ports import ports
from appliance.spec.compose.surroundings import Surroundings
from appliance.spec.compose.volumes import Mounts
from appliance.spec.converted import compact
from appliance.spec.foreign import Part
from appliance.spec.foreign_amounts import compose_bytes, cores, go_duration, kubernetes_quantity

_RESTARTS = {"always": "always", "unless-stopped": "always", "on-failure": "on-failure", "no": "never"}
_POLICIES = {"any": "always", "on-failure": "on-failure", "none": "never"}


def container(service: Part, restart: str, mounts: Mounts, around: Surroundings) -> dict[str, object]:
    """In the order of the manual. Takes from `service` all that concerns one container, but its restart policy."""
    return compact(
        {
            "image": _image(service),
            "entrypoint": command(service, "entrypoint", around),
            "command": command(service, "command", around),
            "user": service.text("user"),
            "workdir": service.text("working_dir"),
            "stop_signal": service.text("stop_signal"),
            "restart": restart,
            "env": _env(service, around),
            "secrets": secrets(service, around),
            "ports": ports(service),
            "volumes": mounts.inside,
            "tmpfs": _tmpfs(mounts),
            "shm": amount(service, "shm_size", compose_bytes),
            "devices": _devices(service),
            "capabilities": service.texts("cap_add"),
            "privileged": service.flag("privileged") or None,
            "read_only": service.flag("read_only") or None,
            "resources": _resources(service),
            "health": _health(service),
        }
    )


def amount[T](part: Part, key: str, read: Callable[[str], T]) -> T | None:
    """The amount at `key` in our notation; None where there is none, or no sensible one."""
    text = part.text(key)
    try:
        return read(text) if text else None
    except ValueError as error:
        part.refuse(str(error), key)
        return None


def _image(service: Part) -> str:
    image = service.text("image")
    if "build" in service:
        service.take("build")
        if image:
            service.note("nothing is built here: build the image elsewhere, then `appliance image load FILE`", "build")
        else:
            service.refuse("nothing is built here: build the image elsewhere, load it, and name it as image", "build")
    elif not image:
        service.refuse("the service has no image")
    return image


def command(part: Part, key: str, around: Surroundings) -> list[str] | None:
    """None: the image's own. A text is split into words, without a shell."""
    if key not in part:
        part.take(key)
        return None
    words = part.texts(key)
    if isinstance(part.take(key), str):
        try:
            words = shlex.split(words[0])
        except ValueError as error:
            part.refuse(f"this cannot be split into words: {error}; write a list", key)
    if not words:
        part.refuse("an empty command cannot be written: name the program", key)
    return around.peers.words(words, part, key)


def restart(service: Part) -> str:
    """`always`, `on-failure`, `never`; "" after a problem, and where nothing is said."""
    policy = service.part("deploy").part("restart_policy")
    text = service.text("restart")
    if policy:
        found = _POLICIES.get(policy.text("condition", "any"))
        policy.ignore("pauses between restarts grow by themselves", "delay")
        policy.ignore("restarts go on, with growing pauses", "max_attempts")
        policy.ignore("stayed up is 10s here; see stable_after", "window")
        if found is None:
            policy.refuse("the condition is any, on-failure or none", "condition")
    elif text:
        kind, colon, _ = text.partition(":")
        found = _RESTARTS.get("no" if kind == "false" else kind)
        if found is None:
            service.refuse(f"{text!r} is not no, always, on-failure or unless-stopped", "restart")
        elif colon:
            service.note("restarts go on as often as needed, with growing pauses", "restart")
    else:
        return ""
    return found or ""


def _env(service: Part, around: Surroundings) -> dict[str, str]:
    """The service's own variables win over those from files."""
    found = _from_files(service, around)
    for name, value in service.pairs("environment").items():
        place = service.place("environment", name)
        if value is not None:
            found[name] = value
        elif name in around.environment:
            found[name] = around.environment[name]
            service.note(f"{name} was taken from the environment of this command", *place)
        else:
            service.note(f"{name} has no value and is not set here; left out", *place)
    return {
        name: around.peers.env(name, value, service, *service.place("environment", name))
        for name, value in found.items()
    }


def _from_files(service: Part, around: Surroundings) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, entry in service.entries("env_file"):
        holder = entry if isinstance(entry, Part) else service
        path = entry.text("path") if isinstance(entry, Part) else entry
        optional = isinstance(entry, Part) and entry.flag("required") is False
        place = () if isinstance(entry, Part) else ("env_file", number)
        try:
            found |= read_env_file(around.read(around.path(path)), around.environment)
        except (OSError, UnicodeDecodeError, ValueError) as error:
            if optional:
                holder.note(f"{path} is not there; left out", *place)
            else:
                holder.refuse(f"{path} cannot be used: {error}", *place)
    return found


def _tmpfs(mounts: Mounts) -> object:
    """A list where no size is said."""
    return {path: size or 0 for path, size in mounts.tmpfs.items()} if any(mounts.tmpfs.values()) else [*mounts.tmpfs]


def _devices(service: Part) -> list[str]:
    found = []
    for number, entry in service.entries("devices"):
        if isinstance(entry, Part):
            source, target, access = entry.text("source"), entry.text("target"), entry.text("permissions", "rwm")
        else:
            source, target, access = ([*entry.split(":"), "", ""])[:3]
        if (target and target != source) or (access and access != "rwm") or not source.startswith("/"):
            service.refuse(
                "a device keeps its path and is read and written; other ways do not exist", "devices", number
            )
        found.append(source)
    return found


def _resources(service: Part) -> dict[str, object]:
    parts = service.part("deploy").part("resources")
    limits, reservations = parts.part("limits"), parts.part("reservations")
    limits.ignore("the number of processes is not limited", "pids")
    cpu = amount(limits, "cpus", lambda text: cores(kubernetes_quantity(text)))
    memory = amount(limits, "memory", compose_bytes)
    cpu = cpu or amount(service, "cpus", lambda text: cores(kubernetes_quantity(text)))
    memory = memory or amount(service, "mem_limit", compose_bytes)
    for part, key in ((reservations, "cpus"), (reservations, "memory"), (service, "mem_reservation")):
        limit = cpu if key == "cpus" else memory
        why = "here what is promised is also the limit: the limit is used for both" if limit else _NO_LIMIT
        part.ignore(why, key)
    return compact({"cpu": cpu, "memory": memory, "gpu": _gpus(service, reservations)})


_NO_LIMIT = (
    "left out, since here what is promised is also the limit; if it is enough for that, write it under resources"
)


def _gpus(service: Part, reservations: Part) -> int | None:
    """Whole GPUs; `all` cannot be promised on nodes that differ."""
    wishes = reservations.parts("devices")
    if isinstance(service.take("gpus"), list):
        wishes = [*wishes, *service.parts("gpus")]
    elif service.text("gpus"):
        service.refuse("say how many GPUs: resources: {gpu: 1}", "gpus")
    return sum(_gpu_count(device) for device in wishes) or None


def _gpu_count(device: Part) -> int:
    if "gpu" not in (device.texts("capabilities") or ["gpu"]) or device.text("driver", "nvidia") != "nvidia":
        device.refuse("only GPUs of NVIDIA can be reserved; other devices are named by path under devices")
    count = device.text("count", "all")
    if not re.fullmatch(r"\d{1,4}", count):
        device.refuse("say how many GPUs: a whole number", "count")
        return 0
    return int(count)


def _health(service: Part) -> dict[str, object]:
    """Compose only marks a container as unhealthy, so this is whether it is ready, not whether to restart it."""
    check = service.part("healthcheck")
    if check.flag("disable"):
        check.skip(*check.fields())
    if not check or check.flag("disable"):
        return {}
    words = check.texts("test")
    if isinstance(check.take("test"), str):
        words = ["CMD-SHELL", *words]
    check.ignore(
        "not needed: an instance is not ready before its check first says so", "start_period", "start_interval"
    )
    if words[:1] == ["NONE"]:
        return {}
    if words[:1] not in (["CMD"], ["CMD-SHELL"]) or len(words) < 2:
        check.refuse("test is [CMD, PROGRAM, ...] or [CMD-SHELL, LINE]; the image's own check is not looked at", "test")
        return {}
    exec_words = words[1:] if words[0] == "CMD" else ["/bin/sh", "-c", " ".join(words[1:])]
    ready = {
        "exec": exec_words,
        "every": amount(check, "interval", go_duration) or "30s",
        "timeout": amount(check, "timeout", go_duration) or "30s",
        "failures": check.whole("retries"),
    }
    return {"ready": compact(ready)}
