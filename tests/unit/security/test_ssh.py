import time
from typing import Any

import asyncssh
import pytest

from appliance.errors import UsageError
from appliance.security.ssh import issue_host_certificate, issue_user_certificate, make_ssh_key

NOW = time.time()


def test_asyncssh_reads_what_we_issue() -> None:
    authority, authority_public = make_ssh_key()
    _, public = make_ssh_key()
    certificate: Any = asyncssh.import_certificate(issue_host_certificate(authority, public, "node-7", NOW))
    signed_by = asyncssh.import_public_key(authority_public)
    assert certificate.principals == ["node-7"]
    assert certificate.signing_key == signed_by
    certificate.validate(asyncssh.public_key.CERT_TYPE_HOST, "node-7")


def test_a_managers_certificate_is_not_good_for_a_host() -> None:
    authority, _ = make_ssh_key()
    _, public = make_ssh_key()
    certificate: Any = asyncssh.import_certificate(issue_user_certificate(authority, public, "m1", NOW))
    with pytest.raises(ValueError, match="type"):
        certificate.validate(asyncssh.public_key.CERT_TYPE_HOST, "m1")


@pytest.mark.parametrize("key", ["", "ssh-ed25519 AAAA", "ecdsa-sha2-nistp256 x", "ssh-foo AAAA", "\0"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    authority, _ = make_ssh_key()
    with pytest.raises(UsageError, match="public key"):
        issue_host_certificate(authority, key, "node-1", NOW)
