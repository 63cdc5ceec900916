"""Which managers the cluster is to have, and the next step towards it: pure.

A node's roles say what is wanted, etcd's list of members says what is. Between them lie small steps, each of which may
be done again: a new member starts as a learner on its node, catches up, and only then gets a vote.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.model.cluster import etcd_peer_url
from appliance.model.node import NodeSpec, NodeStatus
from appliance.store.membership import Member


@dataclass(frozen=True)
class Seen:
    """etcd's members, and why some of them (by id) do not serve."""

    members: tuple[Member, ...] = ()
    troubles: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Add:
    """Make the node's member, as a learner."""

    node: NodeSpec


@dataclass(frozen=True)
class Equip:
    """Send the node what it needs to start this member."""

    node: str
    member: Member


@dataclass(frozen=True)
class TurnLink:
    """A manager opens its links itself: managers reach each other both ways, as etcd's members have to."""

    node: NodeSpec


@dataclass(frozen=True)
class Promote:
    member: Member


@dataclass(frozen=True)
class Remove:
    member: Member
    why: str


@dataclass(frozen=True)
class Retire:
    """Tell the node that it is a manager no more."""

    node: NodeSpec


Step = Add | Equip | TurnLink | Promote | Remove | Retire


def next_steps(nodes: Mapping[str, NodeSpec], statuses: Mapping[str, NodeStatus], seen: Seen) -> tuple[Step, ...]:
    """At most one change of the members among them, so that each is seen before the next."""
    wanted = {node.id: node for node in nodes.values() if "manager" in node.roles}
    there = {name: each for name, each in statuses.items() if name in nodes and each.state == "ready"}
    owners = {member.id: owner_of(member, nodes) for member in seen.members}
    managing = {name for name, each in there.items() if each.facts is not None and each.facts.manager}
    retired = (Retire(nodes[name]) for name in sorted(managing - wanted.keys() - set(owners.values())))
    return (*retired, *_membership(wanted, there, owners, seen))


def _membership(
    wanted: Mapping[str, NodeSpec], there: Mapping[str, NodeStatus], owners: Mapping[int, str], seen: Seen
) -> tuple[Step, ...]:
    for member in seen.members:
        why = _why_it_leaves(member, owners[member.id], wanted, there)
        if why and not loss(seen, member):
            return (Remove(member, why),)
    waiting = [wanted[name] for name in sorted(wanted.keys() & there.keys()) if name not in owners.values()]
    learner = next((member for member in seen.members if member.learner), None)
    if learner is None:
        return tuple(map(Add, waiting[:1]))
    owner = owners[learner.id]
    if owner not in there:
        return (Remove(learner, "its node is away, and another one waits"),) if waiting else ()
    if not learner.name:
        return (Equip(owner, learner),)
    turned = (TurnLink(wanted[owner]),) if wanted[owner].dial == "manager" else ()
    return (*turned, Promote(learner))


def _why_it_leaves(member: Member, owner: str, wanted: Mapping[str, NodeSpec], there: Mapping[str, NodeStatus]) -> str:
    if owner not in wanted:
        return "its node is no manager"
    facts = there[owner].facts if owner in there else None
    return "its data is lost" if facts is not None and facts.lost_member == f"{member.id:x}" else ""


def owner_of(member: Member, nodes: Mapping[str, NodeSpec]) -> str:
    """The id of the member's node, "" for none that exists."""
    if member.name:
        return member.name if member.name in nodes else ""
    return next((node.id for node in nodes.values() if etcd_peer_url(node.address) == member.peer_url), "")


def loss(seen: Seen, member: Member) -> str:
    """Why the cluster cannot do without this member; "" when it can."""
    if member.learner:
        return ""
    rest = [each for each in seen.members if not each.learner and each.id != member.id]
    if not rest:
        return "there is no other manager with a vote"
    serving = sum(each.id not in seen.troubles for each in rest)
    if 2 * serving <= len(rest):
        return f"of the other {len(rest)} managers {serving} could vote, and more than half of them have to"
    return ""


def etcd_states(nodes: Mapping[str, NodeSpec], seen: Seen) -> dict[str, str]:
    """Manager's node id → ``healthy``, ``learner``, ``unreachable`` or, without a member yet, ``joining``."""
    found = {owner_of(member, nodes): member for member in seen.members}
    return {name: _state(found.get(name), seen) for name, node in nodes.items() if "manager" in node.roles}


def _state(member: Member | None, seen: Seen) -> str:
    if member is None or not member.name:
        return "joining"
    if member.id in seen.troubles:
        return "unreachable"
    return "learner" if member.learner else "healthy"
