"""A backup of a small cluster with real keys, for tests."""

from pathlib import Path

from appliance.delivery import node_files, pki
from appliance.delivery.backup_file import Backup, read_backup
from appliance.delivery.backups import Backups, Rehearsal
from appliance.host.layout import Layout
from appliance.model.cluster import Cluster, User
from appliance.security.ca import fingerprint
from appliance.security.recovery_key import recovery_secret
from appliance.security.sealing import Seal, make_seal
from appliance.security.secrets import sealed_secret
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.state import State
from appliance.store.store import Put, Store
from tests.unit.api.cluster_in_memory import NOW
from tests.unit.first_manager import FIRST, FIRST_NODE


class Restorable:
    """A manager below `folder`, its store, and what makes backups of both."""

    def __init__(self, folder: Path, store: Store | None = None) -> None:
        self.layout = Layout(folder)
        authority = pki.make_cluster_keys(self.layout, "test", FIRST.id, FIRST.address, 1_800_000_000.0)
        self.seal = make_seal(self.layout.seal_key)
        node_files.write_identity(self.layout, FIRST)
        self.store = store or MemoryStore(lambda: 0.0)
        self.mirror = Mirror(self.store, keys.ROOT)
        self.mirror.start()
        self.state = State(self.mirror)
        cluster = Cluster(
            id=FIRST.cluster_id,
            name="test",
            url="https://10.0.0.1:8443/",
            network=FIRST.network,
            ca_fingerprint=fingerprint(authority),
            created_at=NOW,
        )
        self.put(keys.CLUSTER, cluster)
        self.put(keys.NODES + FIRST.id, FIRST_NODE)
        self.put(keys.USERS + "admin", User(name="admin", password="scrypt$", created_at=NOW))
        self.set_secret(self.seal)
        self.backups = Backups(self.state, self.store, self.layout, FIRST, lambda path: Rehearsal(""))

    def put(self, key: str, value: object) -> None:
        self.store.commit([Put(key, encode(value))])

    def set_secret(self, seal: Seal) -> None:
        made = sealed_secret(seal, "shop", "word", 1, "open sesame", "root", NOW)
        self.put(keys.SECRETS + keys.secret_name("shop", "word", 1), made)

    @property
    def secret(self) -> bytes:
        return recovery_secret(self.layout.seal_key.read_bytes())

    def make(self) -> Path:
        return self.backups.make("hand")

    def backup(self) -> Backup:
        return read_backup(self.make(), self.secret)
