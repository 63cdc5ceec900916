"""Makes everything on a manager's disk that depends on its address follow its identity: the sidecars, and certificates.

The page's certificate is made last: as long as it is not for the identity's address, all of this is to be done (again).
"""

import time

from appliance.delivery import pki
from appliance.delivery.package import Package
from appliance.host.layout import Layout
from appliance.model.identity import NodeIdentity
from appliance.roles.founding import write_sidecars


def settle(layout: Layout, identity: NodeIdentity) -> None:
    """To be called while neither role runs; does nothing where nothing has changed, or this node is no manager."""
    if "manager" not in identity.roles or pki.page_is_for(layout, identity.address):
        return
    with Package.open() as package:
        write_sidecars(layout, identity, package)
    life = pki.page_life(layout)
    pki.issue_for_address(layout, identity.id, identity.address, identity.vip.partition("/")[0], time.time(), life)
