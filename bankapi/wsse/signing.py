"""Sign an envelope: our answers, and our client's requests.

Every signed part goes to the wire as the very bytes that were digested. Exclusive c14n does not depend on ancestors,
and canonical bytes are their own canonical form, so there is no signed tree to build and to serialise again: what
costs time is the private key. Signing is not the verification of hostile input; signxml's signer takes twice as long.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from secrets import token_hex

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from bankapi.wsse import names
from bankapi.wsse.profile import PROFILE_V1

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

# Canonical already: double quotes, no empty-element tags, namespace declarations first, attributes in order.
_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<soap:Envelope xmlns:soap="{names.SOAP}"><soap:Header>'
    f'<wsse:Security xmlns:wsse="{names.WSSE}" xmlns:wsu="{names.WSU}" soap:mustUnderstand="1">'
    "%s"
    f'<wsse:BinarySecurityToken EncodingType="{names.BASE64_BINARY}" ValueType="{names.X509_V3}" wsu:Id="%s">%s'
    "</wsse:BinarySecurityToken>"
    f'<ds:Signature xmlns:ds="{names.DS}">%s<ds:SignatureValue>%s</ds:SignatureValue><ds:KeyInfo>'
    f'<wsse:SecurityTokenReference><wsse:Reference URI="#%s" ValueType="{names.X509_V3}"></wsse:Reference>'
    "</wsse:SecurityTokenReference></ds:KeyInfo></ds:Signature></wsse:Security>%s</soap:Header>%s</soap:Envelope>"
)
_TIMESTAMP = (
    f'<wsu:Timestamp xmlns:wsu="{names.WSU}" wsu:Id="%s"><wsu:Created>%s</wsu:Created>'
    "<wsu:Expires>%s</wsu:Expires></wsu:Timestamp>"
)
_SIGNED_INFO = (
    f'<ds:SignedInfo xmlns:ds="{names.DS}"><ds:CanonicalizationMethod Algorithm="{names.EXC_C14N}">'
    '</ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="%s"></ds:SignatureMethod>%s</ds:SignedInfo>'
)
_REFERENCE = (
    f'<ds:Reference URI="#%s"><ds:Transforms><ds:Transform Algorithm="{names.EXC_C14N}"></ds:Transform>'
    f'</ds:Transforms><ds:DigestMethod Algorithm="{names.SHA256}"></ds:DigestMethod>'
    "<ds:DigestValue>%s</ds:DigestValue></ds:Reference>"
)
_BODY = f'<soap:Body xmlns:soap="{names.SOAP}" xmlns:wsu="{names.WSU}" wsu:Id="%s">%s</soap:Body>'
_HEADER = f'<soap:Header xmlns:soap="{names.SOAP}" xmlns:wsu="{names.WSU}">%s</soap:Header>'


@dataclass(frozen=True, slots=True)
class SigningIdentity:
    """A certificate and its private key; what they give to every message is made once."""

    certificate: x509.Certificate
    private_key: PrivateKey = field(repr=False)
    algorithm: str = field(init=False)
    token: str = field(init=False, repr=False)
    """The BinarySecurityToken's text."""

    def __post_init__(self) -> None:
        public_key = self.private_key.public_key()
        if self.certificate.public_key() != public_key:
            raise ValueError("the private key is not the certificate's")
        if not PROFILE_V1.accepts_key(public_key):
            raise ValueError("the key is outside the security profile")
        is_rsa = isinstance(public_key, rsa.RSAPublicKey)
        object.__setattr__(self, "algorithm", names.RSA_SHA256 if is_rsa else names.ECDSA_SHA256)
        object.__setattr__(self, "token", _base64(self.certificate.public_bytes(Encoding.DER)))


def sign_envelope(
    payload: etree._Element,
    identity: SigningIdentity,
    *,
    now: datetime,
    headers: Sequence[etree._Element] = (),
    life_s: int = 300,
) -> bytes:
    """A SOAP 1.1 envelope around copies of `payload` and `headers`: Timestamp, Body and every header are signed.

    Ids are random: RSA signatures are deterministic, and two equal messages of one second must not look like a replay.
    As exclusive c14n drops what is not used in a name, a value may hold no QName of a prefix that no name uses.
    """
    serial = token_hex(8)
    timestamp = _TIMESTAMP % (f"TS-{serial}", _utc(now), _utc(now + timedelta(seconds=life_s)))
    signed = {f"TS-{serial}": timestamp, f"B-{serial}": _canonical_body(payload, f"B-{serial}")}
    for index, header in enumerate(headers):
        signed[f"H{index}-{serial}"] = _canonical_header(header, f"H{index}-{serial}")
    references = "".join(_REFERENCE % (name, _base64(sha256(part.encode()).digest())) for name, part in signed.items())
    signed_info = _SIGNED_INFO % (identity.algorithm, references)
    token_id = f"X509-{serial}"
    signature_value = _base64(_signature_value(identity.private_key, signed_info.encode()))
    _, body, *header_blocks = signed.values()
    parts = (timestamp, token_id, identity.token, signed_info, signature_value, token_id, "".join(header_blocks), body)
    return (_ENVELOPE % parts).encode()


def _canonical_body(payload: etree._Element, name: str) -> str:
    # Parsed again instead of appended: lxml would change prefixes, and a value may use one (faultcode is a QName).
    return _canonical(etree.fromstring(_BODY % (name, _canonical(payload))))


def _canonical_header(header: etree._Element, name: str) -> str:
    block = etree.fromstring(_HEADER % _canonical(header))[0]
    block.set(names.WSU_ID, name)
    return _canonical(block)


def _canonical(element: etree._Element) -> str:
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False, with_tail=False).decode()


def _signature_value(key: PrivateKey, signed_info: bytes) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(signed_info, padding.PKCS1v15(), hashes.SHA256())
    # XML Signature 1.1 section 6.4.3: r and s side by side, each as long as the order of the curve.
    r, s = decode_dss_signature(key.sign(signed_info, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _utc(instant: datetime) -> str:
    """BSP R3217 and R3220: UTC written with Z, three fraction digits."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _base64(octets: bytes) -> str:
    return b64encode(octets).decode()
