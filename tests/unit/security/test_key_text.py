"""Keys and certificates are known by their form: whole, or not."""

import pytest

from appliance.security.ca import make_ca
from appliance.security.key_text import is_whole
from appliance.security.ssh import issue_host_certificate, make_ssh_key

PRIVATE, PUBLIC = make_ssh_key()
CA = make_ca("lab", 1_700_000_000.0)
WHOLE = {
    "private": PRIVATE.encode(),
    "public": PUBLIC.encode(),
    "two public": f"{PUBLIC.strip()}\n{make_ssh_key()[1].strip()}\n".encode(),
    "ssh certificate": issue_host_certificate(PRIVATE, PUBLIC, "n-1", 1_700_000_000.0).encode(),
    "authority": CA.certificate,
    "authority's key": CA.key,
    "two authorities": CA.certificate + make_ca("other", 1_700_000_000.0).certificate,
}


@pytest.mark.parametrize("content", WHOLE.values(), ids=WHOLE.keys())
def test_what_was_cut_off_is_not_whole(content: bytes) -> None:
    assert is_whole(content)
    assert not any(is_whole(content[: len(content) * hundredths // 100]) for hundredths in range(5, 90, 10))


@pytest.mark.parametrize("content", [b"", b"\n", bytes(100), b"hello", b"ssh-ed25519 AAAA", b"-----BEGIN X-----\n"])
def test_what_is_no_key_is_not_whole(content: bytes) -> None:
    assert not is_whole(content)
