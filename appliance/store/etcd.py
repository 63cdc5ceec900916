"""The store in etcd: its gRPC API v3 (etcd 3.5), with a watch and leases of our own.

Of the `etcd3` package only messages and stubs are used: its watch does not survive a reconnect, and its lease helper
renews an expired lease without an error.
"""

import logging
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import grpc

from appliance.errors import Conflict, Refused
from appliance.store.etcd_channels import EtcdChannels
from appliance.store.etcd_messages import messages
from appliance.store.limits import check_commit
from appliance.store.store import Changes, Compacted, Delete, Entry, Expect, Listing, Put

log = logging.getLogger(__name__)

PAGE = 1000
"""Entries in one answer."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 3.0

_ONLY_WITH_LEADER = [("hasleader", "true")]
"""Makes a member that lost its quorum end the watch; otherwise it would stay open there and say nothing."""


class EtcdStore:
    """Through any of the members that `channels` reach."""

    def __init__(self, channels: EtcdChannels) -> None:
        self._channels = channels

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
        answer, maybe_done = self._channels.attempt(
            lambda channel: channel.kv.Txn, request, again=_may_be_repeated(operations, expect)
        )
        if not answer.succeeded:
            if maybe_done and (revision := self._done_at(operations)):
                return revision
            raise Conflict(
                "Somebody else changed it first.", where=_culprit(answer, expect), next="look again and retry"
            )
        return int(answer.header.revision)

    def _done_at(self, operations: Sequence[Put | Delete]) -> int:
        """The revision at which all of it was done together; 0 where it was not, or has been changed since."""
        reads = [messages.RequestOp(request_range=messages.RangeRequest(key=each.key.encode())) for each in operations]
        answer = self._channels.call(lambda channel: channel.kv.Txn, messages.TxnRequest(success=reads), again=True)
        found = [next(iter(each.response_range.kvs), None) for each in answer.responses]
        wanted = [each.value if isinstance(each, Put) else None for each in operations]
        if [kv.value if kv is not None else None for kv in found] != wanted:
            return 0
        revisions = {int(kv.mod_revision) for kv in found if kv is not None}
        return revisions.pop() if len(revisions) == 1 else 0

    def watch(self, prefix: str, after: int) -> "EtcdWatch":
        return EtcdWatch(self._channels, prefix, after)

    def grant(self, seconds: int) -> int:
        request = messages.LeaseGrantRequest(TTL=seconds)
        return int(self._channels.call(lambda channel: channel.lease.LeaseGrant, request, again=True).ID)

    def renew(self, lease: int) -> bool:
        request = messages.LeaseKeepAliveRequest(ID=lease)
        answer = self._channels.call(lambda channel: _first_of(channel.lease.LeaseKeepAlive), request, again=True)
        return bool(answer.TTL > 0)  # an expired lease is answered with a TTL of 0

    def revoke(self, lease: int) -> None:
        with suppress(Refused):
            request = messages.LeaseRevokeRequest(ID=lease)
            self._channels.call(lambda channel: channel.lease.LeaseRevoke, request, again=True)

    def close(self) -> None:
        self._channels.close()

    def _read(self, request: Any) -> Any:
        return self._channels.call(lambda channel: channel.kv.Range, request, again=True)


class EtcdWatch:
    """One stream that is opened again, from the revision after the last one seen, whenever it breaks."""

    def __init__(self, channels: EtcdChannels, prefix: str, after: int) -> None:
        self._channels = channels
        self._prefix = prefix
        self._after = after
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._call: Any = None

    def __iter__(self) -> Iterator[Changes]:
        pause = _FIRST_PAUSE
        while not self._closed.is_set():
            channel = self._channels.candidates()[0]
            with self._lock:
                if self._closed.is_set():
                    return
                self._call = channel.watch(self._request(), metadata=_ONLY_WITH_LEADER)
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
                    self._channels.leave_out(channel)
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


def _may_be_repeated(operations: Sequence[Put | Delete], expect: Sequence[Expect]) -> bool:
    """It cannot be done twice: the first time ends what it depends on. With a lease, whose it is would be unclear."""
    puts = {each.key for each in operations if isinstance(each, Put)}
    leased = any(isinstance(each, Put) and each.lease for each in operations)
    return not leased and any(each.key in puts for each in expect)


def _first_of(stream: Any) -> Any:
    """A call that takes one message and gives one, of a method that streams both ways."""

    def call(request: Any, timeout: float) -> Any:
        return next(stream(iter([request]), timeout=timeout))

    return call


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
