"""Probes and lifecycle hooks of a container."""

from appliance.spec.converted import compact
from appliance.spec.foreign import Part
from appliance.spec.foreign_amounts import seconds

_PROBES = {"startupProbe": "start", "livenessProbe": "live", "readinessProbe": "ready"}
_PROBE = {"terminationGracePeriodSeconds": "every stop takes the deploy's stop_grace"}
_HTTP = {"host": "the instance itself is asked", "httpHeaders": "a probe sends no headers of one's own"}
_LIFECYCLE = {"stopSignal": "write stop_signal"}
_HOOK = {"httpGet": "run a program that asks", "tcpSocket": "run a program that connects", "sleep": "run: [sleep, N]"}


def health(container: Part) -> dict[str, object]:
    return {ours: _probe(container.part(theirs, _PROBE)) for theirs, ours in _PROBES.items() if theirs in container}


def after_start(container: Part) -> list[dict[str, object]]:
    return _hook(container, "postStart")


def before_stop(container: Part) -> list[dict[str, object]]:
    return _hook(container, "preStop")


def _probe(probe: Part) -> dict[str, object]:
    return {**_question(probe), **_pace(probe)}


def _question(probe: Part) -> dict[str, object]:
    if "exec" in probe:
        return {"exec": probe.part("exec").texts("command")}
    if "httpGet" in probe:
        http = probe.part("httpGet", _HTTP)
        if http.text("scheme", "HTTP") != "HTTP":
            http.refuse("an http probe speaks plain HTTP; use tcp or exec", "scheme")
        return {"http": http.text("path", "/"), "port": _port(http)}
    if "tcpSocket" in probe:
        return {"tcp": _port(probe.part("tcpSocket", _HTTP))}
    if "grpc" in probe:
        grpc = probe.part("grpc")
        return {"grpc": grpc.text("service"), "port": _port(grpc)}
    probe.refuse("a probe needs exec, httpGet, tcpSocket or grpc")
    return {"tcp": 1}


def _port(part: Part) -> object:
    text = part.text("port")
    return int(text) if text.isdecimal() else text


def _pace(probe: Part) -> dict[str, object]:
    """Only what differs from our defaults: every 10s, three failures, one success. Theirs for the timeout is 1s."""
    period, delay = probe.whole("periodSeconds"), probe.whole("initialDelaySeconds")
    failures, successes = probe.whole("failureThreshold"), probe.whole("successThreshold")
    return compact(
        {
            "every": seconds(period) if period and period != 10 else None,
            "timeout": seconds(probe.whole("timeoutSeconds") or 1),
            "failures": failures if failures != 3 else None,
            "successes": successes if successes != 1 else None,
            "initial_delay": seconds(delay) if delay else None,
        }
    )


def _hook(container: Part, moment: str) -> list[dict[str, object]]:
    hook = container.part("lifecycle", _LIFECYCLE).part(moment, _HOOK)
    if "exec" not in hook:
        return []
    return [{"run": hook.part("exec").texts("command"), "container": container.text("name")}]
