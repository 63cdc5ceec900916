"""The pages over real HTTP: what a browser gets, and what it is told to refuse."""

import http.client
import io
import threading
import zipfile
from collections.abc import Iterator
from importlib import resources
from wsgiref.simple_server import WSGIRequestHandler, make_server

import bottle  # type: ignore[import-untyped]
import pytest

from appliance.web.pages import manual_policy, register

MANUAL = {
    "site/index.html": b"<html><script>start()</script></html>",
    "site/nodes.html": b"<html>nodes</html>",
    "site/adr/index.html": b"<html>decisions</html>",
    "site/search/search_index.json": b"{}",
    "site/404": b"no suffix",
    "pages/nodes.md": b"# Nodes",
}


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Requests are the tests' business."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    app = bottle.Bottle()
    register(app, manual())
    server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def manual() -> zipfile.ZipFile:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in MANUAL.items():
            archive.writestr(name, content)
    return zipfile.ZipFile(held)


def get(port: int, path: str, **headers: str) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body, answer.headers


def test_the_page_allows_no_inline_script_and_no_other_host(port: int) -> None:
    status, _, headers = get(port, "/")
    policy = headers["Content-Security-Policy"]
    assert status == 200
    assert "default-src 'none'" in policy and "script-src 'self';" in policy
    assert "unsafe" not in policy and "http" not in policy


def test_the_page_itself_keeps_to_its_policy() -> None:
    page = (resources.files("appliance.web") / "static" / "index.html").read_text()
    assert "<style" not in page and " style=" not in page and " onclick" not in page
    assert "<script>" not in page


def test_every_file_that_the_page_names_is_there(port: int) -> None:
    for name, kind in (
        ("page.js", "text/javascript; charset=utf-8"),
        ("live.js", "text/javascript; charset=utf-8"),
        ("overview.js", "text/javascript; charset=utf-8"),
        ("page.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml; charset=utf-8"),
    ):
        status, _, headers = get(port, f"/static/{name}")
        assert (status, headers["Content-Type"]) == (200, kind)


def test_the_manual_starts_at_its_index(port: int) -> None:
    assert get(port, "/docs")[2]["Location"] == "/docs/"
    assert get(port, "/docs/")[1] == MANUAL["site/index.html"]


def test_a_folder_of_the_manual_leads_to_its_index(port: int) -> None:
    assert get(port, "/docs/adr")[2]["Location"] == "/docs/adr/"
    assert get(port, "/docs/adr/")[1] == MANUAL["site/adr/index.html"]


@pytest.mark.parametrize(
    "path",
    [
        "/docs/../pages/nodes.md",
        "/docs/%2e%2e/pages/nodes.md",
        "/docs/..%2fpages%2fnodes.md",
        "/docs//etc/passwd",
        "/docs/nodes.html%00",
        "/static/..%2fpages.py",
        "/static/%2e%2e/pages.py",
        "/static/none.js",
    ],
)
def test_nothing_outside_the_site_is_served(port: int, path: str) -> None:
    assert get(port, path)[0] == 404


def test_the_manuals_own_inline_scripts_are_allowed_by_their_hash() -> None:
    # The hash of `start()`, as `openssl dgst -sha256 -binary | base64` prints it.
    policy = manual_policy(MANUAL["site/index.html"])
    assert "'sha256-DIm7WJS6ZKDYe5qFLPy+h4JFI9Bol5QmYC57mt3Fb00='" in policy
    assert "'unsafe-inline'" not in policy.partition("style-src")[0]


@pytest.mark.parametrize("mark", ["", "W/"])
def test_a_browser_that_has_the_file_is_told_so(port: int, mark: str) -> None:
    tag = get(port, "/static/page.css")[2]["ETag"]
    status, body, headers = get(port, "/static/page.css", If_None_Match=f"{mark}{tag}")
    assert (status, body) == (304, b"") and headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["/", "/static/page.js", "/docs/", "/docs/none", "/docs"])
def test_every_answer_carries_the_security_headers(port: int, path: str) -> None:
    headers = get(port, path)[2]
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"
