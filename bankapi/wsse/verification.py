"""Verify one signed envelope, in the gateway a request, in a client our answer.

The frame decides what may be signed and where it stands; signxml does the cryptography; and what goes on is rebuilt
from the canonical bytes that were signed, never read from the message that came ("see what is signed").
"""

from dataclasses import InitVar, dataclass
from datetime import datetime
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree

from bankapi.refusals import Refusal, Rule
from bankapi.wsse import names
from bankapi.wsse.frame import read_frame
from bankapi.wsse.profile import SecurityProfile
from bankapi.wsse.signatures import signed_elements
from bankapi.wsse.timestamps import check_timestamp, read_timestamp
from bankapi.wsse.tokens import signing_certificate
from bankapi.wsse.trust import FindCertificate, TrustAnchors

_PROOF = object()
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""n of P-256 (SEC 2 section 2.4.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedEnvelope:
    """What the holder of `certificate` signed. Only `verify` makes one."""

    body: etree._Element
    """The single child of soap:Body, parsed from the signed bytes."""
    headers: tuple[etree._Element, ...]
    """Signed header blocks beside wsse:Security, parsed from the signed bytes."""
    certificate: x509.Certificate
    fingerprint: bytes
    """SHA-256 over the certificate's DER. Whose certificate it is remains to be asked."""
    created_at: datetime
    expires_at: datetime
    replay_key: bytes
    """Accept it once until `expires_at` plus the skew."""
    proof: InitVar[object]

    def __post_init__(self, proof: object) -> None:
        if proof is not _PROOF:
            raise TypeError("only verify() makes a VerifiedEnvelope")


def verify(
    envelope: etree._Element,
    *,
    profile: SecurityProfile,
    trust: TrustAnchors,
    now: datetime,
    find_certificate: FindCertificate,
) -> VerifiedEnvelope:
    """Everything that makes the envelope's Body a statement of the certificate's owner, or a Refusal.

    Revocation, replay and whether this signer may act for this terminal need a database: they are admission's.
    """
    frame = read_frame(envelope, profile)
    certificate = signing_certificate(frame, profile, find_certificate)
    fingerprint = trust.check(certificate, profile=profile, now=now)
    key = certificate.public_key()
    if (frame.signature_algorithm == names.ECDSA_SHA256) != isinstance(key, ec.EllipticCurvePublicKey):
        raise Refusal(Rule.WSSE_SIGNATURE_ALGORITHM, "of another key type")
    signed = signed_elements(frame, certificate, now)
    created_at, expires_at = read_timestamp(signed[frame.targets.index(frame.timestamp)], profile)
    check_timestamp(created_at, expires_at, profile, now)
    # Nothing below this line refuses.
    return VerifiedEnvelope(
        body=signed[frame.targets.index(frame.body)][0],
        headers=tuple(
            element
            for element, target in zip(signed, frame.targets, strict=True)
            if target is not frame.body and target is not frame.timestamp and target is not frame.token
        ),
        certificate=certificate,
        fingerprint=fingerprint,
        created_at=created_at,
        expires_at=expires_at,
        replay_key=replay_key(frame.signature_algorithm, frame.signature_value),
        proof=_PROOF,
    )


def replay_key(signature_algorithm: str, signature_value: bytes) -> bytes:
    """SHA-256 over the SignatureValue. ECDSA verifies (r, n-s) as well as (r, s), so the lower s stands for both."""
    if signature_algorithm == names.ECDSA_SHA256:
        r, s = signature_value[:32], int.from_bytes(signature_value[32:], "big")
        signature_value = r + min(s, _P256_ORDER - s).to_bytes(32, "big")
    return sha256(signature_value).digest()
