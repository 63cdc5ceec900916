"""What keeps a restored cluster from going on, and a person's word that it may."""

import msgspec

from appliance.api.backups import insist_on_admin
from appliance.api.call import Call, Route
from appliance.api.context import Context
from appliance.link.adoption import Difference


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """`held`: the cluster was restored and orders nothing yet. `unheard`: nodes that have not been heard since;
    `differences`: what runs and would end, move or be made anew."""

    held: bool
    unheard: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()


def routes(context: Context) -> list[Route]:
    adoption = context.adoption

    def look(_: Call) -> object:
        if not adoption.held():
            return Held(held=False)
        return Held(held=True, unheard=tuple(adoption.unheard()), differences=tuple(adoption.differences()))

    def adopt(call: Call) -> object:
        insist_on_admin(context, call)
        adoption.adopt()
        return Held(held=False)

    return [
        Route("GET", "/api/adoption", look, summary="What a restored cluster waits for", answers=Held),
        Route("POST", "/api/adoption", adopt, summary="Let a restored cluster go on", answers=Held),
    ]
