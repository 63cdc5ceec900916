"""A job, which runs to completion, and the record of its runs.

Run N of the job ``shop/report`` is one instance or, with `parallelism`, several; their indices are the next free ones,
so that every run has instances of its own (``shop/report-0``, ``shop/report-1``, …).
"""

from typing import Literal

import msgspec

from appliance.model.container import Container

JobType = Literal["once", "normal"]
Outcome = Literal[
    "",  # it has not ended
    "succeeded",
    "failed",
    "cancelled",  # by a person, or by a newer run where `overlap` is ``replace``
    "skipped",  # never started: the run before had not ended (`overlap`: ``skip``), or it was missed
    "unknown",  # the node does not know any more how it ended; a `once` job is not repeated
]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """`once` is never run again by itself, `normal` again until exit code 0, at most `retries` times more.

    `schedule` is a cron line in `zone`, "" : when the service's rank is due, once for each definition. `timeout` in
    seconds ends a try (0 : none). `overlap`: what becomes of a run that is due while another has not ended. `missed`:
    whether one run makes up for those that were due while no manager ran. `keep`: ended runs that are remembered.
    """

    name: str
    type: JobType
    rank: int = 0
    container: Container
    schedule: str = ""
    zone: str = "UTC"
    retries: int = 6
    timeout: float = 0.0
    parallelism: int = 1
    overlap: Literal["skip", "allow", "replace"] = "skip"
    missed: Literal["skip", "run"] = "skip"
    keep: int = 5
    stop_grace: float = 10.0
    require: dict[str, tuple[str, ...]] = {}
    """Labels of the node, as in a deploy's placement."""


class JobPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a node needs to know to run one instance of a job by itself."""

    type: JobType
    retries: int = 0
    timeout: float = 0.0


class JobRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run, recorded before anything of it starts. Written by the orchestrator only.

    `digest` is that of the job's definition. `due`: the moment of the schedule, RFC 3339, "" for others. `ordinal`: the
    count of the wish by hand that it answers (`ServiceHead.runs`), 0 for others. `instances` are its instances' names.
    `tries`: of all instances together; `exit_code` of the last that ended, or of the one that failed the run.
    `waiting`: none of its instances exists yet, because the run that it replaces has not ended. `message`: why it ended
    as it did, or why it is being ended.
    """

    service: str
    job: str
    number: int
    revision: int
    digest: str
    reason: Literal["rank", "schedule", "hand"]
    created_at: str
    instances: tuple[str, ...]
    due: str = ""
    ordinal: int = 0
    outcome: Outcome = ""
    tries: int = 0
    exit_code: int | None = None
    started_at: str = ""
    finished_at: str = ""
    message: str = ""
    waiting: bool = False

    @property
    def name(self) -> str:
        """``shop/report/7``."""
        return f"{self.service}/{self.job}/{self.number}"


class JobState(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a job between its runs. Written by the orchestrator only.

    `last_due`: the newest moment of the schedule that was dealt with, RFC 3339; no moment up to it runs again.
    `schedule`: the line and the zone that it belongs to. `ordinal`: the newest wish by hand that was dealt with.
    """

    service: str
    job: str
    last_run: int = 0
    next_index: int = 0
    last_due: str = ""
    schedule: str = ""
    ordinal: int = 0
