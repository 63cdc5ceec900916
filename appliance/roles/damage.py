"""Finds what a manager can make anew of its own files, so that a damaged one costs a start and nothing more.

The sidecars and their configuration follow from the node's identity, and the leaf certificates from the authority.
"""

from pathlib import Path

from appliance.agent.assignments import AssignmentBook
from appliance.delivery.pki import COPIES, LEAVES
from appliance.host.layout import Layout
from appliance.model.cluster import SYSTEM_SERVICE
from appliance.security.key_text import is_whole

_CONFIGURED = ("nginx", "registry")
"""Sidecars of a manager with files that only its founding writes."""


def damaged(layout: Layout) -> list[str]:
    """Names of what is damaged and can be made anew."""
    leaves = [layout.pki / f"{name}{suffix}" for name in LEAVES.values() for suffix in (".key", ".crt")]
    keys = (*leaves, *(layout.pki / name for name in (*COPIES, "link/user.key", "link/user.crt")))
    configs = [file for name in _CONFIGURED for file in (layout.sidecar_files / name).glob("*") if file.is_file()]
    sidecars = [name for name in AssignmentBook(layout.assignments).damaged if name.startswith(f"{SYSTEM_SERVICE}/")]
    return [
        *(str(file) for file in keys if file.exists() and not is_whole(file.read_bytes())),
        *(str(file) for file in configs if not _is_text(file)),
        *sidecars,
    ]


def _is_text(file: Path) -> bool:
    """As all configuration is that we write: to its last line."""
    content = file.read_bytes()
    try:
        return content.endswith(b"\n") and "\0" not in content.decode()
    except UnicodeDecodeError:
        return False
