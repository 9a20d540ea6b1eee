"""Real keys and certificates, made once."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bankapi.cli.authority import Authority, PrivateKey, Purpose, new_ec_key, new_rsa_key, subject_name
from bankapi.wsse.trust import TrustAnchors
from tests.messages import Signer

NOW = datetime(2026, 11, 23, 9, 0, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Keys:
    """Who may sign, and who may not."""

    authority: Authority
    trust: TrustAnchors
    rsa: Signer
    ec: Signer
    other: Signer
    """Another terminal of the same CA: trusted, but not the one that signed."""
    foreign: Signer
    """The same names, from a CA that is not ours."""
    strangers: dict[str, Signer]
    """Certificates of our CA, or none, that must not sign."""


@pytest.fixture(scope="session")
def keys() -> Keys:
    authority = Authority.create("Operator CA", NOW - timedelta(days=30))
    impostor = Authority.create("Operator CA", NOW - timedelta(days=30))
    rsa_key, ec_key = new_rsa_key(), new_ec_key()

    def issued(key: PrivateKey, by: Authority = authority, name: str = "ATM-0001") -> Signer:
        return Signer(by.issue(subject_name(name, "DEMO-BANK"), key.public_key(), Purpose.TERMINAL, NOW), key)

    weak, p384 = new_rsa_key(1024), ec.generate_private_key(ec.SECP384R1())
    return Keys(
        authority=authority,
        trust=TrustAnchors([authority.certificate]),
        rsa=issued(rsa_key),
        ec=issued(ec_key, name="ATM-0002"),
        other=issued(new_rsa_key(), name="ATM-0003"),
        foreign=issued(rsa_key, impostor),
        strangers={
            "rsa-1024": Signer(special(authority, weak), weak),
            "p-384": Signer(special(authority, p384), p384),
            "expired": Signer(special(authority, rsa_key, start=-20, end=-1), rsa_key),
            "not-yet-valid": Signer(special(authority, rsa_key, start=1, end=20), rsa_key),
            "no-digital-signature": Signer(special(authority, rsa_key, digital_signature=False), rsa_key),
            "no-key-usage": Signer(special(authority, rsa_key, key_usage=False), rsa_key),
            "a-ca": Signer(special(authority, rsa_key, ca=True), rsa_key),
            "our-ca": Signer(authority.certificate, authority.key),
            "unknown-critical": Signer(special(authority, rsa_key, unknown_critical=True), rsa_key),
            "self-signed": Signer(special(Authority(authority.certificate, rsa_key), rsa_key), rsa_key),
        },
    )


def special(
    authority: Authority,
    key: PrivateKey,
    *,
    start: int = -10,
    end: int = 10,
    digital_signature: bool = True,
    key_usage: bool = True,
    ca: bool = False,
    unknown_critical: bool = False,
) -> x509.Certificate:
    """A certificate the authority's own code would not issue; days count from NOW."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject_name("ATM-0001", "DEMO-BANK"))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days=start))
        .not_valid_after(NOW + timedelta(days=end))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if key_usage:
        usage = x509.KeyUsage(digital_signature, True, False, False, False, ca, False, False, False)
        builder = builder.add_extension(usage, critical=True)
    if unknown_critical:
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(authority.key, hashes.SHA256())
