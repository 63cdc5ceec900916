"""Which revisions of a service, and which versions of its secrets, nobody needs any more. Pure."""

from collections.abc import Iterator

from appliance.orchestrator.decisions import ForgetHistory
from appliance.orchestrator.snapshot import Snapshot
from appliance.store.keys import secret_name

KEPT_REVISIONS = 20


def forgettable(seen: Snapshot) -> Iterator[ForgetHistory]:
    """The newest revisions stay, and all that something still refers to."""
    kept = set(sorted(seen.revisions)[-KEPT_REVISIONS:]) | _in_use(seen)
    revisions = tuple(number for number in sorted(seen.revisions) if number not in kept)
    named = {
        secret_name(seen.head.service, name, version)
        for number in kept & seen.revisions.keys()
        for name, version in seen.revisions[number].secrets.items()
    }
    newest = {name.rpartition("/")[0]: name for name in seen.secrets}
    secrets = tuple(name for name in seen.secrets if name not in named and name not in newest.values())
    if revisions or secrets:
        yield ForgetHistory(revisions, secrets)


def _in_use(seen: Snapshot) -> set[int]:
    known = seen.rollout
    return {
        seen.head.revision,
        *((known.revision, known.previous) if known else ()),
        *(instance.revision for instance in seen.instances.values()),
    }
