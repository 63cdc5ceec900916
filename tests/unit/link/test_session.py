"""Messages over a stream that arrives in pieces."""

import asyncio

import msgspec
import pytest

from appliance.errors import ApplianceError, EngineError, LinkDown, NoSuchContainer
from appliance.link.messages import LARGEST_MESSAGE, FromAgent, Heartbeat, Hello
from appliance.link.session import Messages, Stream, decode_error, encode_error
from appliance.model.node import NodeFacts


class Tap:
    """A channel that only notes whether it was asked to pause."""

    paused = False

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


def received(*pieces: bytes, count: int, end: bool = True) -> list[FromAgent | None]:
    async def read() -> list[FromAgent | None]:
        stream = Stream()
        stream.connection_made(Tap())
        for piece in pieces:
            stream.data_received(piece, None)
        if end:
            stream.eof_received()
        messages: Messages[FromAgent] = Messages(stream, FromAgent)
        return [await messages.receive(0.05) for _ in range(count)]

    return asyncio.run(read())


BEAT = msgspec.json.encode(Heartbeat(clock=1.0)) + b"\n"


def test_a_message_may_arrive_byte_by_byte_and_two_at_once() -> None:
    pieces = [bytes([byte]) for byte in BEAT] + [BEAT + BEAT]
    assert received(*pieces, count=4) == [Heartbeat(clock=1.0)] * 3 + [None]


def test_half_a_message_at_the_end_is_no_message() -> None:
    assert received(BEAT[:-3], count=1) == [None]


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b'{"type": "heartbeat"}\n', b"\xff\xfe\n", b'{"type": "\xff"}\n'])
def test_what_is_no_message_ends_the_link(line: bytes) -> None:
    with pytest.raises(LinkDown):
        received(line, count=1)


@pytest.mark.parametrize("mac", ["02:00", "02:00:00:00:00:01\nlink delete eth0", "02:00:00:00:00:01\n", "eth0"])
def test_an_agent_that_says_anything_but_a_mac_address_ends_the_link(mac: str) -> None:
    facts = NodeFacts(version="1", architecture="x86_64", cpu=1, memory=1, kernel="6", engine="docker", boot_id="b")
    hello = Hello(node="n-1", facts=facts, vtep_mac="02:00:00:00:00:01", statuses=(), clock=1.0)
    assert received(msgspec.json.encode(hello) + b"\n", count=1) == [hello]
    with pytest.raises(LinkDown):
        received(msgspec.json.encode(msgspec.structs.replace(hello, vtep_mac=mac)) + b"\n", count=1)


def test_a_message_of_a_kind_that_only_a_newer_release_knows_is_skipped() -> None:
    later = msgspec.json.encode({"type": "later", "clock": [1]}) + b"\n"
    assert received(later + BEAT + later, count=2) == [Heartbeat(clock=1.0), None]


def test_a_field_that_only_a_newer_release_knows_is_ignored() -> None:
    assert received(b'{"later": 1, ' + BEAT[1:], count=1) == [Heartbeat(clock=1.0)]


def test_an_endless_line_ends_the_link() -> None:
    with pytest.raises(LinkDown):
        received(*[b"x" * 1_000_000] * (LARGEST_MESSAGE // 1_000_000 + 2), count=1)


def test_silence_ends_the_link() -> None:
    with pytest.raises(LinkDown):
        received(count=1, end=False)


@pytest.mark.parametrize("error", [NoSuchContainer("a", where="b", why="c", next="d"), LinkDown("a")])
def test_an_error_arrives_as_it_was_sent(error: ApplianceError) -> None:
    arrived = decode_error(*encode_error(error))
    assert (type(arrived), arrived.lines()) == (type(error), error.lines())


def test_an_error_of_an_unknown_kind_is_the_engines() -> None:
    assert type(decode_error("KILL", "not json")) is EngineError
