"""The call by which a manager lets in a host that may not open connections itself.

One TCP connection, opened by the manager. The manager shows the authority's certificate, then it is the TLS *server* on
the connection that it opened: so the host has proof of it before it says anything, exactly as when it asks by itself
(`join_client`). Inside TLS there is one line of JSON each way: the request, and the answer or the refusal.
"""

import logging
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from appliance.delivery.joining import JoinAnswer, JoinRequest
from appliance.errors import ApplianceError, LinkDown, Refused, WaitExpired
from appliance.model.decoding import decode
from appliance.security.ca import fingerprint, one_certificate

log = logging.getLogger(__name__)

REACHED_WITHIN = 3.0
"""Seconds until a host that does not answer a call is given up for now."""
PATIENCE = 20.0
"""Seconds each part of the conversation may take."""
CALLED_WITHIN = 900.0
"""Seconds a host waits to be called."""
LARGEST_LINE = 1024 * 1024
PROVED_NAME = "127.0.0.1"
"""What the certificate of every manager's page is for, whatever its address; no agent has such a certificate."""


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller says in the clear: the authority's certificate (PEM)."""

    authority: str


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An error's sentences. `retryable`: the host goes on waiting."""

    what: str
    why: str = ""
    next: str = ""
    page: str = ""
    retryable: bool = False


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two."""

    answer: JoinAnswer | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True)
class Proof:
    """By what a manager proves who it is: the authority's certificate, its own, and its own key, all files."""

    authority: Path
    certificate: Path
    key: Path


def call(at: tuple[str, int], proof: Proof, admit: Callable[[JoinRequest], JoinAnswer]) -> None:
    """Call a host and let it in. Raises OSError where none waits, ValueError for what no host of ours says, and what
    `admit` raised, after the host was told."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(proof.certificate, proof.key)
    with socket.create_connection(at, REACHED_WITHIN) as plain:
        plain.settimeout(PATIENCE)
        _send(plain, Opening(authority=proof.authority.read_text()))
        with context.wrap_socket(plain, server_side=True) as secured:
            request = _receive(secured, JoinRequest)
            try:
                closing = Closing(answer=admit(request))
            except ApplianceError as error:
                _send(secured, Closing(refusal=_refusal(error)))
                raise
            _send(secured, closing)


def await_call(
    at: tuple[str, int],
    expected: str,
    request: Callable[[], JoinRequest],
    tell: Callable[[str], None],
    patience: float = CALLED_WITHIN,
) -> tuple[bytes, JoinAnswer]:
    """(the authority's certificate, the answer) of the first caller that proves to be of the authority `expected`.

    `expected` is the certificate's fingerprint. Other callers learn nothing and are told of once. Raises what a
    manager refused, WaitExpired when none has called in `patience` seconds, OSError when the port is taken.
    """
    deadline = time.monotonic() + patience
    told = set()
    with socket.create_server(at) as listener:
        while True:
            listener.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                plain, (caller, _) = listener.accept()
            except TimeoutError:
                raise _never_called(at, patience) from None
            try:
                with plain:
                    return _converse(plain, caller, expected, request)
            except (OSError, ValueError, LinkDown) as error:
                if caller not in told:
                    tell(f"called by {caller}, but not let in: {error}")
                told.add(caller)


def _converse(
    plain: socket.socket, caller: str, expected: str, request: Callable[[], JoinRequest]
) -> tuple[bytes, JoinAnswer]:
    plain.settimeout(PATIENCE)
    # Only what the fingerprint covers is trusted from here on, not what else was sent along.
    authority = one_certificate(_receive(plain, Opening).authority.encode())
    if fingerprint(authority) != expected:
        raise ValueError("it is not of the cluster that the token is for; nothing secret was sent")
    context = ssl.create_default_context(cadata=authority.decode())
    with context.wrap_socket(plain, server_hostname=PROVED_NAME) as secured:
        _send(secured, request())
        closing = _receive(secured, Closing)
    if closing.answer is not None:
        return authority, closing.answer
    said = closing.refusal or Refusal(what="The manager says nothing.", retryable=True)
    kind = LinkDown if said.retryable else Refused
    raise kind(said.what, where=f"manager {caller}", why=said.why, next=said.next, page=said.page)


def _never_called(at: tuple[str, int], patience: float) -> WaitExpired:
    return WaitExpired(
        f"No manager has called this host within {patience:g} s.",
        where=f"{at[0]}:{at[1]}",
        why="the token was revoked, used or has expired, or something between there and here blocks the port",
        next="look at `appliance token ls` on a manager, then run this again",
        page="nodes#which-side-dials",
    )


def _refusal(error: ApplianceError) -> Refusal:
    return Refusal(what=error.what, why=error.why, next=error.next, page=error.page, retryable=error.retryable)


def _send(connection: socket.socket, message: msgspec.Struct) -> None:
    connection.sendall(msgspec.json.encode(message) + b"\n")


def _receive[T](connection: socket.socket, kind: type[T]) -> T:
    """Raises ValueError for anything else, and when the other side ends first."""
    # Not a byte more is read than the line has: TLS follows.
    with connection.makefile("rb", buffering=0) as stream:
        line = stream.readline(LARGEST_LINE)
    if not line.endswith(b"\n"):
        raise ValueError("it ended the connection")
    return decode(line, kind)
