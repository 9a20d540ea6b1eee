"""The operator's certification authority: issues terminal, channel and gateway certificates and the CRL (RFC 5280)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bankapi.wsse.profile import PROFILE_V1

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
BACKDATED = timedelta(minutes=5)
"""Certificates start a little before now: terminals' clocks may run behind ours by the profile's skew."""


class Purpose(Enum):
    """What a certificate may be used for."""

    TERMINAL = "terminal"
    """TLS client and signature of requests (an ATM's own, or a dealer's channel certificate)."""
    TLS_SERVER = "tls-server"
    ANSWER_SIGNING = "answer-signing"


def new_rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """A fresh RSA key; 2048 bits is the profile's minimum (design section 4)."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def new_ec_key() -> ec.EllipticCurvePrivateKey:
    """A fresh P-256 key, the profile's elliptic-curve choice."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKey) -> bytes:
    """PKCS #8 PEM without a password: file permissions guard it, as for any service key."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def subject_name(common_name: str, organisation: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organisation:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(attributes)


@dataclass(frozen=True)
class Authority:
    """A CA certificate with its key."""

    certificate: x509.Certificate
    key: PrivateKey

    @classmethod
    def create(cls, common_name: str, now: datetime, life: timedelta = timedelta(days=3650)) -> "Authority":
        """A new self-signed CA that may sign end-entity certificates and CRLs only (path length 0)."""
        key = new_rsa_key(3072)
        name = subject_name(common_name)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + life)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def load(cls, certificate_file: Path, key_file: Path) -> "Authority":
        """Read both PEM files; ValueError when they do not belong together."""
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        if not isinstance(key, PrivateKey) or key.public_key() != certificate.public_key():
            raise ValueError(f"{key_file} is not the key of {certificate_file}")
        return cls(certificate, key)

    @classmethod
    def of(cls, certificate: x509.Certificate, key_files: Iterable[Path]) -> "Authority":
        """The certificate with its key, which is in one of the files; ValueError when it is in none."""
        for file in key_files:
            key = serialization.load_pem_private_key(file.read_bytes(), password=None)
            if isinstance(key, PrivateKey) and key.public_key() == certificate.public_key():
                return cls(certificate, key)
        raise ValueError(f"there is no key of {certificate.subject.rfc4514_string()}")

    def issue(
        self,
        subject: x509.Name,
        public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
        purpose: Purpose,
        now: datetime,
        life: timedelta = timedelta(days=730),
        hosts: Sequence[str] = (),
    ) -> x509.Certificate:
        """An end-entity certificate. `hosts` are DNS names and IP addresses for a TLS server."""
        extended = {
            Purpose.TERMINAL: [ExtendedKeyUsageOID.CLIENT_AUTH],
            Purpose.TLS_SERVER: [ExtendedKeyUsageOID.SERVER_AUTH],
            Purpose.ANSWER_SIGNING: [],
        }[purpose]
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.certificate.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + life)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                _key_usage(digital_signature=True, content_commitment=purpose is not Purpose.TLS_SERVER), critical=True
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if extended:
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(h) for h in hosts]), False)
        return builder.sign(self.key, hashes.SHA256())

    def issue_for_request(
        self, request: x509.CertificateSigningRequest, subject: x509.Name, purpose: Purpose, now: datetime
    ) -> x509.Certificate:
        """Answer a CSR (PKCS #10): only its key is taken; the subject is ours to give.

        ValueError when the CSR's own signature is wrong or its key is outside the profile.
        """
        if not request.is_signature_valid:
            raise ValueError("the certificate request's own signature does not verify")
        key = request.public_key()
        if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) or not PROFILE_V1.accepts_key(key):
            shortest, longest = PROFILE_V1.rsa_bits_min, PROFILE_V1.rsa_bits_max
            raise ValueError(f"the key must be RSA of {shortest} to {longest} bits, or P-256")
        return self.issue(subject, key, purpose, now)

    def revocation_list(
        self, revoked: Iterable[tuple[int, datetime]], now: datetime, life: timedelta = timedelta(days=3650)
    ) -> x509.CertificateRevocationList:
        """A full CRL over (serial number, revoked at) pairs.

        It is replaced at every revocation and read by our own servers only, so it does not run out by itself: a
        gateway whose list expired would refuse every terminal.
        """
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - BACKDATED)
            .next_update(now + life)
        )
        for serial_number, revoked_at in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial_number).revocation_date(revoked_at).build()
            )
        return builder.sign(self.key, hashes.SHA256())


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(
    *,
    digital_signature: bool = False,
    content_commitment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=content_commitment,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
