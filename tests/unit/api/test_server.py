"""The API over real sockets: who may ask what."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.api.server import ApiServer
from tests.unit.api.cluster_in_memory import InMemory

HOST = "cluster.local:8443"


@pytest.fixture
def sockets(cluster: InMemory, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    server = ApiServer(cluster.context, tmp_path / "admin.sock", tmp_path / "web" / "api.sock")
    server.start()
    yield tmp_path / "admin.sock", tmp_path / "web" / "api.sock"
    server.stop()


def ask(path: Path, method: str, url: str, body: object = None, **headers: str) -> tuple[int, Any, dict[str, str]]:
    connection = http.client.HTTPConnection("localhost", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.connect(str(path))
    data = None if body is None else json.dumps(body).encode()
    connection.request(method, url, data, {"Host": HOST, **{k.replace("_", "-"): v for k, v in headers.items()}})
    response = connection.getresponse()
    text = response.read()
    connection.close()
    json_type = (response.getheader("Content-Type") or "").endswith("json")
    return response.status, json.loads(text) if json_type else text.decode(), dict(response.getheaders())


def test_root_needs_no_login_on_the_admin_socket(sockets: tuple[Path, Path]) -> None:
    status, said, _ = ask(sockets[0], "GET", "/api/status")
    assert status == 200 and said["cluster"]["name"] == "test"


def test_a_stop_waits_for_nobody_who_is_connected(cluster: InMemory, tmp_path: Path) -> None:
    server = ApiServer(cluster.context, tmp_path / "admin.sock", tmp_path / "api.sock")
    server.start()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as kept:
        kept.connect(str(tmp_path / "admin.sock"))
        kept.sendall(f"GET /api/status HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        assert kept.recv(12) == b"HTTP/1.1 200"
        server.stop()
        assert [each.name for each in threading.enumerate() if each.name.startswith("api ")] == []


def test_only_root_may_open_the_sockets(sockets: tuple[Path, Path]) -> None:
    assert [path.stat().st_mode & 0o777 for path in sockets] == [0o600, 0o600]


def test_the_web_socket_wants_a_login(sockets: tuple[Path, Path]) -> None:
    status, said, _ = ask(sockets[1], "GET", "/api/status")
    assert status == 401 and said["what"] == "You are not logged in."


def test_a_login_gives_a_cookie_that_opens_the_api(sockets: tuple[Path, Path]) -> None:
    origin = f"https://{HOST}"
    status, _, headers = ask(sockets[1], "POST", "/api/login", {"user": "admin", "password": "secret"}, Origin=origin)
    assert status == 200
    cookie = headers["Set-Cookie"]
    assert cookie.startswith("__Host-session=")
    assert all(flag in cookie for flag in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"))
    session = cookie.partition(";")[0]
    assert ask(sockets[1], "GET", "/api/session", Cookie=session)[1] == {"user": "admin"}
    ask(sockets[1], "POST", "/api/logout", Cookie=session, Origin=origin)
    assert ask(sockets[1], "GET", "/api/session", Cookie=session)[0] == 401


def test_a_wrong_password_is_not_permitted(sockets: tuple[Path, Path]) -> None:
    status, _, headers = ask(
        sockets[1], "POST", "/api/login", {"user": "admin", "password": "wrong"}, Origin=f"https://{HOST}"
    )
    assert status == 403 and "Set-Cookie" not in headers


@pytest.mark.parametrize("origin", ["https://evil.example", "http://cluster.local:8443", "null", ""])
def test_a_write_from_another_page_is_refused(sockets: tuple[Path, Path], origin: str) -> None:
    headers = {"Origin": origin} if origin else {}
    status, said, _ = ask(sockets[1], "POST", "/api/login", {"user": "admin", "password": "secret"}, **headers)
    assert status == 403 and "own page" in said["what"]


def test_a_host_may_ask_to_join_without_a_login(sockets: tuple[Path, Path]) -> None:
    request = {
        "token": "t1", "secret": "s", "node_id": "n", "name": "two", "name_given": False, "address": "10.0.0.2",
        "dial": "agent", "ssh_key": "k", "version": "0.1.0", "clock": 0.0,
    }  # fmt: skip
    status, said, _ = ask(sockets[1], "POST", "/api/join", request)
    assert (status, said["what"]) == (403, "no token t1")


def test_the_certificate_authority_is_public(sockets: tuple[Path, Path]) -> None:
    assert ask(sockets[1], "GET", "/api/ca")[1].startswith("-----BEGIN CERTIFICATE")


def test_an_invalid_spec_lists_its_problems(sockets: tuple[Path, Path]) -> None:
    status, said, _ = ask(sockets[0], "POST", "/api/services", {"text": "nonsense", "file": "a.yaml"})
    assert status == 422 and said["exit_code"] == 3
    assert said["problems"] == [{"message": "four words are needed", "path": "service", "file": "a.yaml", "line": 1}]


def test_a_body_that_is_not_what_is_asked_for_is_wrong_usage(sockets: tuple[Path, Path]) -> None:
    status, said, _ = ask(sockets[0], "POST", "/api/services", {"txt": "typing error"})
    assert status == 400 and "txt" in said["why"]


def test_an_unknown_address_is_answered_in_json(sockets: tuple[Path, Path]) -> None:
    status, said, _ = ask(sockets[0], "GET", "/api/nothing")
    assert status == 404 and "/api/nothing" in said["what"]


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(("method", "url", "status"), [("GET", "/api/nothing", 404), ("DELETE", "/api/status", 405)])
def test_errors_are_problem_documents_on_both_sockets(
    sockets: tuple[Path, Path], which: int, method: str, url: str, status: int
) -> None:
    found, said, headers = ask(sockets[which], method, url)
    assert (found, headers["Content-Type"]) == (status, "application/problem+json")
    assert (said["status"], said["instance"], said["type"]) == (status, url, "/docs/api.html")


def test_a_refusal_links_to_its_page_and_keeps_what_scripts_read(sockets: tuple[Path, Path]) -> None:
    status, said, headers = ask(sockets[0], "POST", "/api/services", {"text": "nonsense", "file": "a.yaml"})
    assert headers["Content-Type"] == "application/problem+json"
    assert (said["type"], said["title"], said["status"]) == ("/docs/spec.html", "Spec invalid", status)
    assert said["detail"].startswith("The spec has 1 problem")
    assert {"kind", "what", "where", "why", "next", "page", "exit_code", "retryable", "problems"} <= set(said)
