"""What people look at: the overview page, its scripts and styles, and the manual of exactly this version.

Everything is public, because nothing here is secret: what the page shows comes from the API, which asks for a login.
Works without internet: no address of another host occurs, and the browser is told to refuse any.
"""

import base64
import hashlib
import mimetypes
import re
from importlib import resources
from typing import Any, Protocol

import bottle  # type: ignore[import-untyped]

_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_TYPES = {".js": "text/javascript", ".json": "application/json", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
"""Not left to the host's own table of types, which may be missing or wrong."""
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


class ManualSource(Protocol):
    """The manual as the package holds it (an open `zipfile.ZipFile` is one): `site/` is its web site."""

    def read(self, name: str, /) -> bytes:
        """The bytes of one file; raises KeyError when there is none of that name."""
        ...


def register(app: Any, manual: ManualSource) -> None:
    """Adds `/`, `/static/…` and `/docs/…` to a bottle application. The page's own files are read here, once."""
    files = {file.name: file.read_bytes() for file in (resources.files(__package__) / "static").iterdir()}

    def page() -> Any:
        return _answer("index.html", files["index.html"], _PAGE_POLICY)

    def static(name: str) -> Any:
        content = files.get(name)
        return _missing() if content is None else _answer(name, content, _PAGE_POLICY)

    def to_manual() -> Any:
        return bottle.HTTPResponse(status=308, headers=_SECURITY | {"Location": "/docs/"})

    def manual_file(path: str = "") -> Any:
        return _manual_answer(manual, path)

    app.route("/", "GET", page)
    app.route("/static/<name>", "GET", static)
    app.route("/docs", "GET", to_manual)
    app.route("/docs/", "GET", manual_file)
    app.route("/docs/<path:path>", "GET", manual_file)


def _manual_answer(manual: ManualSource, path: str) -> Any:
    """A file of the manual. Names are looked up in the zip, never on a disk: `..` is only a name that it lacks."""
    name = f"{path}index.html" if not path or path.endswith("/") else path
    content = _read(manual, name)
    if content is not None:
        return _answer(name, content, manual_policy(content))
    if _read(manual, f"{path}/index.html") is not None:
        # Relative links in the page need the slash. The path names a file of ours, so this leads to no other host.
        return bottle.HTTPResponse(status=308, headers=_SECURITY | {"Location": f"/docs/{path}/"})
    return _missing()


def _read(manual: ManualSource, name: str) -> bytes | None:
    try:
        return manual.read(f"site/{name}")
    except KeyError:
        return None


def manual_policy(page: bytes) -> str:
    """The policy for a page of the manual: mkdocs-material writes small inline scripts, which are allowed by hash.

    Its scripts set style attributes, for which no hash exists; styles cannot run anything.
    """
    hashes = sorted({f"'sha256-{_digest(script)}'" for script in _INLINE_SCRIPT.findall(page)})
    return (
        f"default-src 'none'; script-src {' '.join(["'self'", *hashes])}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self'; connect-src 'self'; worker-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def _digest(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def _answer(name: str, content: bytes, policy: str) -> Any:
    """The file, or 304 when the browser has it. It asks each time: after an upgrade, names stay and contents change."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = _SECURITY | {
        "Content-Type": _content_type(name),
        "Content-Security-Policy": policy,
        "Cache-Control": "no-cache",
        "ETag": tag,
    }
    # nginx marks what it compresses as weak (`W/"…"`); the contents are the same.
    if tag in bottle.request.get_header("If-None-Match", ""):
        return bottle.HTTPResponse(status=304, headers=headers)
    return bottle.HTTPResponse(content, 200, headers)


def _content_type(name: str) -> str:
    suffix = name[name.rfind(".") :] if "." in name else ""
    kind = _TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")
    is_text = kind.startswith("text/") or kind in ("application/json", "image/svg+xml")
    return f"{kind}; charset=utf-8" if is_text else kind


def _missing() -> Any:
    headers = _SECURITY | {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
    return bottle.HTTPResponse(b"There is no page here. The manual starts at /docs/.\n", 404, headers)
