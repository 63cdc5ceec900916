"""What one commit may hold, checked before it is sent, so that a refusal says which limit and nothing is half-done."""

from collections.abc import Sequence

from appliance.errors import Refused
from appliance.store.store import LARGEST_VALUE, MOST_OPERATIONS, Delete, Expect, Put


def check_commit(operations: Sequence[Put | Delete], expect: Sequence[Expect]) -> None:
    """Raises Refused for too many operations or too large a value."""
    if max(len(operations), len(expect)) > MOST_OPERATIONS:
        raise Refused(
            f"The change has {len(operations)} writes under {len(expect)} conditions; "
            f"the store takes {MOST_OPERATIONS} of each at once.",
            next="split it",
        )
    for operation in operations:
        if isinstance(operation, Put) and len(operation.value) > LARGEST_VALUE:
            raise Refused(
                f"The value is {len(operation.value)} bytes; the store takes {LARGEST_VALUE}.",
                where=operation.key,
                next="make it smaller",
            )
