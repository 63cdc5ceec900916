"""What is forgotten of a service's history."""

from appliance.orchestrator.decisions import ForgetHistory
from tests.unit.orchestrator.stage import Stage, deploy, spec


def test_the_newest_twenty_revisions_stay_and_those_in_use() -> None:
    stage = Stage()
    stage.apply(spec(deploy("db"), deploy("web")))
    stage.settle()
    for number in range(2, 31):
        stage.apply(spec(deploy("db"), deploy("web", image=f"a:{number}")))
    stage.settle()
    assert stage.revision_of("s/db-0", "s/web-0") == [1, 30]
    assert sorted(stage.revisions) == [1, *range(11, 31)]


def test_versions_of_secrets_go_with_the_last_revision_that_names_them_the_newest_never() -> None:
    stage = Stage()
    stage.apply(spec(deploy("web")), secrets={"key": 2})
    stage.secrets = tuple(f"s/{name}/{version:08d}" for name, version in (("key", 1), ("key", 2), ("key", 3), ("x", 1)))
    forgotten = [each for each in stage.step() if isinstance(each, ForgetHistory)]
    assert forgotten == [ForgetHistory((), ("s/key/00000001",))]
