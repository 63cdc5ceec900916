"""Orders for one node, cut into messages that fit, each with the secrets of its assignments. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from appliance.link.messages import Orders
from appliance.model.instance import Assignment

MOST_BYTES = 3 * 1024 * 1024
"""Of the assignments and secrets of one message; an assignment that is larger goes alone."""

SecretsOf = Callable[[Assignment], Mapping[str, str]]
"""Plain text by reference of those that can be told."""


def everything(assignments: Sequence[Assignment], keep: tuple[str, ...], secrets_of: SecretsOf) -> Iterator[Orders]:
    """Full orders and those that follow them; `keep`: instances of which nothing can be said yet."""
    pieces = list(_pieces(assignments, secrets_of)) or [((), {})]
    first, secrets = pieces[0]
    later = tuple(one.instance for piece, _ in pieces[1:] for one in piece)
    yield Orders(full=True, assignments=first, keep=(*later, *keep), secrets=secrets)
    for piece, secrets in pieces[1:]:
        yield Orders(full=False, assignments=piece, secrets=secrets)


def changes(assignments: Sequence[Assignment], forget: tuple[str, ...], secrets_of: SecretsOf) -> Iterator[Orders]:
    """Nothing when nothing changed."""
    if forget:
        yield Orders(full=False, forget=forget)
    for piece, secrets in _pieces(assignments, secrets_of):
        yield Orders(full=False, assignments=piece, secrets=secrets)


def _pieces(
    assignments: Sequence[Assignment], secrets_of: SecretsOf
) -> Iterator[tuple[tuple[Assignment, ...], dict[str, str]]]:
    piece: list[Assignment] = []
    secrets: dict[str, str] = {}
    size = 0
    for one in assignments:
        own = {reference: text for reference, text in secrets_of(one).items() if reference not in secrets}
        more = len(msgspec.json.encode(one)) + len(msgspec.json.encode(own))
        if piece and size + more > MOST_BYTES:
            yield tuple(piece), secrets
            piece, secrets, size = [], {}, 0
            own = dict(secrets_of(one))
        piece.append(one)
        secrets |= own
        size += more
    if piece:
        yield tuple(piece), secrets
