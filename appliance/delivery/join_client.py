"""The joining host's side: asks a manager to be let in, and says nothing secret before it knows whom it talks to.

The host's id and key are on the disk before it asks, so that asking again after a kill gets the same answer.
"""

import http.client
import json
import ssl
import time
from collections.abc import Callable

import msgspec

from appliance import RELEASE_COUNTER, VERSION
from appliance.delivery import pki
from appliance.delivery.join_call import await_call
from appliance.delivery.joining import JoinAnswer, JoinRequest
from appliance.delivery.node_files import new_id, write_identity
from appliance.errors import ApplianceError, LinkDown, LocalStateDamaged, Refused, UsageError
from appliance.host.files import write_atomic
from appliance.host.layout import Layout
from appliance.model.cluster import LINK_PORT
from appliance.model.decoding import decode
from appliance.model.identity import NodeIdentity
from appliance.model.node import Clock, Dial
from appliance.security.ca import fingerprint, one_certificate
from appliance.security.tokens import ParsedToken

PATIENCE = 20.0
"""Seconds an answer of a manager may take."""
LARGEST_ANSWER = 1024 * 1024
_WRONG_TIMES = (9, 10)
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED (openssl/x509_vfy.h)."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What this host made for itself before it asked."""

    node_id: str
    ssh_key: str


def join(
    layout: Layout,
    token: ParsedToken,
    *,
    name: str,
    name_given: bool,
    address: str,
    dial: Dial,
    engine: str,
    clock: Clock,
    tell: Callable[[str], None] = lambda text: None,
    admitted: Callable[[], None] = lambda: None,
    routes: tuple[str, ...] = (),
) -> NodeIdentity:
    """Become a node of the token's cluster. Raises Refused with the manager's reason, LinkDown if none answers.

    With `dial` "manager" and a token that names this host's address it sends nothing by itself, but waits for a call;
    `tell` gets a line when somebody else calls. WaitExpired if no manager does. `admitted` is called once a manager has
    let the host in, before that is written down: whatever has to be on the host, it is not before it may be a node.
    """
    asked = _prepare(layout)

    def request() -> JoinRequest:
        return JoinRequest(
            token=token.id,
            secret=token.secret,
            node_id=asked.node_id,
            name=name,
            name_given=name_given,
            address=address,
            dial=dial,
            ssh_key=asked.ssh_key,
            version=VERSION,
            release=RELEASE_COUNTER,
            clock=time.time(),
            routes=routes,
        )

    if is_called(token, dial):
        if address != token.address:
            raise UsageError(
                f"The token is for the host at {token.address}, where managers call it.",
                next="leave --address out, or make another token: appliance token create --dial manager --address IP",
            )
        authority, answer = await_call((address, LINK_PORT), token.authority, request, tell)
    else:
        authority, answer = _ask_any(token, request())
    admitted()
    pki.write_authority(layout, authority)
    pki.write_host_keys(layout, answer.ssh_authority, answer.host_certificate)
    identity = NodeIdentity(
        id=answer.node_id,
        name=answer.name,
        number=answer.number,
        address=address,
        roles=("agent",),  # what makes it a manager comes over its link
        dial=dial,
        cluster_id=answer.cluster_id,
        cluster_name=answer.cluster_name,
        network=answer.network,
        managers=answer.managers,
        engine=engine,
        clock=clock,
        joined_with=token.id,
    )
    write_identity(layout, identity)
    layout.join_file.unlink(missing_ok=True)
    return identity


def is_called(token: ParsedToken, dial: Dial) -> bool:
    """Whether the host waits for a manager's call instead of asking."""
    return dial == "manager" and token.address != ""


def _prepare(layout: Layout) -> Asked:
    try:
        return decode(layout.join_file.read_bytes(), Asked)
    except FileNotFoundError:
        asked = Asked(node_id=new_id("n"), ssh_key=pki.make_host_key(layout))
        write_atomic(layout.join_file, msgspec.json.encode(asked))
        return asked
    except ValueError as error:
        raise LocalStateDamaged(
            "The record of an earlier try to join does not parse.",
            where=str(layout.join_file),
            why=str(error),
            next="remove it and join with a new token",
        ) from error


def _ask_any(token: ParsedToken, request: JoinRequest) -> tuple[bytes, JoinAnswer]:
    """(the authority's certificate, the answer) of the first manager that can be reached."""
    failures = []
    for manager in token.managers:
        try:
            authority = _authority_of(manager, token.authority)
            return authority, _ask(manager, authority, request)
        except (OSError, http.client.HTTPException) as error:
            failures.append(f"{manager}: {error}")
        except LinkDown as error:
            failures.append(f"{manager}: {error.what} {error.why}".rstrip())
    raise LinkDown(
        "No manager of the cluster answers.",
        why="; ".join(failures),
        next="see that the address is right and nothing between here and there blocks the port, then run it again",
        page="nodes",
    )


def _authority_of(manager: str, expected: str) -> bytes:
    """The CA certificate that the manager shows, if it is the one whose fingerprint the token carries."""
    unchecked = ssl.create_default_context()
    unchecked.check_hostname = False
    unchecked.verify_mode = ssl.CERT_NONE
    status, content = _call(manager, unchecked, "GET", "/api/ca", b"")
    if status >= 500:
        raise _no_manager(manager, status)
    try:
        # Only what the fingerprint covers is trusted from here on, not what else was sent along.
        authority = one_certificate(content)
        known = fingerprint(authority) == expected
    except ValueError:
        known = False
    if not known:
        raise Refused(
            f"What answers at {manager} is not the cluster that this token is for.",
            why="it does not show the authority whose fingerprint the token carries; nothing secret was sent",
            next="make a new token on a manager; if this goes on, somebody may be in between",
            page="security",
        )
    return authority


def _ask(manager: str, authority: bytes, request: JoinRequest) -> JoinAnswer:
    checked = ssl.create_default_context(cadata=authority.decode())
    now = msgspec.structs.replace(request, clock=time.time())  # others may have been asked in vain before
    try:
        status, content = _call(manager, checked, "POST", "/api/join", msgspec.json.encode(now))
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in _WRONG_TIMES:
            raise _wrong_clock(manager, error) from error
        raise
    if status != 200:
        raise _refusal(manager, status, content)
    try:
        return decode(content, JoinAnswer)
    except ValueError as error:
        raise ApplianceError("The manager's answer is not understood.", where=manager, why=str(error)) from error


def _wrong_clock(manager: str, error: ssl.SSLCertVerificationError) -> Refused:
    """The manager would say by how much, but by this clock it cannot be believed."""
    return Refused(
        "By the clock of this host the manager's certificate is not valid.",
        where=f"manager {manager}",
        why=f"{error.verify_message}; here it is {time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime())}",
        next="compare `date -u` here and on the manager; set the one that is wrong (date -u -s '...') and join again",
        page="time#put-a-clock-right",
    )


def _refusal(manager: str, status: int, content: bytes) -> ApplianceError:
    try:
        said = json.loads(content)
        what, why, next_step, page = (str(said.get(key, "")) for key in ("what", "why", "next", "page"))
    except (ValueError, AttributeError):
        return _no_manager(manager, status)
    kind = LinkDown if said.get("retryable") else Refused
    return kind(what, where=f"manager {manager}", why=why, next=next_step, page=page)


def _no_manager(manager: str, status: int) -> LinkDown:
    """nginx answers already, or still, while the manager behind it does not."""
    return LinkDown("The manager does not answer as one.", where=manager, why=f"HTTP status {status}")


def _call(manager: str, context: ssl.SSLContext, method: str, path: str, body: bytes) -> tuple[int, bytes]:
    host, _, port = manager.rpartition(":")
    connection = http.client.HTTPSConnection(host, int(port), timeout=PATIENCE, context=context)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read(LARGEST_ANSWER)
    finally:
        connection.close()
