"""The cluster's certificate authority for TLS: etcd, the pages, the entry, the clients of etcd."""

import ipaddress
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.model.certificate import DAY, USUAL_LIFE, Validity, validity

AUTHORITY_LIFE = 7300 * DAY
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_KEY = re.compile("-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?-----END \\1PRIVATE KEY-----", re.DOTALL)


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, both PEM; the key is unencrypted PKCS #8."""

    certificate: bytes
    key: bytes


def make_ca(cluster_name: str, now: float) -> KeyPair:
    """A new self-signed authority that may sign end certificates only. `now` in seconds since the epoch."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"appliance {cluster_name}")])
    builder = (
        _builder(name, name, key.public_key(), now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def issue(
    authority: KeyPair,
    common_name: str,
    now: float,
    *,
    names: tuple[str, ...] = (),
    addresses: tuple[str, ...] = (),
    server: bool = False,
    client: bool = False,
    life: float = USUAL_LIFE,
) -> KeyPair:
    """A new key and its certificate for these DNS names and IP addresses, good for `life` seconds."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH] * server + [ExtendedKeyUsageOID.CLIENT_AUTH] * client
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    signed = _sign(authority, subject, key, purposes, alternatives, now, life)
    return _pair(signed, key)


def renew(authority: KeyPair, pair: KeyPair, now: float, life: float) -> KeyPair:
    """The same names, purposes and key for `life` more seconds.

    The key stays, so that only one file of the two changes: whoever reads them in between finds a pair.
    """
    old = x509.load_pem_x509_certificate(pair.certificate)
    key = load_pem_private_key(pair.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), "our keys are always EC keys"
    purposes = list(old.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    return _pair(_sign(authority, old.subject, key, purposes, _alternatives(old), now, life), key)


def _sign(
    authority: KeyPair,
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    purposes: list[x509.ObjectIdentifier],
    alternatives: list[x509.GeneralName],
    now: float,
    life: float,
) -> x509.Certificate:
    signer = load_pem_private_key(authority.key, None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey), "our authority is always an EC key"
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    builder = (
        _builder(subject, issuer.subject, key.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(signer, hashes.SHA256())


def one_certificate(text: bytes) -> bytes:
    """The first certificate in PEM text, and nothing that stands beside it. Raises ValueError where there is none."""
    return x509.load_pem_x509_certificate(text).public_bytes(Encoding.PEM)


def certificates_in(text: bytes) -> list[bytes]:
    """The certificates in PEM text, one by one. Raises ValueError where there is none."""
    return [each.public_bytes(Encoding.PEM) for each in x509.load_pem_x509_certificates(text)]


def certificate_of(key: bytes, certificates: bytes) -> bytes:
    """That of these (PEM) which belongs to the private key. Raises ValueError where none does."""
    public = load_pem_private_key(key, None).public_key()
    for each in x509.load_pem_x509_certificates(certificates):
        if each.public_key() == public:
            return each.public_bytes(Encoding.PEM)
    raise ValueError("none of the certificates belongs to the key")


def validity_of(certificate: bytes) -> Validity:
    """Of the first certificate in PEM text. Raises ValueError where there is none."""
    read = x509.load_pem_x509_certificate(certificate)
    return Validity(begun=read.not_valid_before_utc.timestamp(), over=read.not_valid_after_utc.timestamp())


def is_issued_by(certificate: bytes, authority: bytes) -> bool:
    """Whether a PEM certificate carries the signature of that authority (the first of PEM text)."""
    try:
        x509.load_pem_x509_certificate(certificate).verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def pair_in(text: str) -> KeyPair:
    """The certificates (the server's own first, then who signed it) and the key that stand in one PEM text, in any
    order. Raises ValueError, with a whole sentence, for what is no such pair."""
    try:
        chain = x509.load_pem_x509_certificates("\n".join(_CERTIFICATE.findall(text)).encode())
    except ValueError:
        raise ValueError("there is no certificate in PEM format in it") from None
    block = _KEY.search(text)
    if block is None:
        raise ValueError("there is no private key in PEM format in it; put the key behind the certificates")
    try:
        key = load_pem_private_key(block[0].encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("its private key cannot be read; it must not be encrypted") from None
    own = next((each for each in chain if each.public_key() == key.public_key()), None)
    if own is None:
        raise ValueError("its private key belongs to none of its certificates")
    ordered = [own, *(each for each in chain if each is not own)]
    return KeyPair(
        b"".join(each.public_bytes(Encoding.PEM) for each in ordered),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def addresses_of(certificate: bytes) -> list[str]:
    """The IP addresses that a PEM certificate is for."""
    names = _alternatives(x509.load_pem_x509_certificate(certificate))
    return [str(name.value) for name in names if isinstance(name, x509.IPAddress)]


def _alternatives(certificate: x509.Certificate) -> list[x509.GeneralName]:
    try:
        return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


def fingerprint(certificate: bytes) -> str:
    """Lower-case hex SHA-256 of a PEM certificate's DER form."""
    return x509.load_pem_x509_certificate(certificate).fingerprint(hashes.SHA256()).hex()


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: float, life: float
) -> x509.CertificateBuilder:
    good = validity(now, life)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(good.begun, UTC))
        .not_valid_after(datetime.fromtimestamp(good.over, UTC))
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    return KeyPair(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
