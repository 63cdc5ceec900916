"""What one commit may hold, checked before it is sent, so that a refusal says which limit and nothing is half-done."""

from collections.abc import Sequence

from appliance.errors import Refused
from appliance.store.store import LARGEST_VALUE, MOST_OPERATIONS, Delete, Expect, Put

LARGEST_COMMIT = 1_400_000
"""Bytes of all keys and values of one commit; what remains of etcd's 1.5 MiB is for the conditions."""


def check_commit(operations: Sequence[Put | Delete], expect: Sequence[Expect]) -> None:
    """Raises Refused for too many operations, too many bytes or a key that is written twice."""
    if max(len(operations), len(expect)) > MOST_OPERATIONS:
        raise Refused(
            f"The change has {len(operations)} writes under {len(expect)} conditions; "
            f"the store takes {MOST_OPERATIONS} of each at once.",
            next="split it",
        )
    if len({operation.key for operation in operations}) < len(operations):
        raise Refused("The change writes a key twice.", next="leave out the earlier write")
    for operation in operations:
        if isinstance(operation, Put) and len(operation.value) > LARGEST_VALUE:
            raise Refused(
                f"The value is {len(operation.value)} bytes; the store takes {LARGEST_VALUE}.",
                where=operation.key,
                next="make it smaller",
            )
    size = sum(len(each.key) + (len(each.value) if isinstance(each, Put) else 0) for each in operations)
    if size > LARGEST_COMMIT:
        raise Refused(f"The change is {size} bytes; the store takes {LARGEST_COMMIT} at once.", next="split it")
