"""The authorities on a manager's disk while they are replaced (`model/rotation.py`).

The private key says who signs: the certificate that belongs to it is looked up among those of `ca.crt`. So the change
is one atomic write, and a manager that is killed at any moment signs with one of the two, never with halves of both.
"""

from appliance.delivery import pki
from appliance.host.files import write_atomic, write_if_changed
from appliance.host.layout import Layout
from appliance.model.rotation import ManagerTrust, NewKeys, Rotation, Step
from appliance.security.ca import certificates_in, fingerprint, is_issued_by
from appliance.security.ssh import public_key_of, read_certificate


def install(layout: Layout, rotation: Rotation, keys: NewKeys) -> bool:
    """Have on the disk what the step wants; says whether anything has changed. Raises LocalStateDamaged."""
    # Believed before it signs, also by a manager that was off and sees a later step first.
    changed = not _signs(layout, keys) and _believe(layout, rotation, "spreading")
    if rotation.step != "spreading":
        changed |= _take_over(layout, keys)
        changed |= _believe(layout, rotation, rotation.step)
    if rotation.step == "dropping":
        (layout.pki / "link/user-old.crt").unlink(missing_ok=True)
        (layout.pki / "ssh-ca-old").unlink(missing_ok=True)
    return changed


def own_trust(layout: Layout, node_id: str) -> ManagerTrust:
    """What this manager's etcd believes, and who has signed all that the manager has. Raises LocalStateDamaged."""
    return ManagerTrust(node=node_id, etcd=_started_with(layout), signer=_signer(layout))


def etcd_is_to_start_anew(layout: Layout) -> bool:
    """Whether it was started with other authorities than there are now: it reads them at its start only."""
    return _started_with(layout) != tuple(_fingerprints(layout))


def etcd_was_started(layout: Layout) -> None:
    """With the authorities that are there now."""
    write_atomic(layout.pki / "etcd-believes", "".join(f"{each}\n" for each in _fingerprints(layout)))


def _signs(layout: Layout, keys: NewKeys) -> bool:
    return (layout.pki / "ca.key").read_text() == keys.ca


def _believe(layout: Layout, rotation: Rotation, step: Step) -> bool:
    ca = [each.decode() for each in certificates_in(pki.read_authority(layout))]
    link = [line + "\n" for line in pki.read_link_authorities(layout).splitlines()]
    texts = dict.fromkeys(("ca.crt", *pki.COPIES), "".join(_ordered(step, rotation.ca, ca)))
    texts["ssh-ca.pub"] = "".join(_ordered(step, rotation.link + "\n", link))
    written = [write_if_changed(layout.pki / name, text, mode=0o644) for name, text in texts.items()]
    return any(written)


def _ordered(step: Step, new: str, known: list[str]) -> list[str]:
    """Whoever signs first."""
    others = [each for each in known if each != new]
    return {"spreading": [*others, new], "signing": [new, *others], "dropping": [new]}[step]


def _take_over(layout: Layout, keys: NewKeys) -> bool:
    """The new authorities sign from now on; a certificate of the old one is kept, for nodes that were off."""
    before = pki.read_ssh_authority(layout)
    if before != keys.link:
        write_atomic(layout.pki / "link/user-old.crt", pki.read_user_keys(layout).certificate, mode=0o644)
        write_atomic(layout.pki / "ssh-ca-old", before)
        write_atomic(layout.pki / "ssh-ca", keys.link)
    return write_if_changed(layout.pki / "ca.key", keys.ca) or before != keys.link


def _fingerprints(layout: Layout) -> list[str]:
    return [fingerprint(each) for each in certificates_in(pki.read_authority(layout))]


def _started_with(layout: Layout) -> tuple[str, ...]:
    try:
        return tuple((layout.pki / "etcd-believes").read_text().split())
    except OSError:
        return ()


def _signer(layout: Layout) -> str:
    """Fingerprint, "" while not all are of the same."""
    authority = pki.read_authority_pair(layout)
    user = read_certificate(pki.read_user_keys(layout).certificate)
    leaves = (pki.read_leaf(layout, use).certificate for use in pki.LEAVES)
    same = all(is_issued_by(leaf, authority.certificate) for leaf in leaves)
    of_link = user.authority == public_key_of(pki.read_ssh_authority(layout))
    return fingerprint(authority.certificate) if same and of_link else ""
