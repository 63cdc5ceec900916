"""Backups of this manager, for administrators, and the plan that all managers follow."""

from pathlib import Path

import msgspec

from appliance.api.call import Answer, Call, Route
from appliance.api.context import Context
from appliance.api.rows import backup_rows
from appliance.delivery import backup_folder
from appliance.delivery.backup_file import read_header
from appliance.delivery.backups import row_of
from appliance.errors import NotPermitted, UsageError
from appliance.model.backup import BackupPlan
from appliance.model.cluster import User

SHORTEST = 60.0
"""Seconds between two backups by the plan."""
MOST_KEPT = 1000


class BackupRow(msgspec.Struct, frozen=True, kw_only=True):
    """A backup on the manager that answers. `size` in bytes; the rest as in its header."""

    name: str
    size: int
    cluster: str
    cluster_name: str
    node: str
    node_name: str
    made_at: str
    release: str
    revision: int
    by: str
    key_id: str


class PlanChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays. Seconds, 0 : never."""

    every: float | None = None
    keep: int | None = None
    folder: str | None = None
    rehearse: float | None = None


def routes(context: Context) -> list[Route]:
    backups = context.backups

    def listing(call: Call) -> object:
        insist_on_admin(context, call)
        return {
            "plan": msgspec.to_builtins(context.state.backup_plan()),
            "managers": backup_rows(context.state),
            "backups": backups.rows(),
        }

    def create(call: Call) -> object:
        insist_on_admin(context, call)
        path = backups.make("hand")
        return row_of(path, read_header(path))

    def download(call: Call) -> object:
        insist_on_admin(context, call)
        path = backup_folder.find(backups.folder, call.path["name"])
        named = ("Content-Disposition", f'attachment; filename="{path.name}"')
        return Answer(path.read_bytes(), (named,), content_type="application/octet-stream")

    def remove(call: Call) -> object:
        insist_on_admin(context, call)
        path = backup_folder.find(backups.folder, call.path["name"])
        backup_folder.remove(path)
        return {"name": path.name, "removed": True}

    def plan(call: Call) -> object:
        insist_on_admin(context, call)
        return msgspec.to_builtins(change_plan(context, call.data(PlanChange)))

    return [
        Route("GET", "/api/backups", listing, summary="Backups of this manager, and how they fare on all"),
        Route("POST", "/api/backups", create, summary="Make a backup", answers=BackupRow),
        Route("GET", "/api/backups/<name>", download, summary="Fetch a backup (the encrypted file)"),
        Route("DELETE", "/api/backups/<name>", remove, summary="Remove a backup"),
        Route(
            "POST", "/api/backup-plan", plan, summary="Say when backups are made", body=PlanChange, answers=BackupPlan
        ),
    ]


def insist_on_admin(context: Context, call: Call) -> None:
    """A backup holds every key of the cluster. Raises NotPermitted."""
    user = context.state.users.get(call.user) or User(name=call.user, password="", roles=(), created_at="")
    if call.user != "root" and "admin" not in user.roles:
        raise NotPermitted("Only administrators may do this.", page="security")


def change_plan(context: Context, change: PlanChange) -> BackupPlan:
    """Raises UsageError for a plan that cannot be followed."""
    cell = context.state.backup_plan_cell
    expect, before = cell.unchanged(), context.state.backup_plan()
    given = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
    plan = msgspec.structs.replace(before, **given)
    if any(seconds and not seconds >= SHORTEST for seconds in (plan.every, plan.rehearse)):
        raise UsageError(f"Backups cannot be made more often than every {SHORTEST:g} s.", next="0 : never")
    if not 1 <= plan.keep <= MOST_KEPT:
        raise UsageError(f"Between 1 and {MOST_KEPT} backups can be kept.")
    if plan.folder and not Path(plan.folder).is_absolute():
        raise UsageError(f"{plan.folder!r} is no absolute path.", next="name the folder from / on")
    context.commit([cell.put(plan)], [expect])
    return plan
