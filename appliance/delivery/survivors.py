"""Which of the managers that are left a cluster is to be recovered on: pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.errors import Refused


@dataclass(frozen=True)
class Survivor:
    """A manager as it was found. `revision` of its etcd; None where that does not say."""

    address: str
    reached: bool
    revision: int | None = None


def freshest(own: Survivor, others: Sequence[Survivor]) -> Survivor | None:
    """The one with the newest change; this host's own among equals. None where nobody says how far it is."""
    known = [each for each in (own, *others) if each.revision is not None]
    return max(known, key=lambda each: each.revision or 0, default=None)


def refuse_staler(own: Survivor, others: Sequence[Survivor]) -> None:
    """Raises Refused where another manager has more, or may have."""
    left = [each for each in others if each.reached]
    best = freshest(own, left)
    if own.revision is not None and best is not None and best != own:
        raise _refused(f"{best.address} has revision {best.revision}, this host {own.revision}", best.address)
    silent = [each.address for each in left if each.revision is None]
    if own.revision is None and left:
        raise _refused("this host's etcd does not say how far it is, and other managers are there", left[0].address)
    if silent:
        raise _refused(f"{', '.join(silent)} can be reached, and its etcd does not say how far it is", silent[0])


def loss(own: Survivor, others: Sequence[Survivor]) -> str:
    """What is lost when this host's state becomes the cluster's, for people."""
    best = freshest(own, [each for each in others if each.reached])
    if own.revision is not None and best is not None and best != own:
        return f"the changes of the revisions {own.revision + 1} to {best.revision}, which {best.address} has"
    gone = ", ".join(each.address for each in others if not each.reached) or "nobody"
    return (
        f"what reached only those that are gone ({gone}): the changes of the last moments before, and all since this "
        "host was cut off from them, if it was"
    )


def _refused(why: str, there: str) -> Refused:
    return Refused(
        "This host may not have the newest state.",
        why=why,
        next=f"run `appliance recover` on {there}; or, with the loss of what is missing here, --force-this-one",
        page="managers#when-most-managers-are-lost",
    )
