"""The smallest pieces of a service file: names, paths, amounts and other texts with a meaning."""

import re
import shlex
import signal
from collections.abc import Callable
from typing import Annotated

from appliance.model.cluster import SYSTEM_SERVICE
from appliance.model.entry import TAKEN_PORTS, Tls
from appliance.spec import quantities
from appliance.spec.checks import (
    SCALAR,
    VARIABLE,
    Check,
    Json,
    amount,
    seconds,
    text,
    truth,
    whole,
    whole_number,
    within,
)
from appliance.spec.quantities import shown
from appliance.spec.suggestion import suggestion

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL_PATTERN = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?){0,20}")
_ENTRY_PATH = re.compile(r"/[A-Za-z0-9._~!*+,:=@/-]{0,1000}")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}")
_LABEL_NAME = re.compile(r"[^\s=,]{1,253}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")
_CAPABILITY_NAMES = """
    ALL AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH
    FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE
    NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE
    SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM
"""
_CAPABILITIES = frozenset(_CAPABILITY_NAMES.split())
"""capabilities(7)."""
_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


def _name(value: object) -> str:
    if not isinstance(value, str) or not _LABEL.fullmatch(value):
        raise ValueError(f"{shown(value)} is not a name: use up to 63 of a-z, 0-9 and -, not starting or ending with -")
    return value


def _service_name(value: object) -> str:
    name = _name(value)
    if name == SYSTEM_SERVICE:
        raise ValueError(f"the name {SYSTEM_SERVICE} is the appliance's own; choose another")
    return name


def _matching(pattern: re.Pattern[str], hint: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        given = text(value)
        if not pattern.fullmatch(given):
            raise ValueError(f"{shown(given)} {hint}")
        return given

    return read


def _words(value: object) -> list[str]:
    if isinstance(value, str):
        try:
            return shlex.split(value)
        except ValueError as error:
            raise ValueError(f"the command cannot be split into words: {error}; write it as a list") from error
    if not isinstance(value, list):
        raise ValueError("this must be a text or a list of texts")
    return [text(word) for word in value]


def _program(value: object) -> list[str]:
    words = _words(value)
    if not words or not words[0]:
        raise ValueError("at least the program's name is needed")
    return words


def _some_texts(value: object) -> list[str]:
    given = [text(item) for item in value] if isinstance(value, list) else [text(value)]
    if not given:
        raise ValueError("at least one value is needed")
    return given


def _absolute(value: object) -> str:
    path = text(value)
    if not path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{shown(path)} must be an absolute path without ..")
    if len(path) > 4095:
        raise ValueError("the path is longer than 4095 characters")
    return path.rstrip("/") or "/"


def _inside(value: object) -> str:
    path = _absolute(value)
    if path == "/" or ":" in path:
        raise ValueError(f"{shown(path)} cannot be mounted: it must be below / and hold no colon")
    return path


def _mounted(value: object) -> str:
    path = text(value)
    return _inside(path.removesuffix(":ro")) + (":ro" if path.endswith(":ro") else "")


def _device(value: object) -> str:
    path = _inside(value)
    if not path.startswith("/dev/"):
        raise ValueError(f"{shown(path)} is not a device; write it like /dev/ttyUSB0")
    return path


def _url_path(value: object) -> str:
    path = text(value)
    if not path.startswith("/") or any(character.isspace() for character in path):
        raise ValueError(f"{shown(path)} is not a path of a URL: it starts with / and holds no spaces")
    return path


def _entry_path(value: object) -> str:
    """Nothing that means something in the configuration of a web server."""
    path = text(value)
    if not _ENTRY_PATH.fullmatch(path) or "//" in path or ".." in path.split("/"):
        raise ValueError(
            f"{shown(path)} is not a path of an entry: it starts with / and is made of letters, digits and "
            "- . _ ~ ! * + , : = @ /"
        )
    return path.rstrip("/") or "/"


def _tls(value: object) -> str:
    names = {"true": "also", "only": "only", "false": "never"}
    name = text(value)
    if name not in names:
        raise ValueError(f"{shown(name)} is none of: true, false, only")
    return names[name]


def _entry_port(value: object) -> int:
    number = whole_number(value)
    within(number, 1, 65535)
    if number in TAKEN_PORTS:
        raise ValueError(f"port {number} of the nodes is in use by the appliance; choose another")
    return number


def _image(value: object) -> str:
    image = text(value)
    if not image or any(character.isspace() for character in image):
        raise ValueError(f"{shown(image)} is not an image; write it like shop/web:1.4")
    return image


def _mode(value: object) -> int:
    """A number without quotes could mean 440 in base ten or in base eight."""
    if not isinstance(value, str) or not re.fullmatch("0?[0-7]{3}", value):
        raise ValueError(f'{shown(value)} is not a file mode; write it in quotes, like "0440"')
    return int(value, 8)


def _signal(value: object) -> str:
    names = {name for name in signal.Signals.__members__ if name.startswith("SIG")}
    name = text(value)
    if name not in names:
        raise ValueError(f"{shown(name)} is not a signal, like SIGTERM or SIGINT{suggestion(name, sorted(names))}")
    return name


def _capability(value: object) -> str:
    name = text(value).removeprefix("CAP_")
    if name not in _CAPABILITIES:
        raise ValueError(f"{shown(name)} is not a capability{suggestion(name, sorted(_CAPABILITIES))}")
    return name


def _architectures(value: object) -> list[str]:
    names = _some_texts(value)
    for name in names:
        if name not in _ARCHITECTURES:
            known = ", ".join(_ARCHITECTURES)
            raise ValueError(f"{shown(name)} is none of: {known}{suggestion(name, list(_ARCHITECTURES))}")
    return list(dict.fromkeys(_ARCHITECTURES[name] for name in names))


def _unavailable(value: object) -> str:
    """A count or a percentage, at least one instance."""
    if isinstance(value, str) and value.endswith("%"):
        number = quantities.percent(value)
        within(number, 1, 100, "%")
        return f"{number}%"
    number = whole_number(value)
    within(number, 1, 10_000)
    return str(number)


def _percent(value: object) -> int:
    number = quantities.percent(value)
    within(number, 1, 100, "%")
    return number


def _number(value: object) -> float:
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else 0.0
    except (ValueError, OverflowError):
        number = 0.0
    if not 0 < number < 1e15:
        raise ValueError(f"{shown(value)} is not a number above 0")
    return number


def _bounded(read: Callable[[object], int], most: int, wording: str) -> Callable[[object], int]:
    def bounded(value: object) -> int:
        number = read(value)
        if number > most:
            raise ValueError(f"{shown(value)} is more than {wording}")
        return number

    return bounded


_NAME: Json = {"type": "string", "pattern": _LABEL_PATTERN}
_PATH: Json = {"anyOf": [{"type": "string", "pattern": "^/"}, VARIABLE]}
_WORDS: Json = {"anyOf": [{"type": "string"}, {"type": "array", "items": SCALAR}]}
_TEXTS: Json = {"anyOf": [SCALAR, {"type": "array", "items": SCALAR, "minItems": 1}]}

Name = Annotated[str, Check(_name, {"anyOf": [_NAME, VARIABLE]})]
ServiceName = Annotated[str, Check(_service_name, {"anyOf": [_NAME, VARIABLE]})]
Text = Annotated[str, Check(text, SCALAR)]
Words = Annotated[list[str], Check(_words, _WORDS)]
Program = Annotated[list[str], Check(_program, _WORDS)]
Texts = Annotated[list[str], Check(_some_texts, _TEXTS)]
Truth = Annotated[bool, Check(truth, {"anyOf": [{"type": "boolean"}, VARIABLE]})]
PortNumber = Annotated[int, whole(1, 65535)]
Seconds = Annotated[float, seconds(0, 2_592_000)]
Pause = Annotated[float, seconds(0.1, 86_400)]
Cores = Annotated[int, Check(_bounded(quantities.cpu, 10**7, "10000 cores"), amount(r"^[0-9]+(\.[0-9]+)?\s*m?$"))]
Size = Annotated[
    int, Check(_bounded(quantities.size, 2**60, "2^60 bytes"), amount(r"^[0-9]+(\.[0-9]+)?\s*([kMGT]|[KMGT]i)?$"))
]
Percent = Annotated[int, Check(_percent, amount("^[0-9]+%?$"))]
Unavailable = Annotated[str, Check(_unavailable, amount("^[0-9]+%?$"))]
Target = Annotated[float, Check(_number, amount("^[0-9.]+$"))]
FolderPath = Annotated[str, Check(_absolute, _PATH)]
InsidePath = Annotated[str, Check(_inside, _PATH)]
MountedPath = Annotated[str, Check(_mounted, _PATH)]
DevicePath = Annotated[str, Check(_device, {"anyOf": [{"type": "string", "pattern": "^/dev/"}, VARIABLE]})]
UrlPath = Annotated[str, Check(_url_path, _PATH)]
EntryPath = Annotated[str, Check(_entry_path, _PATH)]
EntryTimeout = Annotated[float, seconds(1, 604_800)]
EntryPort = Annotated[int, Check(_entry_port, whole(1, 65535).schema)]
TlsUse = Annotated[Tls, Check(_tls, {"anyOf": [{"type": "boolean"}, {"enum": ["only"]}, VARIABLE]})]
ImageReference = Annotated[str, Check(_image, {"type": "string", "minLength": 1})]
FileMode = Annotated[int, Check(_mode, {"anyOf": [{"type": "string", "pattern": "^0?[0-7]{3}$"}, VARIABLE]})]
Signal = Annotated[str, Check(_signal, {"anyOf": [{"type": "string", "pattern": "^SIG"}, VARIABLE]})]
Capability = Annotated[str, Check(_capability, {"anyOf": [{"enum": sorted(_CAPABILITIES)}, {"type": "string"}]})]
Architectures = Annotated[list[str], Check(_architectures, _TEXTS)]
EnvName = Annotated[str, Check(_matching(_ENV_NAME, "is not a name for an environment variable"), {"type": "string"})]
LabelName = Annotated[
    str, Check(_matching(_LABEL_NAME, "is not a name for a label: it holds no spaces, = or commas"), {"type": "string"})
]
FileName = Annotated[
    str, Check(_matching(_FILE_NAME, "is not a name: use letters, digits, _, - and points"), {"type": "string"})
]
HostName = Annotated[
    str, Check(_matching(_HOST, "is not a host name; write it like shop.local or *.shop.local"), {"type": "string"})
]
