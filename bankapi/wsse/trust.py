"""Which certificates may sign: issued by one of our CAs, fit for signatures, valid now (RFC 5280).

Whose certificate it is, and whether it was revoked or withdrawn, is the caller's question: it needs the register.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from threading import Lock

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtensionOID

from bankapi.refusals import Refusal, Rule
from bankapi.wsse.profile import SecurityProfile

CHECKED_CERTIFICATES_MAX = 4096
"""Certificates whose issuer, key and usage are remembered: only good ones, so that a stranger cannot fill it."""
_CRITICAL_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)


class CertificateReferenceKind(Enum):
    """The ways a message may name a certificate it does not carry (X.509 Token Profile section 3.2, WSS 1.1 7.3)."""

    ISSUER_SERIAL = "issuer-serial"
    SUBJECT_KEY_IDENTIFIER = "subject-key-identifier"
    THUMBPRINT_SHA1 = "thumbprint-sha1"


@dataclass(frozen=True, slots=True)
class CertificateReference:
    """A certificate's name in a message: a look-up key among registered certificates, never a proof of anything."""

    kind: CertificateReferenceKind
    value: bytes
    """The serial number as big-endian bytes without leading zeros, the key identifier, or the thumbprint."""
    issuer: x509.Name | None = None
    """For ISSUER_SERIAL. Stacks write the name's parts in either order, so compare by `names`."""

    @property
    def serial_number(self) -> int:
        assert self.kind is CertificateReferenceKind.ISSUER_SERIAL
        return int.from_bytes(self.value, "big")

    def names(self, certificate: x509.Certificate) -> bool:
        """Does this reference name that certificate?"""
        match self.kind:
            case CertificateReferenceKind.ISSUER_SERIAL:
                return (
                    self.issuer is not None
                    and certificate.serial_number == self.serial_number
                    and _unordered(certificate.issuer) == _unordered(self.issuer)
                )
            case CertificateReferenceKind.SUBJECT_KEY_IDENTIFIER:
                return subject_key_identifier(certificate) == self.value
            case CertificateReferenceKind.THUMBPRINT_SHA1:
                # A look-up key, not a protection: SHA-1 is what WSS 1.1 defines for it.
                return certificate.fingerprint(hashes.SHA1()) == self.value  # noqa: S303


FindCertificate = Callable[[CertificateReference], x509.Certificate | None]
"""The caller's look-up among registered certificates."""


def fingerprint(certificate: x509.Certificate) -> bytes:
    """SHA-256 over the certificate's DER: its name everywhere in this system."""
    return certificate.fingerprint(hashes.SHA256())


def subject_key_identifier(certificate: x509.Certificate) -> bytes | None:
    """The extension's value (RFC 5280 section 4.2.1.2), or None when there is none."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return None


class TrustAnchors:
    """Our CAs. Issuer, key and usage of a certificate are checked once, its validity every time."""

    def __init__(self, certificates: Iterable[x509.Certificate]) -> None:
        self._authorities = tuple(certificates)
        if not self._authorities:
            raise ValueError("no trust anchor: nothing could ever be verified")
        for authority in self._authorities:
            if not _is_authority(authority):
                raise ValueError(f"not a CA certificate: {authority.subject.rfc4514_string()}")
        self._windows: dict[tuple[bytes, SecurityProfile], tuple[datetime, datetime]] = {}
        self._lock = Lock()

    def check(self, certificate: x509.Certificate, *, profile: SecurityProfile, now: datetime) -> bytes:
        """The certificate's fingerprint, when it may sign messages at `now`; otherwise a Refusal."""
        name = fingerprint(certificate)
        window = self._windows.get((name, profile))
        if window is None:
            window = self._check_unchanging(certificate, profile)
            with self._lock:
                if len(self._windows) >= CHECKED_CERTIFICATES_MAX:
                    self._windows.clear()
                self._windows[name, profile] = window
        not_before, not_after = window
        if not not_before <= now <= not_after:
            raise Refusal(Rule.WSSE_CERTIFICATE_VALIDITY)
        return name

    def _check_unchanging(self, certificate: x509.Certificate, profile: SecurityProfile) -> tuple[datetime, datetime]:
        """Issuer, key and usage; the answer is when both the certificate and its issuer are valid."""
        issuer = self._issuer(certificate)
        if issuer is None:
            raise Refusal(Rule.WSSE_CERTIFICATE_UNTRUSTED)
        try:
            key = certificate.public_key()
        except Exception as error:  # an unknown key type or curve raises more than one kind
            raise Refusal(Rule.WSSE_CERTIFICATE_KEY, "unreadable key") from error
        if not profile.accepts_key(key):
            raise Refusal(Rule.WSSE_CERTIFICATE_KEY)
        if not _may_sign(certificate):
            raise Refusal(Rule.WSSE_CERTIFICATE_USAGE)
        return (
            max(certificate.not_valid_before_utc, issuer.not_valid_before_utc),
            min(certificate.not_valid_after_utc, issuer.not_valid_after_utc),
        )

    def _issuer(self, certificate: x509.Certificate) -> x509.Certificate | None:
        for authority in self._authorities:
            try:
                certificate.verify_directly_issued_by(authority)
            except Exception:  # a hostile certificate: not one family of exceptions  # noqa: S112
                continue
            return authority
        return None


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        extensions = certificate.extensions
        return (
            extensions.get_extension_for_class(x509.BasicConstraints).value.ca
            and extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
        )
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False


def _may_sign(certificate: x509.Certificate) -> bool:
    """KeyUsage has digitalSignature, it is no CA, and no critical extension is unknown (RFC 5280 section 4.2)."""
    try:
        extensions = certificate.extensions
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
        constraints = [e.value for e in extensions if isinstance(e.value, x509.BasicConstraints)]
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    return (
        usage.digital_signature
        and not any(c.ca for c in constraints)
        and all(e.oid in _CRITICAL_UNDERSTOOD for e in extensions if e.critical)
    )


def _unordered(name: x509.Name) -> list[tuple[str, str]]:
    return sorted((a.oid.dotted_string, str(a.value)) for a in name)
