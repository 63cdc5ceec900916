"""A secret as the store keeps it: sealed. The plain text exists in memory and on a node's file systems in memory."""

import msgspec

from appliance.model.instance import Assignment

MOST_BYTES = 64 * 1024
"""Of one value."""


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a secret; `sealed` is what `security/sealing.py` makes of it. `version` counts from 1."""

    service: str
    name: str
    version: int
    sealed: bytes
    author: str
    created_at: str


def secret_ref(service: str, name: str, version: int) -> str:
    """``shop/db-password@3``: how managers and nodes name one version."""
    return f"{service}/{name}@{version}"


def secrets_used(assignment: Assignment) -> dict[str, tuple[str, int]]:
    """Reference → name and version of all secrets that the containers of an instance use."""
    return {
        secret_ref(assignment.service, name, version): (name, version)
        for planned in assignment.containers
        for name, version in planned.secrets.items()
    }
