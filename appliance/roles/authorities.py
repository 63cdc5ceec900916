"""Who signs, as a manager has them on its disk and tells nodes of them over the link."""

from collections.abc import Callable

from appliance.delivery import pki
from appliance.host.layout import Layout
from appliance.link.trust import Authorities
from appliance.security.ssh import LinkCertificate, issue_host_certificate


def authorities_of(layout: Layout, clock: Callable[[], float]) -> Authorities:
    """Raises LocalStateDamaged. `clock`: seconds since the epoch, at which certificates are issued."""
    signer = pki.read_ssh_authority(layout)

    def sign(shown: LinkCertificate, life: float) -> str:
        return issue_host_certificate(signer, shown.key, shown.name, clock(), life)

    lines = (" ".join(line.split()[:2]) for line in pki.read_link_authorities(layout).splitlines())
    return Authorities(link=tuple(lines), ca=pki.read_authority(layout).decode(), sign=sign)
