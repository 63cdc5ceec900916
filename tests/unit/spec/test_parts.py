"""Variables, amounts and differences."""

import pytest

from appliance.model.container import Container
from appliance.model.service import Deploy, Service
from appliance.spec.diff import diff
from appliance.spec.filling import put_in
from appliance.spec.quantities import cpu, duration, size


def test_a_doubled_dollar_is_a_literal_one() -> None:
    assert put_in("${a} $${a} $$(date) $HOME", {"a": "1"}.__getitem__) == "1 ${a} $(date) $HOME"


def test_amounts_are_read_as_people_write_them() -> None:
    assert [cpu("500m"), cpu(2), cpu("0.5")] == [500, 2000, 500]
    assert [size("512Mi"), size("1G"), size(7)] == [2**29, 10**9, 7]
    assert [duration("500ms"), duration("5m"), duration(3)] == [0.5, 300.0, 3.0]


@pytest.mark.parametrize("wrong", ["", "-1", "five", True, None, "1Xi"])
def test_what_is_no_amount_is_refused(wrong: object) -> None:
    for read in (cpu, size, duration):
        with pytest.raises(ValueError, match="not a"):
            read(wrong)


def service(image: str, *names: str) -> Service:
    return Service(name="s", deploys={n: Deploy(name=n, containers={"main": Container(image=image)}) for n in names})


def test_a_difference_is_named_by_its_path() -> None:
    assert diff(service("a:1", "web"), service("a:2", "web")) == [("deploys.web.containers.main.image", "a:1", "a:2")]


def test_a_new_deploy_is_one_difference() -> None:
    ((path, old, _),) = diff(service("a:1", "web"), service("a:1", "web", "db"))
    assert (path, old) == ("deploys.db", None)


def test_equal_services_have_no_difference() -> None:
    assert diff(service("a:1", "web"), service("a:1", "web")) == []
