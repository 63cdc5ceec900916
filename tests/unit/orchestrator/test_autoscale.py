"""How many replicas the use of the instances asks for."""

import pytest

from appliance.model.container import Container, Resources
from appliance.model.service import Autoscale, Deploy, Metric
from appliance.model.usage import InstanceUsage
from appliance.orchestrator.autoscale import Wish, kept, settled, wish

RULE = Autoscale(least=2, most=10, cpu=50, up_after=30, down_after=300)


def deploy(rule: Autoscale = RULE) -> Deploy:
    main = Container(image="a", resources=Resources(cpu=1000, memory=1000))
    return Deploy(name="web", containers={"main": main}, autoscale=rule)


def used(*cpu: int, memory: int = 0, metric: float | None = None) -> list[InstanceUsage]:
    return [InstanceUsage(instance=f"s/web-{n}", cpu=each, memory=memory, metric=metric) for n, each in enumerate(cpu)]


def wishes(*pairs: tuple[float, int]) -> list[Wish]:
    return [Wish(at, replicas, "") for at, replicas in pairs]


@pytest.mark.parametrize(
    ("current", "cpu", "replicas"),
    [
        (4, (1000, 1000, 1000, 1000), 8),
        (4, (500, 500, 500, 500), 4),
        (4, (540, 540, 540, 540), 4),  # within a tenth
        (4, (100, 100, 100, 100), 2),  # 1 would do; the least is 2
        (8, (1000,) * 8, 10),  # 16 would be needed; the most is 10
        (3, (900, 600), 5),  # the third has not been measured
    ],
)
def test_the_average_is_brought_to_the_target(current: int, cpu: tuple[int, ...], replicas: int) -> None:
    found = wish(deploy(), current, used(*cpu), 0.0)
    assert found is not None
    assert found.replicas == replicas


def test_the_most_demanding_signal_counts_and_is_named() -> None:
    rule = Autoscale(least=1, most=10, cpu=50, memory=50, metric=Metric(query="queue", target=10, port=9000))
    found = wish(deploy(rule), 2, used(500, 500, memory=600, metric=20), 0.0)
    assert found is not None
    assert (found.replicas, found.reason) == (4, "queue is 20, the target is 10")


def test_without_a_measurement_nothing_is_wished() -> None:
    assert wish(deploy(), 3, [], 0.0) is None


def test_more_are_started_once_more_were_wanted_all_through_the_window() -> None:
    assert settled(wishes((0, 6), (10, 8), (20, 5)), RULE, 4, 20) is None
    found = settled(wishes((0, 6), (10, 8), (20, 5), (30, 7)), RULE, 4, 30)
    assert found is not None
    assert found.replicas == 5


def test_one_lull_keeps_the_count() -> None:
    assert settled(wishes((0, 6), (10, 4), (20, 8), (30, 8)), RULE, 4, 30) is None


def test_fewer_run_only_after_the_longer_window() -> None:
    short = wishes(*((float(at), 2) for at in range(0, 291, 10)))
    assert settled(short, RULE, 6, 290) is None
    found = settled([*short, *wishes((300, 3))], RULE, 6, 300)
    assert found is not None
    assert found.replicas == 3


def test_a_count_outside_the_bounds_is_brought_inside_at_once() -> None:
    found = settled(wishes((0, 2)), RULE, 1, 0)
    assert found is not None
    assert found.replicas == 2


def test_only_the_wishes_of_the_longest_window_are_kept() -> None:
    many = wishes(*((float(at), 2) for at in range(0, 1000, 10)))
    remembered = kept(many, RULE, 1000)
    assert (remembered[0].at, len(remembered)) == (690, 31)
