"""What instances and nodes use, as measured by the nodes. Kept in the managers' memory only."""

import msgspec


class InstanceUsage(msgspec.Struct, frozen=True, kw_only=True):
    """`cpu` in thousandths of a core over the last interval, `memory` in bytes, `metric` as the autoscaling asks."""

    instance: str
    cpu: int
    memory: int
    metric: float | None = None


class NodeUsage(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement of a whole node; `cpu` and `memory` of everything that runs there."""

    cpu: int
    memory: int
    instances: tuple[InstanceUsage, ...] = ()
