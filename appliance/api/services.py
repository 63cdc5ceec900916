"""Services as the API shows and takes them."""

import hashlib

import msgspec

from appliance.api import control
from appliance.api.call import Call, Route
from appliance.api.compare import Comparison, compare_spec
from appliance.api.context import Context
from appliance.api.heads import current
from appliance.api.patch import Patch, patch
from appliance.api.progress import Changes, Progress, progress
from appliance.api.revisions import Accepted, Apply, apply, history, in_effect, roll_back
from appliance.api.rows import instance_rows, service_rows
from appliance.errors import NotFound
from appliance.model.service import Revision

LONGEST_WAIT = 30.0


class Rollback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`to`: a revision's number; 0 for the last one before the current that was complete."""

    to: int = 0


def routes(context: Context, changes: Changes) -> list[Route]:
    def apply_(call: Call) -> object:
        return apply(context, call.data(Apply), call.user)

    def compare(call: Call) -> object:
        return compare_spec(context, call.data(Apply))

    def listing(_: Call) -> object:
        return service_rows(context.state)

    def show(call: Call) -> object:
        return show_service(context, call.path["name"])

    def delete(call: Call) -> object:
        return control.delete(context, call.path["name"])

    def scale(call: Call) -> object:
        return control.scale(context, call.path["name"], call.data(control.Scale))

    def act(call: Call) -> object:
        return control.control(context, call.path["name"], call.path["action"])

    def history_(call: Call) -> object:
        head, _ = current(context, call.path["name"])
        return history(context.state, head)

    def revision(call: Call) -> object:
        return show_revision(context, call.path["name"], int(call.path["number"]))

    def roll_back_(call: Call) -> object:
        return roll_back(context, call.path["name"], call.data(Rollback).to, call.user)

    def patch_(call: Call) -> object:
        return patch(context, call.path["name"], call.data(Patch), call.user)

    def follow(call: Call) -> object:
        return _follow(context, changes, call)

    def rollout(call: Call) -> object:
        return show_rollout(context, call.path["name"])

    one = "/api/services/<name>"
    return [
        Route(
            "POST",
            "/api/services",
            apply_,
            summary="Make a service what its file says",
            body=Apply,
            answers=Accepted,
        ),
        Route(
            "POST",
            "/api/diff",
            compare,
            summary="What an apply would change and restart",
            body=Apply,
            answers=Comparison,
        ),
        Route("GET", "/api/services", listing, summary="All services"),
        Route("GET", one, show, summary="What is wanted of a service, its spec and its instances"),
        Route("DELETE", one, delete, summary="Stop and forget a service"),
        Route("POST", f"{one}/scale", scale, summary="Set or take back a count by hand", body=control.Scale),
        Route("POST", f"{one}/<action:re:stop|start|restart>", act, summary="Stop, start or restart a whole service"),
        Route("GET", f"{one}/history", history_, summary="All revisions that are kept"),
        Route("GET", f"{one}/revisions/<number:int>", revision, summary="One revision", answers=Revision),
        Route(
            "POST",
            f"{one}/rollback",
            roll_back_,
            summary="Make an earlier revision the current one",
            body=Rollback,
            answers=Accepted,
        ),
        Route("POST", f"{one}/patch", patch_, summary="Change single values", body=Patch, answers=Accepted),
        Route("GET", f"{one}/rollout", rollout, summary="How far the newest revision is"),
        Route("POST", f"{one}/rollout/<action:re:pause|resume>", act, summary="Pause or resume the rollout"),
        Route("GET", f"{one}/progress", follow, summary="Wait until a service is as wished"),
    ]


def show_service(context: Context, name: str) -> dict[str, object]:
    head, revision = current(context, name)
    return {
        **msgspec.to_builtins(head),
        "author": revision.author,
        "created_at": revision.created_at,
        "message": revision.message,
        "secrets": revision.secrets,
        "spec": msgspec.to_builtins(revision.spec),
        "virtual": {each.deploy: each.ip for _, each in context.state.virtual.below(f"{name}/")},
        "instances": instance_rows(context.state, name),
    }


def show_revision(context: Context, name: str, number: int) -> dict[str, object]:
    """One revision as it is kept, with the text that it was read from."""
    revision = context.state.revision(name, number)
    if revision is None:
        raise NotFound(f"{name} has no revision {number}.", next=f"see: appliance history {name}")
    found: dict[str, object] = msgspec.to_builtins(revision)
    return found


def show_rollout(context: Context, name: str) -> dict[str, object]:
    """`state` is "" while the orchestrator has not looked at the revision yet."""
    head, _ = current(context, name)
    rollout, effective = context.state.rollouts.get(name), in_effect(context.state, head)
    known = rollout if rollout and rollout.revision == head.revision else None
    return {
        "service": name,
        "revision": head.revision,
        "in_effect": effective.number if effective else head.revision,
        "previous": rollout.previous if rollout else 0,
        "state": known.state if known else "",
        "reason": known.reason if known else "",
        "started_at": known.started_at if known else "",
        "ended_at": known.ended_at if known else "",
        "paused": head.paused,
        "halted": head.halted,
    }


def _follow(context: Context, changes: Changes, call: Call) -> object:
    """Answers once the progress is no longer the one of tag `seen`, or is done, or the timeout is over."""
    name, seen = call.path["name"], call.query.get("seen", "")
    found = progress(context.state, name)

    def moved() -> bool:
        nonlocal found
        found = progress(context.state, name)
        return found.done or _tag(found) != seen

    changes.wait_until(moved, call.seconds("timeout", 0.0, LONGEST_WAIT))
    return {**msgspec.structs.asdict(found), "tag": _tag(found)}


def _tag(found: Progress) -> str:
    shown = hashlib.sha256(msgspec.json.encode((found.waiting, found.failed, found.in_effect))).hexdigest()[:12]
    return f"{found.revision}.{found.ready}.{found.wanted}.{shown}"
