import hashlib

from tests.unit.api.cluster_in_memory import InMemory


def test_the_copy_is_told_by_key_revision_and_digest(cluster: InMemory) -> None:
    entry = cluster.context.store.get("/appliance/cluster")
    assert entry is not None
    answer = cluster.ask("GET", "/api/copy")
    assert answer["entries"]["/appliance/cluster"] == [entry.revision, hashlib.sha256(entry.value).hexdigest()]
    assert answer["revision"] >= entry.revision


def test_the_copy_shows_no_password(cluster: InMemory) -> None:
    assert "password" not in str(cluster.ask("GET", "/api/copy"))
