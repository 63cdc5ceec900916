"""Another pair of authorities for the cluster: begun and ended by a person, carried out by the managers."""

import msgspec

from appliance.api.call import Call, Route
from appliance.api.context import Context
from appliance.api.rows import Row
from appliance.delivery.rotating import SEALED, missing_now
from appliance.errors import Refused, Unavailable
from appliance.model.moment import text_of_seconds
from appliance.model.rotation import NewKeys, Rotation
from appliance.security.ca import fingerprint, make_ca
from appliance.security.ssh import make_ssh_key
from appliance.store import keys
from appliance.store.store import Expect


class Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`finish`: forget the old authorities, instead of beginning."""

    finish: bool = False


def routes(context: Context) -> list[Route]:
    def show(_: Call) -> object:
        return rotation_row(context)

    def rotate(call: Call) -> object:
        if call.data(Wish).finish:
            finish(context)
        else:
            begin(context)
        return rotation_row(context)

    address = "/api/certificates/rotation"
    return [
        Route("GET", address, show, summary="How far a change of the authorities is"),
        Route("POST", address, rotate, summary="Begin or end a change of the authorities", body=Wish),
    ]


def rotation_row(context: Context) -> Row:
    """`step` is "" where none is under way; `waits_for`: sentences; `tokens`: ids that become worthless by it."""
    rotation = context.state.rotation()
    if rotation is None:
        return {"step": "", "since": "", "waits_for": [], "tokens": []}
    spreading = rotation.step == "spreading"
    return {
        "step": rotation.step,
        "since": rotation.started_at,
        "waits_for": missing_now(context.state, rotation),
        "tokens": [token.id for token in context.state.tokens.all().values() if not token.used_by] if spreading else [],
    }


def begin(context: Context) -> None:
    """Goes on with one that is under way."""
    cluster = context.state.cluster()
    if cluster is None:
        raise Unavailable("The cluster is still being set up.", next="try again in a moment")
    if context.state.rotation() is not None:
        return
    authority, (link, public) = make_ca(cluster.name, context.clock()), make_ssh_key()
    new = msgspec.json.encode(NewKeys(ca=authority.key.decode(), link=link))
    rotation = Rotation(
        step="spreading",
        started_at=text_of_seconds(context.clock(), "seconds"),
        ca=authority.certificate.decode(),
        fingerprint=fingerprint(authority.certificate),
        link=public.strip(),
        sealed=context.seal.seal(new, SEALED),
    )
    context.commit([context.state.rotation_cell.put(rotation)], [Expect(keys.ROTATION, 0)])


def finish(context: Context) -> None:
    """Refused while somebody still needs the old authorities."""
    cell = context.state.rotation_cell
    expect, rotation = cell.unchanged(), cell.get()
    if rotation is None:
        raise Refused("No change of the authorities is under way.", next="begin one: appliance certificate rotate")
    if rotation.step == "dropping":
        return
    waits_for = missing_now(context.state, rotation)
    if rotation.step == "spreading" or waits_for:
        raise Refused(
            "The old authorities are still needed.",
            why="; ".join(waits_for) or "the new ones do not sign yet",
            next="bring those nodes back, or remove them: appliance node rm NODE; then run it again",
            page="certificates#new-authorities",
        )
    dropping = msgspec.structs.replace(rotation, step="dropping")
    context.commit([cell.put(dropping)], [expect])
