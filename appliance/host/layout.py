"""Where our files lie on a node; everything is below one root (``/``, or what `--root` says)."""

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """Paths below a root. The runtime is not here: all roots of a machine share ``/opt/appliance/runtime``."""

    root: Path

    @property
    def root_id(self) -> str:
        """Tells the containers of this root from those of others on the same engine."""
        return hashlib.sha256(str(self.root.resolve()).encode()).hexdigest()[:12]

    @property
    def opt(self) -> Path:
        return self.root / "opt/appliance"

    @property
    def releases(self) -> Path:
        return self.opt / "releases"

    @property
    def current(self) -> Path:
        """Link to the folder of the release in use."""
        return self.opt / "current"

    @property
    def etc(self) -> Path:
        return self.root / "etc/appliance"

    @property
    def pki(self) -> Path:
        return self.etc / "pki"

    @property
    def seal_key(self) -> Path:
        """What a manager seals secrets with before they reach the store."""
        return self.pki / "seal.key"

    @property
    def sidecar_files(self) -> Path:
        """Configuration of the sidecars, one folder each."""
        return self.etc / "sidecars"

    @property
    def first_password(self) -> Path:
        """The first admin password, until it has been shown."""
        return self.etc / "first-password"

    @property
    def var(self) -> Path:
        return self.root / "var/lib/appliance"

    @property
    def node_file(self) -> Path:
        return self.var / "node.json"

    @property
    def cluster_file(self) -> Path:
        """What the first manager writes into the store when the store is empty."""
        return self.var / "cluster.json"

    @property
    def known_images(self) -> Path:
        """Which loaded images this manager has known, so that it finds those that were removed while it was away."""
        return self.var / "known-images.json"

    @property
    def fence_file(self) -> Path:
        """How new the newest orders were that this node has carried out."""
        return self.var / "fence.json"

    @property
    def member_file(self) -> Path:
        """Which member of etcd this node is; on managers."""
        return self.var / "member.json"

    @property
    def recovery_file(self) -> Path:
        """That this manager is being made the only one, until it is."""
        return self.var / "recovery.json"

    @property
    def backups(self) -> Path:
        """Folder of the backups that this manager made."""
        return self.var / "backups"

    @property
    def restored_file(self) -> Path:
        """The backup that this manager fills an empty store from, until it has."""
        return self.var / "restored.backup"

    @property
    def etcd_data(self) -> Path:
        return self.var / "etcd"

    @property
    def rehearsal(self) -> Path:
        """Where a backup is tried out; nothing in it outlives the trial."""
        return self.var / "rehearsal"

    @property
    def assignments(self) -> Path:
        return self.var / "assignments"

    @property
    def wishes(self) -> Path:
        """What people on this node asked of its instances and no manager has heard yet."""
        return self.var / "wishes.json"

    @property
    def diary(self) -> Path:
        """What happened on this node and no manager has taken in yet."""
        return self.var / "diary.json"

    @property
    def records(self) -> Path:
        """What was done for instances and must not be done twice: starts of jobs, hooks."""
        return self.var / "records"

    @property
    def volumes(self) -> Path:
        return self.var / "volumes"

    @property
    def media(self) -> Path:
        """Where an operator mounts or links disks for volumes that ask for a medium: ``nvme``, ``ssd``, ``hdd``."""
        return self.var / "media"

    @property
    def secrets_file(self) -> Path:
        """The secrets of this node's instances, sealed with `secrets_key`."""
        return self.var / "secrets.sealed"

    @property
    def secrets_key(self) -> Path:
        return self.etc / "secrets.key"

    @property
    def journal(self) -> Path:
        """What `up`, `join`, `down` and `uninstall` did to this host."""
        return self.var / "journal"

    @property
    def events_file(self) -> Path:
        """What happened in the cluster, as this host's manager saw it."""
        return self.var / "events.jsonl"

    @property
    def before_file(self) -> Path:
        """How the host forwarded packets before our engine came."""
        return self.var / "before.json"

    @property
    def bridged_before(self) -> Path:
        """Whether the host showed bridged packets to its firewall before we asked it to."""
        return self.var / "bridged-before"

    @property
    def names(self) -> Path:
        """What the node's name server answers from."""
        return self.var / "names"

    @property
    def clock(self) -> Path:
        """What the ntp sidecar knows of the clock, and where it listens for more."""
        return self.var / "clock"

    @property
    def peers_file(self) -> Path:
        """The other nodes as this one last heard of them."""
        return self.var / "peers.json"

    @property
    def directory_file(self) -> Path:
        """Who is where, as this node last heard."""
        return self.var / "directory.json"

    @property
    def vips(self) -> Path:
        """Folder: the virtual addresses that this node may hold, and those that may be on it because of us."""
        return self.var / "vips"

    @property
    def vip_standing(self) -> Path:
        """Folder of how well this node is, for keepalived; forgotten with the power."""
        return self.run / "vips"

    @property
    def join_file(self) -> Path:
        """What this host asked for when it last tried to join, until it has."""
        return self.var / "join.json"

    @property
    def engine_data(self) -> Path:
        return self.var / "engine"

    @property
    def logs(self) -> Path:
        return self.root / "var/log/appliance"

    @property
    def run(self) -> Path:
        return self.root / "run/appliance"

    @property
    def memory(self) -> Path:
        """Folder of the file systems in memory that we mount."""
        return self.run / "memory"

    @property
    def instance_files(self) -> Path:
        """A file system in memory with the configs and secrets of this node's instances."""
        return self.memory / "files"

    @property
    def memory_volumes(self) -> Path:
        """Folder of the volumes in memory, each a file system of its own."""
        return self.memory / "volumes"

    @property
    def admin_socket(self) -> Path:
        return self.run / "admin.sock"

    @property
    def admin_live_socket(self) -> Path:
        return self.run / "admin-live.sock"

    @property
    def web_sockets(self) -> Path:
        """Folder of the two sockets that nginx may reach; nothing else lies in it."""
        return self.run / "web"

    @property
    def web_socket(self) -> Path:
        return self.web_sockets / "api.sock"

    @property
    def web_live_socket(self) -> Path:
        return self.web_sockets / "live.sock"

    @property
    def agent_socket(self) -> Path:
        """Where the agent answers root on this node by itself."""
        return self.run / "agent.sock"

    @property
    def engine_socket(self) -> Path:
        return self.run / "docker.sock"

    @property
    def agent_status(self) -> Path:
        return self.run / "agent.json"

    @property
    def run_pid(self) -> Path:
        return self.run / "run.pid"
