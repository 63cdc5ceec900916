"""Makes what only a manager has on its disk follow the node's identity: sidecars, certificates, and the end of them.

The page's certificate is made last: as long as it is not for the identity's address, all of this is to be done (again).
In the same way the authority's key goes last when the node is a manager no more.
"""

import contextlib
import logging
import shutil
import time

from appliance.agent.assignments import AssignmentBook
from appliance.delivery import pki
from appliance.delivery.package import Package
from appliance.host.layout import Layout
from appliance.model.identity import NodeIdentity
from appliance.roles.damage import damaged
from appliance.roles.founding import sidecars_of, write_sidecars

log = logging.getLogger(__name__)


def settle(layout: Layout, identity: NodeIdentity) -> None:
    """To be called while neither role runs; does nothing where nothing has changed or is damaged."""
    if "manager" not in identity.roles:
        if pki.may_sign(layout):
            _retire(layout, identity)
        return
    where = (identity.id, identity.address, identity.vip.partition("/")[0], time.time())
    if lost := damaged(layout):
        log.error("damaged, and made anew: %s", ", ".join(lost))
        _write_sidecars(layout, identity)
        pki.make_manager_keys(layout, *where)
    elif not pki.page_is_for(layout, identity.address):
        _write_sidecars(layout, identity)
        pki.issue_for_address(layout, *where, pki.page_life(layout))


def _write_sidecars(layout: Layout, identity: NodeIdentity) -> None:
    with Package.open() as package:
        write_sidecars(layout, identity, package)


def _retire(layout: Layout, identity: NodeIdentity) -> None:
    """The containers go when the agent finds them forgotten. The registry's images stay, for another promotion."""
    log.info("what only a manager has goes from this node: its copy of the store, its keys")
    book = AssignmentBook(layout.assignments)
    for sidecar in sidecars_of(layout, identity):
        book.forget(sidecar.assignment.instance)
    drop_etcd_data(layout)
    for file in (layout.member_file, layout.cluster_file, layout.first_password):
        file.unlink(missing_ok=True)
    pki.drop_manager_keys(layout)


def drop_etcd_data(layout: Layout) -> None:
    """What a member of etcd left. Its process may still be at work on it, so that goes by another name first; the
    folder may be a disk of its own, which stays."""
    data, aside = layout.etcd_data / "member", layout.etcd_data / "left"
    shutil.rmtree(aside, ignore_errors=True)
    if data.exists():
        data.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    with contextlib.suppress(OSError):
        layout.etcd_data.rmdir()
