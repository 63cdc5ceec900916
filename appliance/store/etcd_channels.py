"""The connections to etcd's members: this manager's own first, and another's when that one does not serve.

gRPC's own balancing would either stay at the first member that answers at all, or give every second call to one that
hangs. Here a member that failed a call is left out until it has answered a question of ours.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import grpc

from appliance.errors import ApplianceError, Refused, StoreUnavailable
from appliance.model.cluster import ETCD_NAME
from appliance.store.etcd_messages import messages, stubs

CALL_SECONDS = 5.0
"""What etcd needs to notice a leader that hangs and to choose another one, with some to spare: 4.5 s are too few."""
ATTEMPT_SECONDS = 1.0
"""After which a call that may be made again is: what was on its way to a leader of etcd that died is lost."""
LAST_SECONDS = 1.5
"""What the last attempt has at least."""
ASK_AGAIN = 2.0
"""Seconds between two questions to a member that is left out, and for which an answer is awaited."""

# A member that froze is noticed by pings; a member that returns is tried again within a second (grpc's own: 2 min).
_OPTIONS = [
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


_DOES_NOT_SERVE = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
)
_DID_NOTHING = ("failed to connect to all addresses", "rpc not supported for learner")


@dataclass(frozen=True)
class Credentials:
    """PEM: the authority that signed etcd's certificate, and our own certificate and key."""

    authority: bytes
    certificate: bytes
    key: bytes


class EtcdChannel:
    """The connection to one member, and the calls of etcd's API v3 on it."""

    def __init__(self, endpoint: str, credentials: Credentials | None) -> None:
        self.endpoint = endpoint
        target = f"ipv4:{endpoint}"
        if credentials is None:
            self.channel = grpc.insecure_channel(target, options=_OPTIONS)
        else:
            secure = grpc.ssl_channel_credentials(credentials.authority, credentials.key, credentials.certificate)
            options = [*_OPTIONS, ("grpc.ssl_target_name_override", ETCD_NAME)]
            self.channel = grpc.secure_channel(target, secure, options=options)
        self.kv: Any = stubs.KVStub(self.channel)
        self.lease: Any = stubs.LeaseStub(self.channel)
        # etcd takes any number of requests on one such stream; one is all we send.
        self.watch: Any = self.channel.unary_stream(
            "/etcdserverpb.Watch/Watch",
            request_serializer=messages.WatchRequest.SerializeToString,
            response_deserializer=messages.WatchResponse.FromString,
        )
        self.left_out = False
        self.ask_after = 0.0

    def method(self, path: str, request: Any, answer: Any) -> Any:
        """A call of one message by another that the `etcd3` package's stubs do not know as it is now."""
        return self.channel.unary_unary(
            path, request_serializer=request.SerializeToString, response_deserializer=answer.FromString
        )

    def ask(self, answered: Callable[[bool], None]) -> None:
        """A read that only a voter with a majority answers; does not wait for it."""
        future = self.kv.Range.future(messages.RangeRequest(key=b"\0", limit=1), timeout=ASK_AGAIN)
        future.add_done_callback(lambda done: answered(not done.cancelled() and done.exception() is None))

    def close_later(self) -> None:
        """When all that began on it has ended."""
        end = threading.Timer(2 * CALL_SECONDS, self.channel.close)
        end.daemon = True
        end.start()


class EtcdChannels:
    """`endpoints` are ADDRESS:PORT with IPv4 addresses, the preferred one first. Thread-safe."""

    def __init__(self, endpoints: Sequence[str], credentials: Credentials | None = None) -> None:
        self._credentials = credentials
        self._lock = threading.Lock()
        self._open: dict[str, EtcdChannel] = {}
        self._order: tuple[str, ...] = tuple(endpoints)

    @property
    def where(self) -> str:
        return "etcd at " + ", ".join(self._order)

    def use(self, endpoints: Sequence[str]) -> None:
        """From now on these; connections to members that stay are kept."""
        with self._lock:
            if tuple(endpoints) == self._order:
                return
            self._order = tuple(endpoints)
            gone = [self._open.pop(name) for name in self._open.keys() - set(endpoints)]
        for channel in gone:
            channel.close_later()

    def prove(self, credentials: Credentials) -> None:
        """Make connections with these from now on.

        Calls that are under way end on the connection that they began on; watches change over a little later.
        """
        with self._lock:
            old, self._open, self._credentials = self._open, {}, credentials
        for channel in old.values():
            channel.close_later()

    def candidates(self) -> list[EtcdChannel]:
        """Those that serve, as far as we know, the preferred one first; then those that are left out."""
        with self._lock:
            channels = [self._channel(endpoint) for endpoint in self._order]
            due = [each for each in channels if each.left_out and time.monotonic() >= each.ask_after]
            for channel in due:
                channel.ask_after = time.monotonic() + ASK_AGAIN
        for channel in due:
            channel.ask(lambda serves, asked=channel: self._answered(asked, serves))  # type: ignore[misc]
        return sorted(channels, key=lambda channel: channel.left_out)

    def call(self, method_of: Callable[[EtcdChannel], Any], request: Any, *, again: bool = False) -> Any:
        """What a member answers. Raises StoreUnavailable or Refused.

        Another member is asked where the first has surely done nothing, or with `again`: when doing it twice is as good
        as once. Then it is asked anew every ATTEMPT_SECONDS, of one member after the other.
        """
        return self.attempt(method_of, request, again=again)[0]

    def attempt(
        self, method_of: Callable[[EtcdChannel], Any], request: Any, *, again: bool = False
    ) -> tuple[Any, bool]:
        """As `call`, and whether it may have been done before as well."""
        members = self.candidates()
        over, maybe_done = time.monotonic() + CALL_SECONDS, False
        for tries in count(1):
            channel, left = members[(tries - 1) % len(members)], over - time.monotonic()
            try:
                seconds = ATTEMPT_SECONDS if again and left > LAST_SECONDS + ATTEMPT_SECONDS else left
                return method_of(channel)(request, timeout=seconds), maybe_done
            except (grpc.RpcError, StopIteration) as error:
                failure = error
            if _code(failure) not in _DOES_NOT_SERVE:
                break
            self.leave_out(channel)
            maybe_done = maybe_done or not _did_nothing(failure)
            late = _code(failure) is grpc.StatusCode.DEADLINE_EXCEEDED
            if (maybe_done and not again) or left < LAST_SECONDS or (not late and tries >= max(2, len(members))):
                break
        raise _error(failure, self.where) from failure

    def at(self, endpoint: str) -> EtcdChannel:
        """The one to exactly this member."""
        with self._lock:
            return self._channel(endpoint)

    def leave_out(self, channel: EtcdChannel) -> None:
        """It failed a call."""
        with self._lock:
            if not channel.left_out:
                channel.left_out, channel.ask_after = True, time.monotonic() + ASK_AGAIN

    def close(self) -> None:
        for channel in self._open.values():
            channel.channel.close()

    def _channel(self, endpoint: str) -> EtcdChannel:
        channel = self._open.get(endpoint)
        if channel is None:
            channel = self._open[endpoint] = EtcdChannel(endpoint, self._credentials)
        return channel

    def _answered(self, channel: EtcdChannel, serves: bool) -> None:
        with self._lock:
            channel.left_out = not serves


def _code(error: Exception) -> grpc.StatusCode:
    """A stream that ended without a word is as good as a lost connection."""
    return error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNAVAILABLE


def _details(error: Exception) -> str:
    return (error.details() or "") if isinstance(error, grpc.Call) else "it ended the connection"


def _did_nothing(error: Exception) -> bool:
    return any(text in _details(error) for text in _DID_NOTHING)


def _error(error: Exception, where: str) -> ApplianceError:
    code, details = _code(error), _details(error)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "space exceeded" in details:
        return StoreUnavailable(
            "The store is full and takes no more changes.",
            where=where,
            why=details,
            next="delete services and secrets that are not needed, then run `appliance status`",
            page="etcd",
        )
    if code in (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.FAILED_PRECONDITION,
    ):
        return Refused("The store refuses this change.", where=where, why=details)
    return StoreUnavailable(
        "The store cannot be reached.",
        where=where,
        why=f"more than half of the managers have to answer each other; {code.name}: {details}",
        next="see which of them do: appliance status; look there whether this was done before you try it again",
        page="managers#when-most-managers-are-lost",
    )
