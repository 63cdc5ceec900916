"""`appliance convert`, and how `apply` takes a Compose file."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from appliance.cli import appliance
from appliance.cli.apply import wish_of
from appliance.cli.foreign import kind_of
from appliance.errors import SpecInvalid, UsageError

COMPOSE = "services:\n  web:\n    image: shop/web:${TAG:-1}\n    restart: always\n"
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: main, image: a}]}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "My_Shop").mkdir()
    return tmp_path / "My_Shop"


def run(*arguments: str | Path, text: str = "") -> Result:
    return CliRunner().invoke(appliance, ["convert", *map(str, arguments)], input=text)


def test_the_service_goes_to_standard_output_and_what_is_different_to_standard_error(folder: Path) -> None:
    (folder / "compose.yaml").write_text(COMPOSE + "    init: true\n")
    result = run(folder / "compose.yaml")
    assert result.exit_code == 0
    assert result.stdout.startswith("service: my-shop\n")
    assert f"changed: {folder}/compose.yaml:5: services.web.init: a container gets no extra" in result.stderr


def test_what_is_left_out_is_a_refusal_unless_one_says_so(folder: Path) -> None:
    (folder / "compose.yaml").write_text(COMPOSE + "    pid: host\n")
    result = run(folder / "compose.yaml", "--name", "x")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (3, "service: x")
    assert "left out" in result.stderr
    assert run(folder / "compose.yaml", "--ignore-unsupported").exit_code == 0


def test_what_apply_would_refuse_is_told(folder: Path) -> None:
    (folder / "compose.yaml").write_text(COMPOSE + "    cap_add: ['not one']\n")
    result = run(folder / "compose.yaml", "--ignore-unsupported")
    assert result.exit_code == 3
    assert "wrong: the output:" in result.stderr


def test_variables_come_from_the_file_beside_and_the_environment_wins(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "compose.yaml").write_text(COMPOSE)
    (folder / ".env").write_text("TAG=2\n")
    assert "shop/web:2" in run(folder / "compose.yaml").stdout
    monkeypatch.setenv("TAG", "3")
    assert "shop/web:3" in run(folder / "compose.yaml").stdout


def test_manifests_in_several_files_make_one_service(folder: Path) -> None:
    (folder / "a.yaml").write_text(POD)
    (folder / "b.yaml").write_text(POD.replace("name: web", "name: db"))
    text = run(folder / "a.yaml", folder / "b.yaml").stdout
    assert "service: my-shop" in text
    assert "  web:" in text
    assert "  db:" in text
    assert "service: shop" in run("-", "--name", "shop", text=POD).stdout


@pytest.mark.parametrize("text", ["service: shop\ndeploys: {}\n", "hello"])
def test_what_needs_no_conversion_is_wrong_usage(folder: Path, text: str) -> None:
    (folder / "a.yaml").write_text(text)
    assert isinstance(run(folder / "a.yaml").exception, UsageError)


def test_two_compose_files_are_not_one_service(folder: Path) -> None:
    (folder / "a.yaml").write_text(COMPOSE)
    (folder / "b.yaml").write_text(COMPOSE)
    assert isinstance(run(folder / "a.yaml", folder / "b.yaml").exception, UsageError)


def test_apply_takes_a_compose_file_as_the_service_that_it_makes(folder: Path) -> None:
    (folder / "compose.yaml").write_text(COMPOSE)
    wish = wish_of(folder / "compose.yaml", ())
    assert wish["text"].startswith("service: my-shop\n")
    assert wish["file"] == f"{folder}/compose.yaml (converted)"


def test_apply_refuses_with_all_that_is_not_supported(folder: Path) -> None:
    (folder / "compose.yaml").write_text(COMPOSE + "    pid: host\n    ulimits: {}\n")
    with pytest.raises(SpecInvalid) as caught:
        wish_of(folder / "compose.yaml", ())
    assert [problem.line for problem in caught.value.problems] == [5, 6]


def test_apply_refuses_manifests_and_says_what_to_do(folder: Path) -> None:
    (folder / "pod.yaml").write_text(POD)
    with pytest.raises(UsageError) as caught:
        wish_of(folder / "pod.yaml", ())
    assert "appliance convert" in caught.value.next


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("# x\nservices:\n", "compose"),
        ("service: a\nservices: b\n", ""),
        ("service: a\ndeploys: {x: {services: 1}}\n", ""),
        ("---\napiVersion: v1\n", "kubernetes"),
        ('{\n  "apiVersion": "v1"', "kubernetes"),
    ],
)
def test_the_format_is_told_by_the_first_keys(text: str, kind: str) -> None:
    assert kind_of(text) == kind
