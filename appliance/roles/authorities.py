"""Who signs, as a manager has them on its disk and tells nodes of them over the link."""

from collections.abc import Callable

from appliance.delivery import pki
from appliance.host.layout import Layout
from appliance.link.trust import Authorities
from appliance.security.ssh import LinkCertificate, issue_host_certificate, public_key_of


class AuthorityFiles:
    """`now`: as they were when the files were last read. `clock`: seconds since the epoch, at which it is signed."""

    def __init__(self, layout: Layout, clock: Callable[[], float]) -> None:
        self._layout = layout
        self._clock = clock
        self.read()

    def read(self) -> None:
        """Raises LocalStateDamaged."""
        signer = pki.read_ssh_authority(self._layout)
        own = public_key_of(signer)
        lines = [" ".join(line.split()[:2]) for line in pki.read_link_authorities(self._layout).splitlines()]

        def sign(shown: LinkCertificate, life: float) -> str:
            return issue_host_certificate(signer, shown.key, shown.name, self._clock(), life)

        link = (own, *(line for line in lines if line != own))
        self.now = Authorities(link=link, ca=pki.read_authority(self._layout).decode(), sign=sign)
