"""How a host that holds a token becomes a node. The decision itself is `delivery/joining.py`."""

import msgspec

from appliance.api.call import Call, Route
from appliance.api.context import Context
from appliance.delivery.joining import JoinAnswer, JoinRequest


def routes(context: Context) -> list[Route]:
    def join(call: Call) -> object:
        return msgspec.to_builtins(context.join(call.data(JoinRequest)))

    return [
        Route(
            "POST",
            "/api/join",
            join,
            public=True,
            summary="Admit a host that has a token",
            body=JoinRequest,
            answers=JoinAnswer,
        )
    ]
