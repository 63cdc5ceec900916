"""Everything the overview page shows, as one value."""

from collections.abc import Mapping

import msgspec

from appliance.api.event_log import EventLog
from appliance.api.job_rows import job_rows
from appliance.api.rows import Row, SkewOf, cluster_status, instance_rows, service_rows, unmeasured
from appliance.store.state import State

NEWEST = 25
"""Events that the page shows."""


def overview(
    state: State,
    events: EventLog,
    version: str,
    leader: str,
    etcd: Mapping[str, str],
    skew_of: SkewOf = unmeasured,
    certificates: Row | None = None,
    store: Row | None = None,
) -> Row:
    """Newest events first; of a job only its last run. `etcd` as in `cluster_status`; `certificates`: a summary;
    `store` as `store_row`."""
    status = cluster_status(state, version, leader, etcd, skew_of)
    jobs = [{**row, "runs": row["runs"][-1:]} for row in job_rows(state)]
    return {
        "cluster": status["cluster"],
        "managers": status["managers"],
        "nodes": status["nodes"],
        "certificates": certificates,
        "store": store,
        "services": service_rows(state),
        "instances": instance_rows(state),
        "jobs": jobs,
        "events": msgspec.to_builtins(events.newest(NEWEST)),
    }
