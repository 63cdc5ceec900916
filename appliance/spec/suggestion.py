"""What somebody probably meant by a name that is not known."""

import difflib
from collections.abc import Iterable


def suggestion(name: str, known: Iterable[str]) -> str:
    """The end of a sentence; empty when nothing known is close."""
    close = difflib.get_close_matches(name[:100], list(known)[:1000], 1)
    return f"; did you mean {close[0]}?" if close else ""
