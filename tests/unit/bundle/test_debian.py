"""What is asked of Debian, and where it is asked."""

import pytest

from bundle import debian
from bundle.debian import Wanted
from bundle.workshop import BuildFailed

RECORDS = {
    "app": {"Depends": "lib (>= 1.2), setup | other, libc6:any", "Pre-Depends": "init"},
    "lib": {"Depends": "libc6"},
    "libc6": {},
    "setup": {"Depends": "perl"},
    "perl": {},
    "init": {},
    "mailer": {"Provides": "mail-agent (= 2)"},
}


def test_a_closure_follows_depends_and_pre_depends() -> None:
    assert debian.reachable(RECORDS, Wanted(("app",))) == {"app", "lib", "libc6", "setup", "perl", "init"}


def test_what_only_a_left_out_package_needs_is_left_out_too() -> None:
    assert debian.reachable(RECORDS, Wanted(("app",), ("setup", "init"))) == {"app", "lib", "libc6"}


def test_a_provided_name_leads_to_its_provider() -> None:
    assert debian.reachable(RECORDS, Wanted(("mail-agent",))) == {"mailer"}


def test_continuation_lines_belong_to_their_field() -> None:
    assert debian.parse_record("Package: a\nDepends: b,\n c\n# no\n") == {"Package": "a", "Depends": "b,\nc"}


def test_the_mirror_is_read_from_one_line_sources(tmp_path_factory: pytest.TempPathFactory) -> None:
    etc = tmp_path_factory.mktemp("apt")
    (etc / "sources.list").write_text(
        "# deb http://old/debian bookworm main\n"
        "deb http://mirror.test/debian-security bookworm-security main\n"
        "deb [arch=amd64 signed-by=/x] http://mirror.test/debian bookworm main contrib\n"
    )
    assert debian.machine_mirror(etc) == "http://mirror.test/debian"


def test_the_mirror_is_read_from_deb822_sources(tmp_path_factory: pytest.TempPathFactory) -> None:
    etc = tmp_path_factory.mktemp("apt")
    (etc / "sources.list.d").mkdir()
    (etc / "sources.list.d" / "debian.sources").write_text(
        "Types: deb\nEnabled: no\nURIs: http://off.test/debian\nSuites: bookworm\nComponents: main\n\n"
        "Types: deb\nURIs: http://other.test/node\nSuites: nodistro\nComponents: main\n\n"
        "Types: deb\n# a remark\nURIs: http://mirror.test/debian/\nSuites: bookworm bookworm-updates\n"
        "Components: main\n"
    )
    assert debian.machine_mirror(etc) == "http://mirror.test/debian/"


def test_a_machine_without_a_mirror_is_told_how_to_name_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(BuildFailed) as refusal:
        debian.machine_mirror(tmp_path_factory.mktemp("apt"))
    assert "--mirror" in refusal.value.next


def test_security_updates_come_from_beside_the_mirror() -> None:
    text = debian.sources_text("http://mirror.test/debian/", debian.KEYRINGS[0])
    assert "URIs: http://mirror.test/debian\nSuites: trixie trixie-updates\n" in text
    assert "URIs: http://mirror.test/debian-security\nSuites: trixie-security\n" in text
    assert text.count("Signed-By:") == 2
