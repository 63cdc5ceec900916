"""How a host becomes a node: what it asks of a manager, and what the manager decides.

The joining host makes its id and key before it asks, and keeps both on disk. Asking again with the same id and key
after a kill gets the same answer, although the token is good for one node only. With another key it gets nothing:
who has a token must not become a node that exists.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network

import msgspec

from appliance.delivery import pki
from appliance.errors import Conflict, NotPermitted, Refused, UsageError
from appliance.host.layout import Layout
from appliance.model.addresses import LARGEST_NUMBER
from appliance.model.certificate import USUAL_LIFE
from appliance.model.cluster import LINK_PORT, MOST_MANAGERS, JoinToken
from appliance.model.moment import text_of_seconds
from appliance.model.node import NODE_ID, NODE_NAME, Dial, NodeSpec, Role
from appliance.model.release import PAGE, THIS_RELEASE, Release, refusal
from appliance.model.skew import direction
from appliance.security.ssh import issue_host_certificate, key_fingerprint
from appliance.security.tokens import check, in_force
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.state import State
from appliance.store.store import Expect, Put, Store

LARGEST_SKEW = 5.0
"""Seconds by which the joining host's clock may differ, those that its question was on the way included: certificates
are checked against it, and whoever compares the logs of two nodes trusts it."""


class JoinRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`name_given`: a person chose the name, so it must not be changed to make it unique."""

    token: str
    secret: str
    node_id: str
    name: str
    name_given: bool
    address: str
    dial: Dial
    ssh_key: str
    version: str
    clock: float
    release: int = 1
    """The number of the release that has this `version`."""
    routes: tuple[str, ...] = ()
    """Networks that the host reaches, in CIDR form, without the default route."""


class JoinAnswer(msgspec.Struct, frozen=True, kw_only=True):
    node_id: str
    name: str
    number: int
    roles: tuple[Role, ...]
    cluster_id: str
    cluster_name: str
    network: str
    managers: tuple[str, ...]
    ssh_authority: str
    host_certificate: str


class Joiner:
    """The manager's side. `layout` holds the authority that signs the certificates of the link."""

    def __init__(
        self,
        state: State,
        store: Store,
        layout: Layout,
        clock: Callable[[], float],
        release: Release = THIS_RELEASE,
    ) -> None:
        self._state = state
        self._store = store
        self._layout = layout
        self._clock = clock
        self._release = release
        self._one_at_a_time = threading.Lock()

    def join(self, request: JoinRequest) -> JoinAnswer:
        """Raises NotPermitted for a bad token, Refused for a host that does not fit, Conflict for a taken name.

        UsageError for what no host of ours asks.
        """
        _check_form(request)
        with self._one_at_a_time:
            token = self._check(request)
            cluster, authority = self._state.cluster(), pki.read_ssh_authority(self._layout)
            life = cluster.certificate_life if cluster else USUAL_LIFE
            certificate = issue_host_certificate(authority, request.ssh_key, request.node_id, self._clock(), life)
            node = self._state.nodes.get(request.node_id)
            node = self._admit(request, token) if node is None else self._admit_again(node, request, token)
            return self._answer(node, certificate)

    def _check(self, request: JoinRequest) -> JoinToken:
        token = self._state.tokens.get(request.token)
        if token is None or not check(token, request.secret):
            raise _invalid("it was revoked, has expired, or was mistyped")
        if token.used_by and token.used_by != request.node_id:
            raise NotPermitted(
                "The join token has been used by another node.",
                why="a token admits one node",
                next="make a new one on a manager: appliance token create",
                page="nodes",
            )
        if token.address and request.address != token.address:
            raise Refused(
                f"The join token is for the host at {token.address}.",
                why=f"this host says that it is at {request.address}",
                next=f"make one for it on a manager: appliance token create --dial manager --address {request.address}",
                page="nodes#which-side-dials",
            )
        skew = request.clock - self._clock()
        if abs(skew) > LARGEST_SKEW:
            raise Refused(
                f"The clock of this host is {direction(skew)} the manager's.",
                why=f"more than {LARGEST_SKEW:g} s: certificates and logs would not be what they seem",
                next=f"set it (date -u -s @{self._clock():.0f}, then hwclock --systohc) and join again at once",
                page="time#put-a-clock-right",
            )
        if not in_force(token, self._clock()):
            raise _invalid(f"it has expired ({token.expires_at}), or was made by a clock that was wrong")
        self._check_release(request, token)
        return token

    def _check_release(self, request: JoinRequest, token: JoinToken) -> None:
        """An agent of another release may work with this manager; a manager shares the store with it."""
        theirs = Release(number=request.release, version=request.version)
        if refused := refusal(theirs, self._release, request.name):
            what, why = refused.what, refused.why
        elif token.role == "manager" and theirs.number != self._release.number:
            what, why = f"A new manager has to be of the cluster's {self._release}.", f"this host has {theirs}"
        else:
            return
        raise Refused(
            what,
            where=request.name,
            why=why,
            next=f"copy the file of {self._release} to this host and join with it; nothing was installed",
            page=PAGE,
        )

    def _admit(self, request: JoinRequest, token: JoinToken) -> NodeSpec:
        nodes = self._state.nodes.all()
        if token.role == "manager":
            _check_managers(nodes.values())
        _check_address(request, nodes.values())
        self._check_routes(request)
        taken_numbers = {node.number for node in nodes.values()}
        number = next((n for n in range(1, LARGEST_NUMBER + 1) if n not in taken_numbers), None)
        if number is None:
            raise Refused(f"The cluster has {LARGEST_NUMBER} nodes, which is the most its network has room for.")
        node = NodeSpec(
            id=request.node_id,
            name=_free_name(request, {node.name for node in nodes.values()}),
            number=number,
            address=request.address,
            roles=("manager", "agent") if token.role == "manager" else ("agent",),
            dial=request.dial,
            joined_at=text_of_seconds(self._clock(), "seconds"),
            ssh_key=request.ssh_key,
        )
        key = f"{keys.NUMBERS}{number}"
        new = (self._state.nodes.still(node.id, None), Expect(key, 0))
        self._write(node, token, [Put(key, encode(node.id))], new)
        return node

    def _check_routes(self, request: JoinRequest) -> None:
        cluster = self._state.cluster()
        network = cluster.network if cluster else ""
        for route in request.routes if network else ():
            if IPv4Network(route).overlaps(IPv4Network(network)):
                raise Refused(
                    f"The cluster's network {network} overlaps {route}, which this host has a route to.",
                    why="packets for instances would go there",
                    next="give that network another range, or found the cluster with another one: up --network CIDR",
                    page="preflight#networks",
                )

    def _admit_again(self, node: NodeSpec, request: JoinRequest, token: JoinToken) -> NodeSpec:
        """The host never got, or lost, what was answered; its address may be another one by now."""
        if node.ssh_key != request.ssh_key:
            raise NotPermitted(
                "There is a node with this id and another key.",
                why="a token lets a new host in; it is not good for the keys of a node that exists",
                next="on this host: appliance uninstall --purge; then join again",
                page="nodes",
            )
        if self._state.revoked.get(key_fingerprint(node.ssh_key)) is not None:
            raise NotPermitted(
                f"The key of {node.name} is revoked.",
                why="whoever has it is let in no more, with or without a token",
                next="on this host: appliance uninstall --purge; then join again, which makes a new key",
                page="certificates#a-key-that-was-stolen",
            )
        _check_address(request, self._state.nodes.all().values())
        again = msgspec.structs.replace(node, address=request.address, dial=request.dial)
        if again != node or not token.used_by:
            self._write(again, token, expect=[self._state.nodes.still(node.id, node)])
        return again

    def _write(self, node: NodeSpec, token: JoinToken, more: Sequence[Put] = (), expect: Sequence[Expect] = ()) -> None:
        used = msgspec.structs.replace(token, used_by=node.id)
        revision = self._store.commit(
            [self._state.nodes.put(node.id, node), self._state.tokens.put(token.id, used), *more],
            [self._state.tokens.still(token.id, token), *expect],
        )
        self._state.copy.wait_for(revision, 5.0)

    def _answer(self, node: NodeSpec, certificate: str) -> JoinAnswer:
        cluster = self._state.cluster()
        if cluster is None:
            raise Refused("The cluster is still being set up.", next="try again in a moment")
        managers = [n for n in self._state.nodes.all().values() if "manager" in n.roles and n.id != node.id]
        return JoinAnswer(
            node_id=node.id,
            name=node.name,
            number=node.number,
            roles=node.roles,
            cluster_id=cluster.id,
            cluster_name=cluster.name,
            network=cluster.network,
            managers=tuple(f"{manager.address}:{LINK_PORT}" for manager in managers),
            ssh_authority=pki.read_link_authorities(self._layout),
            host_certificate=certificate,
        )


def _invalid(why: str) -> NotPermitted:
    return NotPermitted(
        "The join token is not valid.",
        why=why,
        next="make a new one on a manager: appliance token create",
        page="nodes",
    )


def _check_form(request: JoinRequest) -> None:
    """What a host says of itself reaches other nodes' commands and files."""
    try:
        IPv4Address(request.address)
        [IPv4Network(route) for route in request.routes]
        known = NODE_ID.fullmatch(request.node_id) and NODE_NAME.fullmatch(request.name)
    except ValueError:
        known = None
    if not known:
        raise UsageError("This is not how a host asks to join.", why="its id, name or address has another form")


def _check_address(request: JoinRequest, nodes: Iterable[NodeSpec]) -> None:
    """Two nodes with one address would take each other's part of the overlay."""
    for node in nodes:
        if node.address == request.address and node.id != request.node_id:
            raise Refused(
                f"The node {node.name} has the address {request.address} already.",
                why="packets for one of the two would reach the other",
                next=f"join with another --address; if {node.name} is gone for good: appliance node rm {node.name}",
                page="nodes",
            )


def _check_managers(nodes: Iterable[NodeSpec]) -> None:
    managers = sum("manager" in node.roles for node in nodes)
    if managers >= MOST_MANAGERS:
        raise Refused(
            f"The cluster has {managers} managers.",
            why="more would make writes slower and nothing safer",
            next="join as an agent (appliance token create), or demote a manager first: appliance node demote NODE",
            page="managers#how-many",
        )


def _free_name(request: JoinRequest, taken: set[str]) -> str:
    if request.name not in taken:
        return request.name
    if request.name_given:
        raise Conflict(f"There is a node called {request.name} already.", next="choose another --name")
    return next(name for n in range(2, 10_000) if (name := f"{request.name}-{n}") not in taken)
