"""Whether a manager could work with what a backup holds: every value read, every secret opened, the keys a pair."""

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.delivery.backup_file import Backup, Kept, digest_of
from appliance.errors import Refused
from appliance.model.identity import NodeIdentity
from appliance.model.secret import secret_ref
from appliance.security.ca import pair_in
from appliance.security.sealing import Seal
from appliance.security.ssh import public_key_of
from appliance.store.codec import decode
from appliance.store.state import State, Table


@dataclass(frozen=True)
class Counts:
    """What a backup holds, for people: objects are entries of the store."""

    objects: int
    services: int
    instances: int
    nodes: int
    users: int
    secrets: int
    images: int


def identity_in(backup: Backup) -> NodeIdentity:
    """The manager that made the backup. Raises LocalStateDamaged, Refused."""
    return decode(_file(backup.files, "node.json").data, NodeIdentity, where="node.json of the backup")


def examine(backup: Backup, state: State) -> Counts:
    """`state` reads a store that was filled from the backup. Raises ApplianceError for the first thing amiss."""
    for table in vars(state).values():
        if isinstance(table, Table):
            table.all()
    state.backup_plan()
    if state.cluster() is None:
        raise _unfit("there is no cluster in it")
    identity_in(backup)
    _open_secrets(backup, state)
    _check_authorities(backup)
    return Counts(
        objects=len(backup.entries),
        services=len(state.services.all()),
        instances=len(state.instances.all()),
        nodes=len(state.nodes.all()),
        users=len(state.users.all()),
        secrets=len(state.secrets.all()),
        images=len(state.images.all()),
    )


def compare(wanted: Mapping[str, bytes], found: Mapping[str, bytes]) -> None:
    """Raises Refused, naming a key, where the store does not hold exactly what it was filled with."""
    if digest_of(wanted) == digest_of(found):
        return
    differing = next(key for key in sorted({*wanted, *found}) if wanted.get(key) != found.get(key))
    raise _unfit(f"the store that was filled from it holds something else at {differing}")


def _open_secrets(backup: Backup, state: State) -> None:
    seal = Seal(_file(backup.files, "pki/seal.key").data)
    for secret in state.secrets.all().values():
        seal.unseal(secret.sealed, secret_ref(secret.service, secret.name, secret.version))


def _check_authorities(backup: Backup) -> None:
    certificate, key = (_file(backup.files, f"pki/ca.{end}").data.decode() for end in ("crt", "key"))
    try:
        pair_in(certificate + key)
        public = public_key_of(_file(backup.files, "pki/ssh-ca").data.decode())
    except ValueError as error:
        raise _unfit(f"the cluster's authority in it does not work: {error}") from error
    if public.split()[1] not in _file(backup.files, "pki/ssh-ca.pub").data.decode().split():
        raise _unfit("the authority of the link in it is no pair")


def _file(files: Mapping[str, Kept], name: str) -> Kept:
    if name not in files:
        raise _unfit(f"the file {name} is not in it")
    return files[name]


def _unfit(why: str) -> Refused:
    return Refused(
        "This backup cannot be restored.",
        why=why,
        next="take another one: each manager keeps its own (appliance backup ls)",
        page="backup#a-damaged-backup",
    )
