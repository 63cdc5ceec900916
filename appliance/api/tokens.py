"""Join tokens: make, list, revoke. The secret is in the answer to its making and nowhere else."""

import ipaddress

import msgspec

from appliance.api.call import Call, Route
from appliance.api.context import Context
from appliance.errors import NotFound, Refused, UsageError
from appliance.model.cluster import HTTPS_PORT
from appliance.model.node import Role
from appliance.security.tokens import create_token


class NewToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`address`: of a host that may not call a manager, and is called at the link's port instead."""

    role: Role = "agent"
    address: str = ""


def routes(context: Context) -> list[Route]:
    tokens = context.state.tokens

    def create(call: Call) -> object:
        return make_token(context, call.data(NewToken))

    def listing(_: Call) -> object:
        return [
            {
                "id": token.id,
                "role": token.role,
                "created_at": token.created_at,
                "expires_at": token.expires_at,
                "used_by": token.used_by,
                "address": token.address,
            }
            for token in tokens.all().values()
        ]

    def revoke(call: Call) -> object:
        name = call.path["id"]
        if tokens.get(name) is None:
            raise NotFound(f"There is no token {name}.", next="see: appliance token ls")
        context.commit([tokens.delete(name)], [tokens.unchanged(name)])
        return {"id": name, "revoked": True}

    return [
        Route("POST", "/api/tokens", create, summary="Make a join token; its secret is shown once", body=NewToken),
        Route("GET", "/api/tokens", listing, summary="All join tokens"),
        Route("DELETE", "/api/tokens/<id>", revoke, summary="Make a join token worthless"),
    ]


def make_token(context: Context, wish: NewToken) -> dict[str, object]:
    cluster = context.state.cluster()
    if cluster is None:
        raise Refused("The cluster is still being set up.", next="try again in a moment")
    if wish.address:
        _check_address(wish.address)
    managers = tuple(
        f"{node.address}:{HTTPS_PORT}" for node in context.state.nodes.all().values() if "manager" in node.roles
    )
    if cluster.vip:
        managers += (f"{cluster.vip.partition('/')[0]}:{HTTPS_PORT}",)
    text, kept = create_token(managers, cluster.ca_fingerprint, wish.role, context.clock(), wish.address)
    context.commit([context.state.tokens.put(kept.id, kept)], [context.state.tokens.unchanged(kept.id)])
    return {
        "id": kept.id,
        "token": text,
        "role": wish.role,
        "expires_at": kept.expires_at,
        "command": f"appliance join {text}{' --dial manager' if wish.address else ''}",
    }


def _check_address(address: str) -> None:
    try:
        ipaddress.IPv4Address(address)
    except ValueError as error:
        raise UsageError(f"{address!r} is no address of a host.", why="an IPv4 address is needed") from error
