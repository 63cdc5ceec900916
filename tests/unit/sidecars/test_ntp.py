"""chrony's configuration, whole."""

from appliance.sidecars.ntp import following, ntp, serving
from appliance.sidecars.sidecar import Sidecar


def made(*, sets_clock: bool = True, text: str = "port 0\n") -> Sidecar:
    return ntp(number=3, text=text, config="/config", data="/data", sets_clock=sets_clock)


def test_a_managers_node_follows_the_site_and_serves_the_nodes_even_when_it_follows_nobody() -> None:
    assert serving(allowed=["10.0.0.2", "10.0.0.3"], site=["ntp.site"], managers=["10.0.0.2"]) == (
        "user root\n"
        "cmdport 0\n"
        "driftfile /data/drift\n"
        "makestep 1 3\n"
        "server ntp.site iburst\n"
        "server 10.0.0.2\n"
        "local stratum 10 orphan\n"
        "allow 10.0.0.2\n"
        "allow 10.0.0.3\n"
    )


def test_another_node_opens_no_port_and_follows_the_managers_or_else_the_link() -> None:
    assert following(managers=["10.0.0.1"]) == (
        "user root\n"
        "cmdport 0\n"
        "driftfile /data/drift\n"
        "makestep 1 3\n"
        "port 0\n"
        "server 10.0.0.1 iburst prefer\n"
        "refclock SOCK /data/link.sock refid LINK poll 4 precision 1e-3 delay 0.1\n"
    )


def test_a_node_that_managers_dial_asks_nobody() -> None:
    assert "server" not in following(managers=())


def test_only_one_that_sets_the_clock_is_allowed_to() -> None:
    (sets,), (measures,) = made().assignment.containers, made(sets_clock=False).assignment.containers
    assert (sets.capabilities, sets.spec.command) == (("SYS_TIME",), ("-d", "-f", "/config/chrony.conf"))
    assert (measures.capabilities, measures.spec.command) == ((), ("-d", "-f", "/config/chrony.conf", "-x"))


def test_another_configuration_is_another_container() -> None:
    assert made().assignment == made().assignment
    assert made().assignment != made(text="port 0\nserver 10.0.0.1\n").assignment
