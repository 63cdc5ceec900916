"""The files that make a host a node: its identity and the first state of a new cluster."""

import secrets
import threading
from collections.abc import Callable

from appliance.errors import LocalStateDamaged, NewerState, NotFound
from appliance.host.files import write_atomic
from appliance.host.layout import Layout
from appliance.model.identity import FirstState, NodeIdentity, OwnMember
from appliance.store.codec import decode, encode, rewritten_file

DEFAULT_NETWORK = "10.99.0.0/16"
_identity_changes = threading.Lock()


def new_id(kind: str) -> str:
    """``n-3f9c20d1a8b4``: short enough to type, and no two nodes or clusters share one."""
    return f"{kind}-{secrets.token_hex(6)}"


def read_identity(layout: Layout) -> NodeIdentity:
    """Raises NotFound on a host that is no node, LocalStateDamaged (also NewerState) when the file does not parse."""
    try:
        data = layout.node_file.read_bytes()
    except FileNotFoundError:
        raise NotFound(
            "This host is not a node of a cluster.",
            where=str(layout.node_file),
            next="start a cluster with `appliance up`, or join one with `appliance join TOKEN`",
        ) from None
    try:
        return decode(data, NodeIdentity, where=str(layout.node_file))
    except NewerState:
        raise
    except LocalStateDamaged as error:
        raise LocalStateDamaged(
            "This host no longer knows which node it is: its identity is damaged. Its containers are left as they are.",
            where=error.where,
            why=error.why,
            next="restore it from a backup; without one, on an agent: appliance uninstall --purge, and join again",
            page="cut-off#damaged-files",
        ) from error


def is_node(layout: Layout) -> bool:
    return layout.node_file.exists()


def write_identity(layout: Layout, identity: NodeIdentity) -> None:
    """The last step of becoming a node: before it, nothing runs; after it, everything needed is on the disk.

    What a newer release has added to the node's identity stays; an identity that does not parse is replaced.
    """
    write_atomic(layout.node_file, rewritten_file(layout.node_file, identity), mode=0o644)


def read_member(layout: Layout) -> OwnMember | None:
    """Which member of etcd this node is; None when it founded the cluster and has not been told, or is no manager.

    Raises LocalStateDamaged when it does not parse.
    """
    try:
        return decode(layout.member_file.read_bytes(), OwnMember, where=str(layout.member_file))
    except FileNotFoundError:
        return None


def write_member(layout: Layout, member: OwnMember) -> None:
    write_atomic(layout.member_file, rewritten_file(layout.member_file, member))


def has_etcd_data(layout: Layout) -> bool:
    """A log of etcd, without which a member knows nothing."""
    return any((layout.etcd_data / "member/wal").glob("*.wal"))


def change_identity(layout: Layout, change: Callable[[NodeIdentity], NodeIdentity]) -> None:
    """Write down what `change` makes of the identity; several threads of this process may do so."""
    with _identity_changes:
        write_identity(layout, change(read_identity(layout)))


def write_first_state(layout: Layout, first: FirstState) -> None:
    write_atomic(layout.cluster_file, encode(first))


def read_first_state(layout: Layout) -> FirstState:
    """Raises LocalStateDamaged when it is not readable."""
    try:
        return decode(layout.cluster_file.read_bytes(), FirstState, where=str(layout.cluster_file))
    except FileNotFoundError:
        raise LocalStateDamaged(
            "The store is empty, and so is this node's record of how to fill it.",
            where=str(layout.cluster_file),
            next="restore a backup, or start anew: appliance uninstall --purge",
        ) from None
