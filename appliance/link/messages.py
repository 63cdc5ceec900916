"""What a manager and an agent say to each other on the control session: one JSON object per line.

The agent opens with `Hello`. To the one manager that it follows it says so; that one answers with `Orders` that carry
everything (`full`), then sends only changes, and only to that one the agent reports what it sees. Reports are
idempotent, so a repeated or reordered one does no harm. Heartbeats go to every manager.

The other end may be of a neighbouring release (ADR 95). So a new field has a default, a new kind of message is one that
may go unheard, and nothing that is said gets another meaning.
"""

from typing import Annotated

import msgspec

from appliance.model.diary import Happening
from appliance.model.directory import DeployNames, Endpoint, Policy
from appliance.model.entry import EntryRule, HostCertificate
from appliance.model.instance import Assignment, InstanceStatus
from appliance.model.measurement import Measurement
from appliance.model.node import Dial, NodeFacts, Peer
from appliance.model.skew import Skew
from appliance.model.stamp import Stamp
from appliance.model.usage import NodeUsage
from appliance.model.vip import VipPlan
from appliance.model.wish import LocalWish

LARGEST_MESSAGE = 8 * 1024 * 1024
"""Bytes of one line; a longer one ends the session."""

Mac = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{2}(:[0-9a-f]{2}){5})?\Z")]
"""A MAC address or nothing. Other nodes write it into commands, so an agent must not say anything else."""


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello"):
    """First message of an agent, and again whenever it begins or ceases to follow the manager: who it is, and to a
    manager that it follows everything it runs.

    `turn` rises with every beginning, at whichever manager. `seen`: the newest picture that it has taken; it takes none
    that is older.
    """

    node: str
    facts: NodeFacts
    vtep_mac: Mac
    statuses: tuple[InstanceStatus, ...]
    clock: float
    """Seconds since the epoch on the agent's clock."""
    address: str = ""
    """Where the node moved to, until a manager has confirmed it; "" : nowhere."""
    follows: bool = True
    turn: int = 0
    seen: Stamp = Stamp()


class Report(msgspec.Struct, frozen=True, kw_only=True, tag="report"):
    """Instances whose status changed."""

    statuses: tuple[InstanceStatus, ...]


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, tag="heartbeat"):
    """`usage`: the newest measurement of what the node and its instances use; None before the first.

    `clock` as in Hello. `tick`: the agent's monotonic clock, which an `Echo` brings back; 0 asks for none. `skew`: what
    came of the last ones. `overlay`: the ways to other nodes that are in trouble; None while the node does not know.
    """

    clock: float
    usage: NodeUsage | None = None
    tick: float = 0.0
    skew: Skew | None = None
    overlay: tuple[Measurement, ...] | None = None


class Held(msgspec.Struct, frozen=True, kw_only=True, tag="held"):
    """The virtual addresses that are on the node now; none before the first of these messages."""

    vips: tuple[str, ...]


class Believes(msgspec.Struct, frozen=True, kw_only=True, tag="believes"):
    """Whom the node lets in: public keys of the link's authorities; and who signed the certificate that it shows."""

    authorities: tuple[str, ...]
    signed_by: str


class Wishes(msgspec.Struct, frozen=True, kw_only=True, tag="wishes"):
    """What people on the node asked of its instances and no manager has heard yet; none before the first of these."""

    wishes: tuple[LocalWish, ...]


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """What a manager knows, and followers act upon. `stamp`: how new it is."""

    stamp: Stamp = Stamp()


class DiaryPage(msgspec.Struct, frozen=True, kw_only=True, tag="diary"):
    """What happened on the node and no manager has taken in, the oldest of it. `volume`, `lost`: as in `NodeDiary`."""

    volume: str
    lost: int
    happenings: tuple[Happening, ...]


class DiaryTaken(msgspec.Struct, frozen=True, kw_only=True, tag="diary-taken"):
    """What happened up to this number is in the store."""

    volume: str
    number: int


class TurnedAway(msgspec.Struct, frozen=True, kw_only=True, tag="turned-away"):
    """The manager does not work with this agent, and why; sentences as those of an error. Nothing else follows."""

    what: str
    why: str = ""
    next: str = ""
    page: str = ""


class Orders(Picture, frozen=True, kw_only=True, tag="orders"):
    """What the node has to run. With `full`, instances that are neither listed nor in `keep` are to be removed
    (sidecars excepted); those of `keep` follow in orders of their own, since a message has a largest size.

    `secrets`: plain text by reference (``shop/db-password@3``), of everything in `assignments`. The node keeps them
    sealed; they appear in no other message, and never in a log.
    """

    full: bool
    assignments: tuple[Assignment, ...] = ()
    forget: tuple[str, ...] = ()
    """Instances that are gone from the store after the node reported them removed."""
    keep: tuple[str, ...] = ()
    secrets: dict[str, str] = {}


class Peers(Picture, frozen=True, kw_only=True, tag="peers"):
    """All nodes of the overlay, this one included, and the site's time servers (`Cluster.time_servers`)."""

    peers: tuple[Peer, ...]
    time_servers: tuple[str, ...] = ()


class Gates(Picture, frozen=True, kw_only=True, tag="gates"):
    """Service → the highest rank whose instances may start after a start of their node.

    A service that is not listed has nothing to wait for.
    """

    open: dict[str, int]


class Entries(Picture, frozen=True, kw_only=True, tag="entries"):
    """All entry rules of the cluster, for a node that serves them. `certificates`: all, None where they did not change.

    The private keys appear in no other message, and never in a log.
    """

    rules: tuple[EntryRule, ...]
    certificates: tuple[HostCertificate, ...] | None = None


class Vips(Picture, frozen=True, kw_only=True, tag="vips"):
    """All virtual addresses that this node is a candidate for."""

    vips: tuple[VipPlan, ...]


class DirectoryNews(Picture, frozen=True, kw_only=True, tag="directory"):
    """Who is where. With `full`, endpoints that are not listed are gone; `deploys` and `policies` are whole, None where
    they did not change."""

    full: bool
    endpoints: tuple[Endpoint, ...] = ()
    gone: tuple[str, ...] = ()
    deploys: dict[str, DeployNames] | None = None
    policies: dict[str, Policy] | None = None


class Echo(msgspec.Struct, frozen=True, kw_only=True, tag="echo"):
    """The answer to a heartbeat, at once: its `tick`, and the manager's `clock` in seconds since the epoch.

    `fresh`: the manager's copy of the store is fresh, and as new as what the node has seen.
    """

    tick: float
    clock: float
    fresh: bool = True


class Whereabouts(Picture, frozen=True, kw_only=True, tag="whereabouts"):
    """Where the node is, and the managers (HOST:PORT of their link)."""

    address: str
    managers: tuple[str, ...]


class Trust(Picture, frozen=True, kw_only=True, tag="trust"):
    """Whom the node is to believe, and by what it proves itself from now on.

    `certificate`: a new one for its key, "" : it keeps the one that it has. `authorities`: the public keys of those who
    sign the link's certificates; `ca`: certificates (PEM) of those who sign for TLS, the newest first. `revoked`:
    fingerprints of keys that nobody lets in any more.
    """

    certificate: str = ""
    authorities: tuple[str, ...]
    ca: str
    revoked: tuple[str, ...] = ()


class Promotion(Picture, frozen=True, kw_only=True, tag="promotion"):
    """Become a manager: `member` is the member of etcd (its id in hexadecimal) that was added for the node, `peers` are
    the others (node id → URL), `keys` what all managers share (`pki.SHARED`). `vip`: the cluster's own address; `life`:
    seconds that the node's own certificates are to be good for; `store_quota` as in Cluster.

    The keys appear in no other message, and never in a log.
    """

    member: str
    peers: dict[str, str]
    keys: dict[str, bytes]
    vip: str
    life: float
    store_quota: int = 0


class Demotion(Picture, frozen=True, kw_only=True, tag="demotion"):
    """Be an agent only, and let this side open the connections; the node's member of etcd is gone already."""

    dial: Dial = "agent"


FromAgent = Hello | Report | Heartbeat | Held | Wishes | DiaryPage | Believes
FromManager = (
    Orders
    | Peers
    | Gates
    | Entries
    | Vips
    | DirectoryNews
    | Echo
    | Whereabouts
    | Trust
    | Promotion
    | Demotion
    | DiaryTaken
    | TurnedAway
)


class ExecRequest(msgspec.Struct, frozen=True, kw_only=True, tag="exec"):
    """Run a command in a container. `container` "" : the instance's first."""

    instance: str
    container: str = ""
    command: tuple[str, ...]
    terminal: bool = False
    rows: int = 24
    columns: int = 80
    env: dict[str, str] = {}


class LogsRequest(msgspec.Struct, frozen=True, kw_only=True, tag="logs"):
    """Read what a container wrote. `tail`: only the last lines, None : all that is kept."""

    instance: str
    container: str = ""
    follow: bool = False
    tail: int | None = None
    timestamps: bool = False


class ProbeRequest(msgspec.Struct, frozen=True, kw_only=True, tag="probe"):
    """Measure the overlay towards these nodes. What the node writes is the JSON of a list of `Measurement`."""

    peers: tuple[Peer, ...]


ChannelRequest = ExecRequest | LogsRequest | ProbeRequest
