"""A sealed stream comes back whole or not at all."""

import io

import pytest

from appliance.security.stream import CHUNK, SealedReader, SealedWriter, StreamDamaged, stream_key

KEY = bytes(range(32))
SEALED_CHUNK = CHUNK + 16


def sealed(plain: bytes, key: bytes = KEY) -> bytes:
    out = io.BytesIO()
    writer = SealedWriter(out, key)
    writer.write(plain)
    writer.finish()
    return out.getvalue()


def opened(data: bytes, key: bytes = KEY) -> bytes:
    return SealedReader(io.BytesIO(data), key).readall() or b""


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 7])
def test_what_was_sealed_comes_back(size: int) -> None:
    plain = bytes(n % 251 for n in range(size))
    assert opened(sealed(plain)) == plain


def test_it_does_not_matter_in_which_pieces_it_was_written() -> None:
    out = io.BytesIO()
    writer = SealedWriter(out, KEY)
    for _ in range(1000):
        writer.write(b"x" * 333)
    writer.finish()
    assert out.getvalue() == sealed(b"x" * 333_000)


@pytest.mark.parametrize("length", [0, 1, 15, SEALED_CHUNK - 1, SEALED_CHUNK, 2 * SEALED_CHUNK, 2 * SEALED_CHUNK + 5])
def test_a_stream_that_was_cut_is_not_read_to_its_end(length: int) -> None:
    whole = sealed(bytes(2 * CHUNK + 10))
    with pytest.raises(StreamDamaged):
        opened(whole[:length])


def test_chunks_in_another_order_are_not_read() -> None:
    whole = sealed(bytes(3 * CHUNK))
    parts = [whole[n * SEALED_CHUNK : (n + 1) * SEALED_CHUNK] for n in range(3)]
    for order in ((1, 0, 2), (0, 0, 2), (0, 2), (2,), (0, 1, 2, 2), (0, 1, 1, 2)):
        with pytest.raises(StreamDamaged):
            opened(b"".join(parts[n] for n in order))


def test_what_follows_the_end_is_not_ignored() -> None:
    with pytest.raises(StreamDamaged):
        opened(sealed(b"x") + b"y")


def test_another_salt_or_another_header_makes_another_key() -> None:
    made = {stream_key(b"secret", salt, about) for salt in (b"1" * 16, b"2" * 16) for about in (b"a", b"b")}
    assert len(made) == 4


def test_another_key_opens_nothing() -> None:
    with pytest.raises(StreamDamaged):
        opened(sealed(b"x"), bytes(32))
