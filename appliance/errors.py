"""Every error the product raises on purpose.

    ApplianceError                  exit 1, HTTP 500
    ├── UsageError                  exit 2, HTTP 400   the request itself is malformed
    ├── Refused                     exit 3, HTTP 422   understood, and not done
    │   ├── SpecInvalid                                a spec with one or more problems, all of them listed
    │   ├── PreflightRefused                           the host is not fit; each check says what to do
    │   ├── NotPermitted            HTTP 403
    │   └── Conflict                HTTP 409           somebody else changed it first
    ├── WaitExpired                 exit 4, HTTP 504   a wait ran out; the work itself goes on
    ├── NotFound                    HTTP 404
    ├── PackageDamaged                                 a part of the package is not what its manifest says
    ├── LocalStateDamaged                              a file of ours on this node does not parse
    │   └── NewerState                                 nor would it: a newer release gave it another meaning
    ├── EngineError                                    the container engine refused or failed
    │   └── NoSuchContainer
    └── Unavailable                 HTTP 503           trying again later can help (retryable)
        ├── StoreUnavailable
        ├── EngineUnavailable
        └── LinkDown

Each carries *what* happened, *where*, *why* and *what next*, as sentences that the command line, the API
and the page show unchanged.
"""

from dataclasses import dataclass


class ApplianceError(Exception):
    """Base of all our errors. `retryable`: the same call may succeed later without anything being changed."""

    exit_code = 1
    http_status = 500
    retryable = False

    def __init__(self, what: str, *, where: str = "", why: str = "", next: str = "", page: str = "") -> None:
        """`page` is a path below /docs, e.g. ``preflight/#disk-room``."""
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.next = next
        self.page = page

    @property
    def kind(self) -> str:
        """Stable name of the error for scripts and the API."""
        return type(self).__name__

    def lines(self) -> list[str]:
        """The error as labelled lines for a person, the headline first."""
        labelled = [("where", self.where), ("why", self.why), ("next", self.next)]
        out = [self.what] + [f"  {label}: {text}" for label, text in labelled if text]
        if self.page:
            out.append(f"  docs: appliance docs {self.page}")
        return out


class UsageError(ApplianceError):
    exit_code = 2
    http_status = 400


class Refused(ApplianceError):
    exit_code = 3
    http_status = 422


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a spec. `path` is dotted (``deploys.web.replicas``); `line` counts from 1, 0 if unknown."""

    message: str
    path: str = ""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part)
        return ": ".join(part for part in (place, self.path, self.message) if part)


class SpecInvalid(Refused):
    def __init__(self, problems: list[Problem]) -> None:
        count = len(problems)
        super().__init__(
            f"The spec has {count} problem{'s' if count != 1 else ''}; nothing was changed.",
            why="\n    ".join(str(problem) for problem in problems),
            next="correct the lines named above and apply again",
            page="spec",
        )
        self.problems = problems


class PreflightRefused(Refused):
    pass


class NotPermitted(Refused):
    http_status = 403


class Conflict(Refused):
    http_status = 409


class WaitExpired(ApplianceError):
    exit_code = 4
    http_status = 504


class NotFound(ApplianceError):
    http_status = 404


class PackageDamaged(ApplianceError):
    """`part` names the damaged part as the manifest calls it (``prelude`` or ``manifest`` where that is what broke)."""

    def __init__(self, part: str, why: str, *, where: str = "") -> None:
        super().__init__(
            f"The package is damaged: part {part!r} is not what was built.",
            where=where,
            why=why,
            next="copy the file again from where it was delivered, then run `appliance verify`",
            page="verify",
        )
        self.part = part


class LocalStateDamaged(ApplianceError):
    pass


class NewerState(LocalStateDamaged):
    pass


class EngineError(ApplianceError):
    pass


class NoSuchContainer(EngineError):
    http_status = 404


class Unavailable(ApplianceError):
    http_status = 503
    retryable = True


class StoreUnavailable(Unavailable):
    pass


class EngineUnavailable(Unavailable):
    pass


class LinkDown(Unavailable):
    pass
