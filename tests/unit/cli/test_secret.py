"""How a secret's value gets from a person to the manager; on the real API."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from appliance.api.server import ApiServer
from appliance.cli import secret
from appliance.errors import UsageError
from appliance.host.layout import Layout
from appliance.security.secrets import plain_text
from tests.unit.api.cluster_in_memory import InMemory, in_memory


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[InMemory]:
    """Answers on the admin socket below ``tmp_path``."""
    layout = Layout(tmp_path)
    with in_memory() as cluster:
        server = ApiServer(cluster.context, layout.admin_socket, layout.web_socket)
        server.start()
        yield cluster
        server.stop()


def _run(root: Path, *arguments: str, typed: str = "") -> Result:
    result = CliRunner().invoke(secret.command, [*arguments, "--root", str(root)], input=typed)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize(
    ("typed", "value"), [("sesame", "sesame"), ("sesame\n", "sesame"), ("two\nlines\n\n", "two\nlines\n")]
)
def test_the_line_end_that_echo_adds_is_left_out(manager: InMemory, tmp_path: Path, typed: str, value: str) -> None:
    result = _run(tmp_path, "set", "shop/key", typed=typed)
    assert plain_text(manager.state, manager.context.seal, "shop", "key", 1) == value
    assert "sesame" not in result.output and "next `appliance apply` of shop" in result.output


def test_a_file_is_taken_as_it_is(manager: InMemory, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sesame\n")
    _run(tmp_path, "set", "shop/key", "--from-file", str(tmp_path / "key"))
    assert plain_text(manager.state, manager.context.seal, "shop", "key", 1) == "sesame\n"


def test_secrets_are_listed_and_removed_without_their_values(manager: InMemory, tmp_path: Path) -> None:
    _run(tmp_path, "set", "shop/key", typed="sesame")
    listed = _run(tmp_path, "ls", "shop").output
    assert "shop/key" in listed and "sesame" not in listed
    _run(tmp_path, "rm", "shop/key")
    assert "There are no secrets." in _run(tmp_path, "ls").output


@pytest.mark.parametrize("name", ["shop", "shop/", "/key", "a/b/c"])
def test_a_secret_is_named_with_its_service(name: str) -> None:
    result = CliRunner().invoke(secret.command, ["rm", name])
    assert isinstance(result.exception, UsageError)


def test_what_is_not_text_is_refused_without_being_shown() -> None:
    with pytest.raises(UsageError, match="is not text") as refused:
        secret.as_text(b"sesame\xff", "shop/key")
    assert "sesame" not in str(refused.value.lines())
