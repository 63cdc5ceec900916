"""The store in etcd: its gRPC API v3 (etcd 3.5), with a watch and leases of our own.

Of the `etcd3` package only messages and stubs are used: its watch does not survive a reconnect, and its lease helper
renews an expired lease without an error.
"""

import logging
import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from appliance.errors import ApplianceError, Conflict, Refused, StoreUnavailable
from appliance.model.cluster import ETCD_NAME
from appliance.store.etcd_messages import messages, stubs
from appliance.store.limits import check_commit
from appliance.store.store import Changes, Compacted, Delete, Entry, Expect, Listing, Put

log = logging.getLogger(__name__)

CALL_SECONDS = 5.0
PAGE = 1000
"""Entries in one answer."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 3.0

# A member that froze is noticed by pings; a member that returns is tried again within a second (grpc's own: 2 min).
_CHANNEL_OPTIONS = [
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.ping_timeout_ms", 3_000),
    ("grpc.max_receive_message_length", -1),  # a page of large values is more than grpc's 4 MiB
    ("grpc.enable_http_proxy", 0),
    # Whoever waits for a watch's next message is then woken by it, and not ten times a second to look.
    ("SingleThreadedUnaryStream", 1),  # grpc.experimental.ChannelOptions
]

_ONLY_WITH_LEADER = [("hasleader", "true")]
"""Makes a member that lost its quorum end the watch; otherwise it would stay open there and say nothing."""


@dataclass(frozen=True)
class Credentials:
    """PEM: the authority that signed etcd's certificate, and our own certificate and key."""

    authority: bytes
    certificate: bytes
    key: bytes


class EtcdStore:
    """`endpoints` are ADDRESS:PORT with IPv4 addresses. Without `credentials` the connection is not encrypted."""

    def __init__(self, endpoints: Sequence[str], credentials: Credentials | None = None) -> None:
        self._target = "ipv4:" + ",".join(endpoints)
        self._where = "etcd at " + ", ".join(endpoints)
        self._connect(credentials)

    def _connect(self, credentials: Credentials | None) -> None:
        if credentials is None:
            self._channel = grpc.insecure_channel(self._target, options=_CHANNEL_OPTIONS)
        else:
            secure = grpc.ssl_channel_credentials(credentials.authority, credentials.key, credentials.certificate)
            options = [*_CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", ETCD_NAME)]
            self._channel = grpc.secure_channel(self._target, secure, options=options)
        self._kv = stubs.KVStub(self._channel)
        self._lease = stubs.LeaseStub(self._channel)
        # etcd takes any number of requests on one such stream; one is all we send.
        self._watch = self._channel.unary_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=messages.WatchRequest.SerializeToString,
            response_deserializer=messages.WatchResponse.FromString,
        )
        self._cluster = stubs.ClusterStub(self._channel)

    def use(self, credentials: Credentials) -> None:
        """Make connections with these from now on.

        Calls that are under way end on the connection that they began on; watches change over a little later.
        """
        old = self._channel
        self._connect(credentials)
        end = threading.Timer(2 * CALL_SECONDS, old.close)
        end.daemon = True
        end.start()

    def get(self, key: str) -> Entry | None:
        answer = self._read(messages.RangeRequest(key=key.encode()))
        return _entry(answer.kvs[0]) if answer.kvs else None

    def list(self, prefix: str) -> Listing:
        entries: list[Entry] = []
        start, end, revision = prefix.encode(), _end_of(prefix), 0
        while True:
            answer = self._read(messages.RangeRequest(key=start, range_end=end, limit=PAGE, revision=revision))
            revision = revision or answer.header.revision
            entries += map(_entry, answer.kvs)
            if not answer.more:
                return Listing(revision, tuple(entries))
            start = answer.kvs[-1].key + b"\0"

    def commit(self, operations: Sequence[Put | Delete], expect: Sequence[Expect] = ()) -> int:
        check_commit(operations, expect)
        request = messages.TxnRequest(
            compare=[_compare(condition) for condition in expect],
            success=[_operation(operation) for operation in operations],
            failure=[
                messages.RequestOp(request_range=messages.RangeRequest(key=e.key.encode(), keys_only=True))
                for e in expect
            ],
        )
        answer = self._call(self._kv.Txn, request)
        if not answer.succeeded:
            raise Conflict(
                "Somebody else changed it first.", where=_culprit(answer, expect), next="look again and retry"
            )
        return int(answer.header.revision)

    def watch(self, prefix: str, after: int) -> "EtcdWatch":
        return EtcdWatch(lambda *given, **more: self._watch(*given, **more), prefix, after)

    def grant(self, seconds: int) -> int:
        return int(self._call(self._lease.LeaseGrant, messages.LeaseGrantRequest(TTL=seconds)).ID)

    def renew(self, lease: int) -> bool:
        try:
            answers = self._lease.LeaseKeepAlive(iter([messages.LeaseKeepAliveRequest(ID=lease)]), timeout=CALL_SECONDS)
            return bool(next(answers).TTL > 0)  # an expired lease is answered with a TTL of 0
        except (grpc.RpcError, StopIteration) as error:
            raise self._error(error) from error

    def revoke(self, lease: int) -> None:
        try:
            self._lease.LeaseRevoke(messages.LeaseRevokeRequest(ID=lease), timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise self._error(error) from error

    def set_peer_url(self, member: str, url: str) -> None:
        """Tell the cluster where other members reach this one; nothing happens where they know."""
        for known in self._call(self._cluster.MemberList, messages.MemberListRequest()).members:
            if known.name == member and list(known.peerURLs) != [url]:
                self._call(self._cluster.MemberUpdate, messages.MemberUpdateRequest(ID=known.ID, peerURLs=[url]))

    def close(self) -> None:
        self._channel.close()

    def _read(self, request: Any) -> Any:
        """Reading twice does no harm, so one lost connection is not worth an error."""
        try:
            return self._call(self._kv.Range, request)
        except StoreUnavailable:
            return self._call(self._kv.Range, request)

    def _call(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            raise self._error(error) from error

    def _error(self, error: Exception) -> ApplianceError:
        if not isinstance(error, grpc.Call):
            return StoreUnavailable("The store ended the connection.", where=self._where, next="tried again by itself")
        code, details = error.code(), error.details() or ""
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "space exceeded" in details:
            return StoreUnavailable(
                "The store is full and takes no more changes.",
                where=self._where,
                why=details,
                next="delete services or history that is not needed, then run `appliance status`",
                page="troubleshooting",
            )
        if code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND):
            return Refused("The store refuses this change.", where=self._where, why=details)
        return StoreUnavailable(
            "The store cannot be reached.",
            where=self._where,
            why=f"{code.name}: {details}",
            next="see appliance status",
        )


class EtcdWatch:
    """One stream that is opened again, from the revision after the last one seen, whenever it breaks."""

    def __init__(self, open_stream: Any, prefix: str, after: int) -> None:
        self._open_stream = open_stream
        self._prefix = prefix
        self._after = after
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._call: Any = None

    def __iter__(self) -> Iterator[Changes]:
        pause = _FIRST_PAUSE
        while not self._closed.is_set():
            with self._lock:
                if self._closed.is_set():
                    return
                self._call = self._open_stream(self._request(), metadata=_ONLY_WITH_LEADER)
            try:
                for answer in self._call:
                    if answer.canceled:
                        if answer.compact_revision:
                            raise Compacted
                        break
                    changes = self._changes(answer)
                    if changes is not None:
                        pause = _FIRST_PAUSE
                        yield changes
            except grpc.RpcError:
                if not self._closed.is_set():
                    log.info("watch of %s: %s; opening it again", self._prefix, self._call.details())
            finally:
                self._call.cancel()
            self._closed.wait(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, _LONGEST_PAUSE)

    def close(self) -> None:
        with self._lock:
            self._closed.set()
            if self._call is not None:
                self._call.cancel()

    def _request(self) -> Any:
        create = messages.WatchCreateRequest(
            key=self._prefix.encode(),
            range_end=_end_of(self._prefix),
            start_revision=self._after + 1,
            progress_notify=True,
        )
        return messages.WatchRequest(create_request=create)

    def _changes(self, answer: Any) -> Changes | None:
        """None for the notice that the watch was made."""
        if not answer.events:
            if answer.created:
                return None
            self._after = max(self._after, int(answer.header.revision))
            return Changes(self._after)
        items: list[Entry | Delete] = []
        for event in answer.events:
            deleted = event.type == event.DELETE
            items.append(Delete(event.kv.key.decode()) if deleted else _entry(event.kv))
            self._after = max(self._after, int(event.kv.mod_revision))
        return Changes(self._after, tuple(items))


def _entry(kv: Any) -> Entry:
    return Entry(kv.key.decode(), kv.value, int(kv.mod_revision))


def _end_of(prefix: str) -> bytes:
    """The first key after all keys with this prefix (etcd's range_end)."""
    raw = prefix.encode()
    return raw[:-1] + bytes([raw[-1] + 1])


def _compare(condition: Expect) -> Any:
    return messages.Compare(
        result=messages.Compare.EQUAL,
        target=messages.Compare.MOD,
        key=condition.key.encode(),
        mod_revision=condition.revision,
    )


def _operation(operation: Put | Delete) -> Any:
    if isinstance(operation, Put):
        put = messages.PutRequest(key=operation.key.encode(), value=operation.value, lease=operation.lease)
        return messages.RequestOp(request_put=put)
    delete = messages.DeleteRangeRequest(key=operation.key.encode())
    return messages.RequestOp(request_delete_range=delete)


def _culprit(answer: Any, expect: Sequence[Expect]) -> str:
    """The key whose condition did not hold."""
    for condition, response in zip(expect, answer.responses, strict=True):
        kvs = response.response_range.kvs
        if (kvs[0].mod_revision if kvs else 0) != condition.revision:
            return condition.key
    return ""
