"""Backups: what a file says of itself, how often they are made, and how it last went on a manager."""

from typing import Literal

import msgspec

BackupMaker = Literal["schedule", "hand"]


class BackupHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What can be read of a backup without its key, and cannot be changed without being noticed.

    `node` is the manager that made it, whose place a restore takes. `revision` is the store's. `key_id` says which
    recovery key opens it, `salt` is its own.
    """

    cluster: str
    cluster_name: str
    node: str
    node_name: str
    made_at: str
    release: str
    revision: int
    by: BackupMaker
    key_id: str
    salt: bytes


class BackupPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How often every manager makes a backup and how many of those it keeps; times in seconds, 0 : never.

    `folder`: an absolute path on the managers' hosts where each backup is put as well, "" for none.
    """

    every: float = 86_400.0
    keep: int = 7
    folder: str = ""
    rehearse: float = 7 * 86_400.0


class BackupStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How backups fare on one manager, `node`. Each trouble is a sentence, "" for none.

    `made_at` and `name` are of the newest backup that the schedule made; `rehearsed` says what the newest rehearsal
    found.
    """

    node: str
    made_at: str = ""
    name: str = ""
    trouble: str = ""
    rehearsed_at: str = ""
    rehearsed: str = ""
    rehearsal_trouble: str = ""
