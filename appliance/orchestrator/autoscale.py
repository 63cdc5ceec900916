"""How many replicas a deploy should have by what its instances use. Pure.

The rule is the usual one (Kubernetes' HorizontalPodAutoscaler): the count that would bring the average to the target,
for the most demanding of the signals, and no change within a tenth of it. More are started only when more were wanted
all through `up_after`, fewer when fewer were wanted all through `down_after`; then the mildest of those wishes counts.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from appliance.model.service import Autoscale, Deploy
from appliance.model.usage import InstanceUsage

TOLERANCE = 0.1
"""A deviation of the average from its target that is not worth a change."""


@dataclass(frozen=True)
class Wish:
    """What one measurement asked for; `at` is in seconds of the caller's clock."""

    at: float
    replicas: int
    reason: str


def wish(deploy: Deploy, current: int, usages: Sequence[InstanceUsage], at: float) -> Wish | None:
    """None when no instance has been measured, or the deploy is not scaled by itself."""
    rule = deploy.autoscale
    if rule is None or not usages or not current:
        return None
    signals = list(_signals(deploy, rule, usages))
    if not signals:
        return None
    ratio, reason = max(signals)
    wanted = current if abs(ratio - 1.0) <= TOLERANCE else math.ceil(round(current * ratio, 6))
    return Wish(at, min(max(wanted, rule.least), rule.most), reason)


def _signals(deploy: Deploy, rule: Autoscale, usages: Sequence[InstanceUsage]) -> Iterable[tuple[float, str]]:
    """(use by target, sentence) of each signal that the rule names."""
    resources = [container.resources for container in deploy.containers.values()]
    cpu, memory = sum(each.cpu for each in resources), sum(each.memory for each in resources)
    if rule.cpu and cpu:
        share = 100 * _mean(usage.cpu for usage in usages) / cpu
        yield share / rule.cpu, f"cpu is at {share:.0f} % of what is promised, the target is {rule.cpu} %"
    if rule.memory and memory:
        share = 100 * _mean(usage.memory for usage in usages) / memory
        yield share / rule.memory, f"memory is at {share:.0f} % of what is promised, the target is {rule.memory} %"
    numbers = [usage.metric for usage in usages if usage.metric is not None]
    if rule.metric is not None and numbers:
        mean = _mean(numbers)
        yield mean / rule.metric.target, f"{rule.metric.query} is {mean:g}, the target is {rule.metric.target:g}"


def _mean(numbers: Iterable[float]) -> float:
    values = list(numbers)
    return sum(values) / len(values)


def kept(wishes: Sequence[Wish], rule: Autoscale, now: float) -> tuple[Wish, ...]:
    """The wishes that later decisions still need: those of the longer window, and the one just before it."""
    begin = now - max(rule.up_after, rule.down_after)
    older = [each for each in wishes if each.at < begin]
    return (*older[-1:], *(each for each in wishes if each.at >= begin))


def settled(wishes: Sequence[Wish], rule: Autoscale, current: int, now: float) -> Wish | None:
    """The wish to follow now; None to leave the count as it is. `wishes` are in the order of time."""
    if not wishes:
        return None
    if not rule.least <= current <= rule.most:
        bound = min(max(current, rule.least), rule.most)
        return Wish(now, bound, f"the bounds are {rule.least} and {rule.most}")
    more = _throughout(wishes, now - rule.up_after)
    if more and all(each.replicas > current for each in more):
        return min(more, key=lambda each: each.replicas)
    fewer = _throughout(wishes, now - rule.down_after)
    if fewer and all(each.replicas < current for each in fewer):
        return max(fewer, key=lambda each: each.replicas)
    return None


def _throughout(wishes: Sequence[Wish], begin: float) -> list[Wish]:
    """Wishes since `begin`; none when nothing is known about its first moment."""
    if not any(each.at <= begin for each in wishes):
        return []
    return [each for each in wishes if each.at >= begin]
