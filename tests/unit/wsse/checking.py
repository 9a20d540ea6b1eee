"""Verification as the tests call it, and a second opinion on the cryptography."""

from base64 import b64decode
from hashlib import sha256
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from lxml import etree

from bankapi.refusals import Refusal, Rule
from bankapi.wsse.frame import SecurityFrame
from bankapi.wsse.profile import PROFILE_V1
from bankapi.wsse.trust import CertificateReference
from bankapi.wsse.verification import VerifiedEnvelope, verify
from tests.messages import canonical
from tests.unit.wsse.conftest import NOW, Keys


def nobody(reference: CertificateReference) -> None:
    """No certificate is registered."""


def verify_bytes(raw: bytes, keys: Keys, **changes: Any) -> VerifiedEnvelope:
    return verify_tree(parse(raw), keys, **changes)


def parse(raw: bytes) -> Any:
    """Without the gateway's parser in front: the frame has to stand alone."""
    return etree.fromstring(raw, etree.XMLParser(resolve_entities=False, no_network=True))


def verify_tree(envelope: Any, keys: Keys, **changes: Any) -> VerifiedEnvelope:
    arguments: dict[str, Any] = {"profile": PROFILE_V1, "trust": keys.trust, "now": NOW, "find_certificate": nobody}
    return verify(envelope, **{**arguments, **changes})


def rule_of(raw: bytes, keys: Keys, **changes: Any) -> Rule | None:
    """Which rule the message breaks; None when it is accepted. Anything but a Refusal fails the test."""
    return rule_of_tree(parse(raw), keys, **changes)


def rule_of_tree(envelope: Any, keys: Keys, **changes: Any) -> Rule | None:
    try:
        verify_tree(envelope, keys, **changes)
    except Refusal as refusal:
        return refusal.rule
    return None


def second_opinion(frame: SecurityFrame, certificate: x509.Certificate) -> bool:
    """The same cryptography by lxml's c14n and `cryptography`, without signxml."""
    signed_info = frame.signature[0]
    content = canonical(signed_info, _prefixes(signed_info[0]))
    try:
        key = certificate.public_key()
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(frame.signature_value, content, padding.PKCS1v15(), hashes.SHA256())
        else:
            assert isinstance(key, ec.EllipticCurvePublicKey)
            if len(frame.signature_value) != 64:
                return False
            r, s = (int.from_bytes(half, "big") for half in (frame.signature_value[:32], frame.signature_value[32:]))
            key.verify(encode_dss_signature(r, s), content, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):  # the key of a mutated certificate may be none
        return False
    return all(
        sha256(canonical(target, _prefixes(reference[0][-1]))).digest() == b64decode(reference[2].text or "")
        for reference, target in zip(signed_info[2:], frame.targets, strict=True)
    )


def _prefixes(method: Any) -> list[str]:
    return (method[0].get("PrefixList") or "").split() if len(method) else []
