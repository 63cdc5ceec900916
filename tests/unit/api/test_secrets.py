"""Secrets: values go in and never come out."""

import msgspec
import pytest

from appliance.errors import NotFound, Refused, UsageError
from appliance.model.secret import MOST_BYTES
from appliance.model.service import Revision, Service, ServiceHead
from appliance.security.secrets import plain_text
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.store import Put
from tests.unit.api.cluster_in_memory import NOW, InMemory


def _revision(cluster: InMemory, number: int, **secrets: int) -> None:
    """The service has this revision now."""
    spec = Service(name="shop", secrets=tuple(secrets))
    revision = Revision(service="shop", number=number, spec=spec, author="me", created_at=NOW, secrets=secrets)
    head = ServiceHead(service="shop", revision=number)
    cluster.write(Put(keys.revision_key("shop", number), encode(revision)), cluster.state.services.put("shop", head))


def _set(cluster: InMemory, value: str, name: str = "key") -> int:
    version: int = cluster.ask("POST", f"/api/secrets/shop/{name}", {"value": value})["version"]
    return version


def test_each_setting_makes_a_new_version_and_what_was_set_can_be_told_to_nodes(cluster: InMemory) -> None:
    assert [_set(cluster, "open"), _set(cluster, "sesame")] == [1, 2]
    seal = cluster.context.seal
    assert [plain_text(cluster.state, seal, "shop", "key", version) for version in (1, 2)] == ["open", "sesame"]


def test_no_answer_and_no_stored_value_shows_a_secret(cluster: InMemory) -> None:
    answer = cluster.ask("POST", "/api/secrets/shop/key", {"value": "sesame"})
    stored = b"".join(entry.value for entry in cluster.context.store.list(keys.ROOT).entries)
    assert b"sesame" not in stored + msgspec.json.encode([answer, cluster.ask("GET", "/api/secrets")])


def test_the_list_says_which_revisions_use_a_version(cluster: InMemory) -> None:
    _set(cluster, "a")
    _revision(cluster, 1, key=1)
    _set(cluster, "b")
    _revision(cluster, 2, key=2)
    _revision(cluster, 3, key=2)
    cluster.ask("POST", "/api/secrets/other/key", {"value": "c"})
    rows = cluster.ask("GET", "/api/secrets", service="shop")
    assert [(row["version"], row["newest"], row["used_by"]) for row in rows] == [(1, False, [1]), (2, True, [2, 3])]
    assert rows[0].keys() == {"service", "name", "version", "author", "created_at", "newest", "used_by"}
    assert len(cluster.ask("GET", "/api/secrets")) == 3


def test_what_the_current_revision_names_is_not_removed(cluster: InMemory) -> None:
    _set(cluster, "a")
    _revision(cluster, 1, key=1)
    with pytest.raises(Refused, match="current revision"):
        cluster.ask("DELETE", "/api/secrets/shop/key")
    _revision(cluster, 2)
    assert cluster.ask("DELETE", "/api/secrets/shop/key")["removed"]
    with pytest.raises(NotFound):
        cluster.ask("DELETE", "/api/secrets/shop/key")


def test_a_version_that_a_revision_names_never_becomes_another_value(cluster: InMemory) -> None:
    _set(cluster, "a")
    _revision(cluster, 1, key=1)
    _revision(cluster, 2)
    cluster.ask("DELETE", "/api/secrets/shop/key")
    assert _set(cluster, "b") == 2


@pytest.mark.parametrize("value", ["", "a\0b", "x" * (MOST_BYTES + 1), "é" * (MOST_BYTES // 2 + 1)])
def test_what_cannot_be_a_value_is_refused_without_being_shown(cluster: InMemory, value: str) -> None:
    with pytest.raises(UsageError) as refused:
        _set(cluster, value)
    assert not value or value not in "".join(refused.value.lines())


@pytest.mark.parametrize("name", ["Key", "a_b", "-a", "a" * 64])
def test_a_secret_needs_a_name_that_a_spec_can_have(cluster: InMemory, name: str) -> None:
    with pytest.raises(UsageError, match="is not a name"):
        _set(cluster, "a", name)


def test_the_appliance_itself_has_no_secrets(cluster: InMemory) -> None:
    with pytest.raises(Refused):
        cluster.ask("POST", "/api/secrets/system/key", {"value": "a"})
