"""What `up`, `join` and `down` decide before they change anything."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from appliance.cli import appliance, join, starting
from appliance.cli.up import checked_name
from appliance.delivery import node_files, pki
from appliance.delivery.install import install_release
from appliance.delivery.package import Package
from appliance.errors import ApplianceError, NotFound, Refused, UsageError
from appliance.host.layout import Layout
from appliance.host.process import write_pid_file
from appliance.model.node import Role
from appliance.security.ca import fingerprint, make_ca
from appliance.security.tokens import create_token, parse_token
from tests.unit.delivery.synthetic import make_package
from tests.unit.delivery.test_node_files import IDENTITY

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "root")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the command is run from."""
    path = make_package(tmp_path)
    monkeypatch.setenv("APPLIANCE_FILE", str(path))
    return path


def refusal(layout: Layout, *arguments: str) -> ApplianceError:
    result = CliRunner().invoke(appliance, [*arguments, "--root", str(layout.root)])
    assert isinstance(result.exception, ApplianceError), result.output
    return result.exception


def token(authority: bytes, role: Role = "agent") -> str:
    return create_token(("192.0.2.1:8443",), fingerprint(authority), role, 0.0)[0]


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "a b", "a/b", "ä", "a" * 64])
def test_a_name_that_cannot_be_part_of_a_domain_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        checked_name(name)


@pytest.mark.parametrize("name", ["a", "7", "web-1", "a" * 63])
def test_a_name_that_can(name: str) -> None:
    assert checked_name(name) == name


def test_the_default_name_is_one_that_can() -> None:
    assert checked_name(starting.default_name())


@pytest.mark.parametrize(
    ("role", "other", "said"), [("agent", "manager", "an agent"), ("manager", "agent", "a manager")]
)
def test_a_token_for_another_role_is_refused(layout: Layout, package: Path, role: Role, other: Role, said: str) -> None:
    refused = refusal(layout, "join", token(make_ca("lab", 0.0).certificate, role), "--role", other)
    assert refused.what == f"This token is for {said}." and f"--role {other}" in refused.next
    assert not layout.root.exists()


def test_what_is_no_token_is_wrong_usage(layout: Layout, package: Path) -> None:
    assert refusal(layout, "join", "APPL1.nonsense").exit_code == 2


def test_a_node_of_another_cluster_does_not_join(layout: Layout, package: Path) -> None:
    pki.write_authority(layout, make_ca("this", 0.0).certificate)
    node_files.write_identity(layout, IDENTITY)
    refused = refusal(layout, "join", token(make_ca("that", 0.0).certificate), "--yes")
    assert isinstance(refused, Refused) and "another cluster" in refused.what
    assert not layout.releases.exists()


def test_a_token_makes_no_manager_of_an_agent(layout: Layout, package: Path) -> None:
    authority = make_ca("this", 0.0).certificate
    pki.write_authority(layout, authority)
    node_files.write_identity(layout, IDENTITY)
    refused = refusal(layout, "join", token(authority, "manager"), "--yes")
    assert isinstance(refused, Refused) and "appliance node promote one" in refused.next
    assert not layout.releases.exists()


def test_the_token_that_let_a_manager_in_finishes_what_was_left(layout: Layout) -> None:
    authority = make_ca("this", 0.0).certificate
    pki.write_authority(layout, authority)
    parsed = parse_token(token(authority, "manager"))
    begun = replace(IDENTITY, joined_with=parsed.id)
    node_files.write_identity(layout, begun)
    assert join.existing(layout, parsed) == begun


def test_up_on_an_agent_is_refused(layout: Layout, package: Path) -> None:
    node_files.write_identity(layout, IDENTITY)
    refused = refusal(layout, "up", "--yes")
    assert isinstance(refused, Refused) and "appliance run" in refused.next
    assert not layout.releases.exists()


@pytest.mark.parametrize("option", [("--address", "10.0.0.9"), ("--name", "two"), ("--network", "10.1.0.0/16")])
def test_up_does_not_change_a_manager_into_another(layout: Layout, package: Path, option: tuple[str, str]) -> None:
    node_files.write_identity(layout, replace(IDENTITY, roles=("manager", "agent")))
    refused = refusal(layout, "up", "--yes", *option)
    assert isinstance(refused, Refused) and option[0] in refused.what
    assert not layout.releases.exists()


def test_a_damaged_file_is_refused_before_anything_is_changed(layout: Layout, package: Path) -> None:
    with package.open("r+b") as file:
        file.seek(-30, 2)
        file.write(b"\xff\xff")
    assert refusal(layout, "up", "--yes").kind == "PackageDamaged"
    assert not layout.opt.exists() and not layout.var.exists()


def test_only_one_at_a_time(layout: Layout, package: Path) -> None:
    with starting.starting(layout):
        assert "at work" in refusal(layout, "up", "--yes").what


def test_a_host_that_is_no_node_is_not_taken_down(layout: Layout, package: Path) -> None:
    assert isinstance(refusal(layout, "down", "--yes"), NotFound)


def test_another_release_is_not_installed_under_running_processes(layout: Layout, package: Path) -> None:
    other = package.with_name("other")
    other.write_bytes(b"another release")
    install_release(layout, other)
    write_pid_file(layout.run_pid, os.getpid())
    with Package.open() as opened, pytest.raises(Refused) as refused:
        starting.install(layout, opened)
    assert "appliance stop" in refused.value.next
    assert (layout.current / "appliance").read_bytes() == b"another release"


def test_the_first_sidecar_that_is_not_ready_is_what_a_start_waits_for() -> None:
    rows = [
        {"service": "system", "deploy": "etcd", "ready": True, "state": "running", "message": ""},
        {"service": "shop", "deploy": "web", "ready": False, "state": "backoff", "message": "it crashes"},
        {"service": "system", "deploy": "nginx", "ready": False, "state": "starting", "message": "port 8443 is taken"},
    ]
    assert starting.instance_trouble({"instances": rows}) == "nginx: starting (port 8443 is taken)"
    assert starting.instance_trouble({"instances": rows[:2]}) == "", (
        "what people deliver keeps no cluster from starting"
    )
    assert starting.instance_trouble({}) == ""
