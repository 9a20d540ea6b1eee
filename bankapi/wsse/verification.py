"""Verify one signed envelope, in the gateway a request, in a client our answer.

The frame decides what may be signed and where it stands; signxml does the cryptography; and what goes on is rebuilt
from the canonical bytes that were signed, never read from the message that came ("see what is signed").
"""

from dataclasses import InitVar, dataclass
from datetime import datetime
from hashlib import sha256
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree
from signxml import DigestAlgorithm, SignatureConfiguration, SignatureMethod
from signxml.verifier import XMLVerifier

from bankapi.refusals import Refusal, Rule
from bankapi.wsse import names
from bankapi.wsse.frame import SecurityFrame, inclusive_prefixes, read_frame
from bankapi.wsse.profile import SecurityProfile
from bankapi.wsse.timestamps import check_timestamp, read_timestamp
from bankapi.wsse.tokens import signing_certificate
from bankapi.wsse.trust import FindCertificate, TrustAnchors

_PROOF = object()
_LOCATION = f"./{names.HEADER}/{names.SECURITY}/"
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""n of P-256 (SEC 2 section 2.4.2)."""
_xsi_types = etree.XPath("//@xsi:type/..", namespaces={"xsi": names.XSI})


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
    signed = _verify_signature(envelope, frame, certificate, now)
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


class _Verifier(XMLVerifier):  # type: ignore[misc]
    """signxml splits a PrefixList at single spaces, so that "a b " (IBM WebSphere writes it) gains an empty prefix,
    which means #default. An NMTOKENS list is split on any white space.
    """

    def _get_inclusive_ns_prefixes(self, transform_node: etree._Element) -> list[str] | None:
        return inclusive_prefixes(transform_node) or None


def _verify_signature(
    envelope: etree._Element, frame: SecurityFrame, certificate: x509.Certificate, now: datetime
) -> tuple[etree._Element, ...]:
    """The signed elements in the order of their references, rebuilt from the bytes that were digested."""
    try:
        results = _Verifier().verify(
            envelope,
            x509_cert=certificate,
            id_attribute="Id",
            # The frame is stricter, and signxml's schema refuses every InclusiveNamespaces.
            validate_schema=False,
            parser=_parser(),
            expect_config=SignatureConfiguration(
                require_x509=True,
                location=_LOCATION,
                expect_references=len(frame.targets),
                signature_methods=frozenset({SignatureMethod(frame.signature_algorithm)}),
                digest_algorithms=frozenset({DigestAlgorithm.SHA256}),
                verification_time=now,
            ),
        )
    except Exception as error:  # signxml's exceptions are not one family
        raise Refusal(Rule.WSSE_SIGNATURE_INVALID, type(error).__name__) from error
    signed = tuple(result.signed_xml for result in results)
    for element, target in zip(signed, frame.targets, strict=True):
        # signxml found its elements by id, the frame by position: they must be the same ones.
        if element is None or element.tag != target.tag or dict(element.items()) != dict(target.items()):
            raise Refusal(Rule.WSSE_REFERENCE_TARGET, "signed bytes of another element")
        _refuse_unbound_prefix(element)
    return signed


def _refuse_unbound_prefix(signed: etree._Element) -> None:
    """A prefix that occurs only in a value is not covered by exclusive c14n: it could be bound anew unnoticed."""
    for element in cast("list[etree._Element]", _xsi_types(signed)):
        prefix, colon, _ = element.get(names.XSI_TYPE, "").strip().rpartition(":")
        if colon and prefix not in element.nsmap:
            raise Refusal(Rule.WSSE_CANONICALIZATION, "the prefix of an xsi:type is not signed")


def _parser() -> etree.XMLParser:
    """Signed bytes are canonical: no DTD, no entity, nothing to fetch."""
    return etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, encoding="utf-8")
