"""Errors as the API shows them: problem documents (RFC 9457) with what our programs read besides."""

import re

import msgspec

from appliance.errors import ApplianceError, SpecInvalid

CONTENT_TYPE = "application/problem+json"
GENERAL_PAGE = "api#answers-and-errors"


class SpecProblem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong in a service file; `line` counts from 1, 0 if unknown."""

    message: str
    path: str
    file: str
    line: int


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """`type` is the page of the manual that explains it, `title` the kind in words, `detail` what happened and why,
    `instance` the address that was asked. The other fields are the error's own (`appliance/errors.py`)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    kind: str
    what: str
    where: str
    why: str
    next: str
    page: str
    exit_code: int
    retryable: bool
    problems: tuple[SpecProblem, ...] = ()


def document(error: ApplianceError, address: str) -> Document:
    """The error as the answer to a request for `address`."""
    found = error.problems if isinstance(error, SpecInvalid) else []
    return Document(
        type=page_address(error.page or GENERAL_PAGE),
        title=title_of(error.kind),
        status=error.http_status,
        detail=f"{error.what} {error.why}".strip(),
        instance=address,
        kind=error.kind,
        what=error.what,
        where=error.where,
        why=error.why,
        next=error.next,
        page=error.page,
        exit_code=error.exit_code,
        retryable=error.retryable,
        problems=tuple(SpecProblem(message=one.message, path=one.path, file=one.file, line=one.line) for one in found),
    )


def page_address(page: str) -> str:
    """``preflight/#disk-room`` as the manager serves it: ``/docs/preflight.html#disk-room``."""
    name, mark, anchor = page.partition("#")
    return f"/docs/{name.rstrip('/')}.html{mark}{anchor}"


def title_of(kind: str) -> str:
    """``SpecInvalid`` in words: ``Spec invalid``."""
    return re.sub(r"(?<!^)([A-Z])", lambda found: " " + found[1].lower(), kind)
