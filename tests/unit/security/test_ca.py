import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from appliance.security.ca import KeyPair, fingerprint, issue, make_ca, pair_in

NOW = time.time()


def _contexts(tmp_path: Path, authority: KeyPair, server: KeyPair) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    (tmp_path / "ca").write_bytes(authority.certificate)
    (tmp_path / "cert").write_bytes(server.certificate)
    (tmp_path / "key").write_bytes(server.key)
    listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listening.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    calling = ssl.create_default_context(cafile=str(tmp_path / "ca"))
    return listening, calling


def _shake_hands(listening: ssl.SSLContext, calling: ssl.SSLContext, name: str) -> None:
    """A TLS handshake over a socket pair; raises what the client raises."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with listening.wrap_socket(theirs, server_side=True) as tls:
                tls.recv(1)
        except (ssl.SSLError, ConnectionError):
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with calling.wrap_socket(ours, server_hostname=name):
            pass
    finally:
        ours.close()
        thread.join()


def test_a_client_that_trusts_the_authority_accepts_its_servers(tmp_path: Path) -> None:
    authority = make_ca("lab", NOW)
    server = issue(authority, "m1", NOW, names=("etcd.appliance",), addresses=("10.77.0.11",), server=True)
    listening, calling = _contexts(tmp_path, authority, server)
    _shake_hands(listening, calling, "etcd.appliance")
    _shake_hands(listening, calling, "10.77.0.11")


def test_another_name_another_authority_and_a_client_certificate_are_refused(tmp_path: Path) -> None:
    authority = make_ca("lab", NOW)
    server = issue(authority, "m1", NOW, names=("m1",), server=True)
    listening, calling = _contexts(tmp_path, authority, server)
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(listening, calling, "m2")
    _, stranger = _contexts(tmp_path, make_ca("lab", NOW), server)
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(listening, stranger, "m1")
    listening, calling = _contexts(tmp_path, authority, issue(authority, "m1", NOW, names=("m1",), client=True))
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(listening, calling, "m1")


def test_a_clock_that_is_half_an_hour_behind_does_not_refuse_a_new_certificate(tmp_path: Path) -> None:
    authority = make_ca("lab", NOW + 1800)
    server = issue(authority, "m1", NOW + 1800, names=("m1",), server=True)
    listening, calling = _contexts(tmp_path, authority, server)
    _shake_hands(listening, calling, "m1")


def test_the_fingerprint_is_that_of_the_der_form() -> None:
    authority = make_ca("lab", NOW)
    der = ssl.PEM_cert_to_DER_cert(authority.certificate.decode())
    import hashlib

    assert fingerprint(authority.certificate) == hashlib.sha256(der).hexdigest()


def test_a_pair_is_found_in_one_text_in_any_order_with_the_servers_own_certificate_first() -> None:
    authority = make_ca("lab", NOW)
    server = issue(authority, "m1", NOW, names=("m1",), server=True)
    text = (server.key + authority.certificate + server.certificate).decode()
    assert pair_in(f"notes\n{text}") == KeyPair(server.certificate + authority.certificate, server.key)


def test_what_is_no_pair_is_refused_with_the_reason() -> None:
    server, other = (issue(make_ca("lab", NOW), "m1", NOW, server=True) for _ in range(2))
    for text, reason in (
        ("", "no certificate"),
        (server.certificate.decode(), "no private key"),
        ((server.certificate + other.key).decode(), "belongs to none"),
        (server.certificate.decode() + "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----", "cannot be read"),
    ):
        with pytest.raises(ValueError, match=reason):
            pair_in(text)
