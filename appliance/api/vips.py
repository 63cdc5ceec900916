"""Virtual addresses: the cluster's own and those of the entry, who may hold each and who does."""

from ipaddress import IPv4Address, IPv4Network

import msgspec

from appliance.api.call import Call, Route
from appliance.api.context import Context
from appliance.api.rows import Row
from appliance.errors import Conflict, NotFound, Refused, UsageError
from appliance.model.vip import ENTRY_ROUTERS, Vip, VipPlan, VipStatus, parse_vip
from appliance.network.vip import vip_plans
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.state import State
from appliance.store.store import Delete, Expect, Put


class NewVip(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`address` as ``IP/LEN``; `services` says what it is meant for, and keeps no other out."""

    address: str
    services: tuple[str, ...] = ()
    interface: str = ""


def routes(context: Context) -> list[Route]:
    def listing(_: Call) -> object:
        return vip_rows(context.state)

    def add(call: Call) -> object:
        return add_vip(context, call.data(NewVip))

    def remove(call: Call) -> object:
        return remove_vip(context, call.path["address"])

    return [
        Route("GET", "/api/vips", listing, summary="Virtual addresses, who may hold each and who does"),
        Route("POST", "/api/vips", add, summary="Give the entry a further address", body=NewVip),
        Route("DELETE", "/api/vips/<address>", remove, summary="Take an address of the entry away"),
    ]


def vip_rows(state: State) -> list[Row]:
    """The cluster's own address first."""
    names = {node.id: node.name for node in state.nodes.all().values()}
    return [_row(state, plan, names) for plan in vip_plans(state)]


def add_vip(context: Context, new: NewVip) -> Row:
    """Raises UsageError for what is no address, Refused for one that belongs to something else."""
    state = context.state
    address, length = parse_vip(new.address)
    _check_free(state, address)
    if len(new.interface) > 15 or any(not c.isprintable() or c in " /{}" for c in new.interface):
        raise UsageError(f"{new.interface!r} is not the name of an interface.")
    taken = {vip.router for vip in state.vips.all().values()}
    router = next((number for number in ENTRY_ROUTERS if number not in taken), None)
    if router is None:
        raise Refused(f"There are {len(taken)} virtual addresses, which is the most that VRRP tells apart.")
    vip = Vip(
        address=address,
        length=length,
        router=router,
        interface=new.interface,
        services=new.services,
        added_at=context.now(),
    )
    # The number is taken by a key of its own, so that nobody else gets it at the same time.
    claim = f"{keys.ROUTERS}{router}"
    context.commit(
        [state.vips.put(address, vip), Put(claim, encode(address))],
        [Expect(state.vips.prefix + address, 0), Expect(claim, 0)],
    )
    return next(row for row in vip_rows(state) if row["address"] == address)


def remove_vip(context: Context, address: str) -> Row:
    """The node that has it gives it up. Raises NotFound, Refused for the cluster's own."""
    state = context.state
    vip = state.vips.get(address)
    if vip is None:
        if address == _own_address(state):
            raise Refused(
                f"{address} is the cluster's own address.", why="its certificate and its tokens name it", page="vip"
            )
        raise NotFound(f"There is no virtual address {address}.", next="see: appliance vip ls")
    context.commit(
        [state.vips.delete(address), Delete(f"{keys.ROUTERS}{vip.router}")], [state.vips.still(address, vip)]
    )
    return {"address": address, "removed": True}


def _check_free(state: State, address: str) -> None:
    cluster = state.cluster()
    if state.vips.get(address) is not None or address == _own_address(state):
        raise Conflict(f"{address} is a virtual address already.", next="see: appliance vip ls")
    for node in state.nodes.all().values():
        if node.address == address:
            raise Refused(
                f"{address} is the address of the node {node.name}.",
                next="choose one that no host of the network has",
                page="vip",
            )
    if cluster is not None and IPv4Address(address) in IPv4Network(cluster.network):
        raise Refused(
            f"{address} lies in {cluster.network}, which is the instances'.",
            next="choose one of the network that people come from",
            page="vip",
        )


def _own_address(state: State) -> str:
    cluster = state.cluster()
    return cluster.vip.partition("/")[0] if cluster else ""


def _row(state: State, plan: VipPlan, names: dict[str, str]) -> Row:
    vip = state.vips.get(plan.address)
    status = state.vip_status.get(plan.address) or VipStatus(address=plan.address)
    candidates = [names.get(each.node, each.node) for each in plan.candidates]
    return {
        "address": plan.address,
        "length": plan.length,
        "front": plan.front,
        "state": _state(status),
        "owners": [names.get(node, node) for node in status.owners],
        "since": status.since,
        "preferred": candidates[0] if candidates else "",
        "candidates": candidates,
        "services": list(vip.services) if vip else [],
        "interface": plan.interface,
        "router": plan.router,
    }


def _state(status: VipStatus) -> str:
    if not status.since:
        return "starting"
    return {0: "unheld", 1: "held"}.get(len(status.owners), "two owners")
