"""Signed messages as real clients write them, and as attackers change them.

This signer shares no code with `bankapi.wsse.signing`: it fills a drawn-up document with digests and a signature,
whatever the document is, so that it signs nonsense as willingly as good messages.

    draft = zeep()                                  # or node_soap, gsoap, wss4j, php, websphere, minimal
    raw = sign(draft, signer)                       # a good message
    raw = sign(replace(draft, token_value_type="x"), signer)
    raw = change(raw, lambda envelope: ...)         # after signing
"""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha1, sha256
from typing import Any
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
DS = "http://www.w3.org/2000/09/xmldsig#"
EXC = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
RSA_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
HMAC_SHA1 = "http://www.w3.org/2000/09/xmldsig#hmac-sha1"
ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"
X509_V3 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3"
X509_SKI = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509SubjectKeyIdentifier"
THUMBPRINT = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1"
BASE64 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
NS = {"soap": SOAP, "wsse": WSSE, "wsu": WSU, "ds": DS, "ec": EXC}

PING = '<b:PingRequest xmlns:b="urn:bankapi:v1"/>'
PAYMENT = (
    '<b:RegisterPaymentRequest xmlns:b="urn:bankapi:v1"><b:Language>ru</b:Language>'
    "<b:Reference>20261123-000000042</b:Reference><b:Payer><b:Msisdn>79160000001</b:Msisdn></b:Payer>"
    '<b:Amount currency="RUB">150.00</b:Amount><b:PaidAt>2026-11-23T09:00:00Z</b:PaidAt><b:CardBin>22001234</b:CardBin>'
    "<b:Rrn>632812345678</b:Rrn><b:AuthorizationCode>A1B2C3</b:AuthorizationCode></b:RegisterPaymentRequest>"
)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Signer:
    """A key and the certificate that goes with it."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def token(self) -> str:
        return b64encode(self.certificate.public_bytes(Encoding.DER)).decode()


@dataclass(frozen=True)
class Covered:
    """One ds:Reference: what it points at and how it says so."""

    name: str
    """`body`, `timestamp`, `token`, or the id of anything else."""
    transforms: tuple[str, ...] = (EXC,)
    prefixes: str | None = None
    digest: str = SHA256
    uri: str | None = None
    """Overrides `#id`."""
    transforms_xml: str | None = None
    """Overrides the whole Transforms element."""


@dataclass(frozen=True)
class Draft:
    """A message before it is signed: the choices in which client stacks differ, and attackers too."""

    payload: str = PAYMENT
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    life_s: int = 300
    created: str | None = None
    expires: str | None = None
    soap: str = "soapenv"
    envelope_attributes: str = ""
    declaration: str = ""
    body_attributes: str = ""
    body_id: str = "id-" + "1" * 8
    timestamp_id: str = "TS-" + "2" * 8
    token_id: str = "X509-" + "3" * 8
    id_attribute: str = "wsu:Id"
    timestamp_xml: str | None = None
    token_attributes: str | None = None
    token_text: str | None = None
    token_lines: bool = False
    order: tuple[str, ...] = ("token", "timestamp", "signature")
    security_attributes: str = 'soapenv:mustUnderstand="1"'
    headers_before: str = ""
    headers_after: str = ""
    security_extra: str = ""
    between: str = ""
    ds: str = "ds:"
    c14n: str = EXC
    c14n_prefixes: str | None = None
    c14n_children: str = ""
    signature_algorithm: str | None = None
    signature_method_children: str = ""
    covered: tuple[Covered, ...] = (Covered("timestamp"), Covered("body"))
    signed_info_extra: str = ""
    signature_extra: str = ""
    key_info: str | None = None

    def id_of(self, name: str) -> str:
        return {"body": self.body_id, "timestamp": self.timestamp_id, "token": self.token_id}.get(name, name)


def utc(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


# The styles, each with a good message of its stack


def minimal(**changes: Any) -> Draft:
    """Nothing beyond the profile: what our own client sends, in other words."""
    return replace(Draft(), **changes)


def zeep(**changes: Any) -> Draft:
    """zeep BinarySignature: default-namespace ds, order Signature, token, Timestamp; base64 in lines; soap-env."""
    style = Draft(
        soap="soap-env",
        declaration="<?xml version='1.0' encoding='utf-8'?>\n",
        order=("signature", "token", "timestamp"),
        security_attributes="",
        ds="",
        covered=(Covered("body"), Covered("timestamp")),
        token_lines=True,
        body_id=f"id-{uuid4()}",
        timestamp_id=f"id-{uuid4()}",
        token_id=f"id-{uuid4()}",
    )
    return replace(style, **changes)


def node_soap(**changes: Any) -> Draft:
    """node soap WSSecurityCert by default: plain Id, transforms [enveloped-signature, exc-c14n], xmlns Timestamp."""
    style = Draft(
        soap="soap",
        declaration='<?xml version="1.0" encoding="utf-8"?>',
        security_attributes='soap:mustUnderstand="1"',
        id_attribute="Id",
        body_id="_0",
        timestamp_id="_1",
        token_id=f"x509-{uuid4().hex}",
        ds="",
        covered=(Covered("body", (ENVELOPED, EXC)), Covered("timestamp", (ENVELOPED, EXC))),
        life_s=600,
    )
    draft = replace(style, **changes)
    if draft.timestamp_xml is None and not {"created", "expires"} & changes.keys():
        created, expires = utc(draft.now), utc(draft.now + timedelta(seconds=draft.life_s))
        draft = replace(
            draft,
            timestamp_xml=f'<Timestamp xmlns="{WSU}" Id="{draft.timestamp_id}"><Created>{created}</Created>'
            f"<Expires>{expires}</Expires></Timestamp>",
        )
    return draft


def gsoap(**changes: Any) -> Draft:
    """gSOAP wsse plugin: signs Body, token and Timestamp; short fixed ids; SOAP-ENV and many declarations."""
    style = Draft(
        soap="SOAP-ENV",
        declaration='<?xml version="1.0" encoding="UTF-8"?>\n',
        envelope_attributes=' xmlns:SOAP-ENC="http://schemas.xmlsoap.org/soap/encoding/"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
        f' xmlns:c14n="{EXC}" xmlns:ns1="urn:bankapi:v1"',
        security_attributes='SOAP-ENV:mustUnderstand="1"',
        order=("timestamp", "token", "signature"),
        body_id="Body",
        timestamp_id="Time",
        token_id="X509Token",
        covered=(Covered("timestamp"), Covered("token"), Covered("body")),
        payload=PAYMENT.replace('<b:RegisterPaymentRequest xmlns:b="urn:bankapi:v1">', "<b:RegisterPaymentRequest>")
        .replace("<b:", "<ns1:")
        .replace("</b:", "</ns1:"),
    )
    return replace(style, **changes)


def wss4j(**changes: Any) -> Draft:
    """WSS4J and CXF: InclusiveNamespaces PrefixLists in CanonicalizationMethod and every Transform."""
    style = Draft(
        soap="soapenv",
        envelope_attributes=' xmlns:urn="urn:bankapi:v1"',
        c14n_prefixes="soapenv urn",
        covered=(Covered("timestamp", prefixes="wsse soapenv urn"), Covered("body", prefixes="urn")),
        body_id=f"id-{uuid4().hex.upper()}",
        timestamp_id=f"TS-{uuid4().hex.upper()}",
        token_id=f"X509-{uuid4().hex.upper()}",
        created=None,
    )
    return replace(style, **changes)


def php(**changes: Any) -> Draft:
    """wse-php: Signature and token at the top, ids `pfx...`, all Security children signed before the Body."""
    style = Draft(
        soap="SOAP-ENV",
        declaration='<?xml version="1.0" encoding="UTF-8"?>\n',
        envelope_attributes=' xmlns:ns1="urn:bankapi:v1"',
        security_attributes='SOAP-ENV:mustUnderstand="1"',
        order=("token", "signature", "timestamp"),
        body_id=f"pfx{uuid4()}",
        timestamp_id=f"pfx{uuid4()}",
        token_id=f"pfx{uuid4()}",
        covered=(Covered("timestamp"), Covered("body")),
    )
    return replace(style, **changes)


def websphere(**changes: Any) -> Draft:
    """IBM WebSphere: PrefixLists that end in a space, attributes of encodings all over the envelope."""
    style = wss4j(
        envelope_attributes=' xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/"'
        ' xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"',
        c14n_prefixes="wsse ds xsi soapenc xsd soapenv ",
        covered=(
            Covered("timestamp", prefixes="wsu wsse xsi soapenc xsd soapenv "),
            Covered("body", prefixes="xsi soapenc xsd wsu soapenv "),
        ),
    )
    return replace(style, **changes)


STYLES: dict[str, Callable[..., Draft]] = {
    "zeep": zeep,
    "node-soap": node_soap,
    "gsoap": gsoap,
    "wss4j": wss4j,
    "php": php,
    "websphere": websphere,
    "minimal": minimal,
}


# Other ways to name the certificate


def issuer_serial(certificate: x509.Certificate) -> str:
    return (
        f"<ds:X509Data><ds:X509IssuerSerial><ds:X509IssuerName>{certificate.issuer.rfc4514_string()}"
        f"</ds:X509IssuerName><ds:X509SerialNumber>{certificate.serial_number}</ds:X509SerialNumber>"
        "</ds:X509IssuerSerial></ds:X509Data>"
    )


def key_identifier(value_type: str, value: bytes) -> str:
    return (
        f'<wsse:KeyIdentifier EncodingType="{BASE64}" ValueType="{value_type}">{b64encode(value).decode()}'
        "</wsse:KeyIdentifier>"
    )


def subject_key_identifier(certificate: x509.Certificate) -> str:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return key_identifier(X509_SKI, extension.value.digest)


def thumbprint(certificate: x509.Certificate) -> str:
    return key_identifier(THUMBPRINT, certificate.fingerprint(hashes.SHA1()))


def named_by(reference: str, **changes: Any) -> Draft:
    """A message without a token; the certificate is named by `reference`, the content of the STR."""
    key_info = f"<wsse:SecurityTokenReference>{reference}</wsse:SecurityTokenReference>"
    return replace(Draft(order=("timestamp", "signature"), key_info=key_info), **changes)


# Signing


def sign(draft: Draft, signer: Signer) -> bytes:
    """Write the draft out, fill in the digests of whatever the references resolve to, and sign."""
    envelope = etree.fromstring(document(draft, signer).encode())
    return sign_tree(envelope, signer.key, declaration=draft.declaration.encode())


def sign_tree(envelope: Any, key: PrivateKey, declaration: bytes = b"") -> bytes:
    """(Re)compute every digest and the SignatureValue of a tree as it stands."""
    (signature,) = envelope.xpath("/*/soap:Header/wsse:Security/ds:Signature", namespaces=NS)
    for reference in signature.iterfind("ds:SignedInfo/ds:Reference", NS):
        target = _target(envelope, reference.get("URI"))
        content = b"" if target is None else canonical(target, _prefixes(reference.find("ds:Transforms", NS)))
        method = reference.find("ds:DigestMethod", NS)
        digest = (sha1 if method is not None and method.get("Algorithm") == SHA1 else sha256)(content).digest()
        reference.find("ds:DigestValue", NS).text = b64encode(digest).decode()
    seal(signature, key)
    return declaration + etree.tostring(envelope, encoding="utf-8")


def seal(signature: Any, key: PrivateKey) -> None:
    """Only the SignatureValue, over SignedInfo as it stands."""
    signed_info = signature.find("ds:SignedInfo", NS)
    content = canonical(signed_info, _prefixes(signed_info.find("ds:CanonicalizationMethod", NS)))
    algorithm = signed_info.find("ds:SignatureMethod", NS).get("Algorithm")
    signature.find("ds:SignatureValue", NS).text = b64encode(_signature_value(key, algorithm, content)).decode()


def canonical(element: Any, prefixes: list[str] | None = None) -> bytes:
    """Exclusive c14n in the element's own context, the PrefixList's declarations included."""
    alone = etree.fromstring(etree.tostring(element, with_tail=False))
    return etree.tostring(
        alone, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=prefixes or None
    )


def change(raw: bytes, edit: Callable[[Any], object]) -> bytes:
    """The message with its tree edited after signing."""
    envelope = etree.fromstring(raw)
    edit(envelope)
    return etree.tostring(envelope.getroottree(), encoding="utf-8")


def one(envelope: Any, path: str) -> Any:
    """The one node at a path with the prefixes soap, wsse, wsu, ds, ec."""
    (node,) = envelope.xpath(path, namespaces=NS)
    return node


def document(draft: Draft, signer: Signer) -> str:
    """The message with empty digests and signature."""
    security = "".join(
        {"token": _token, "timestamp": _timestamp, "signature": _signature}[part](draft, signer) for part in draft.order
    )
    soap = draft.soap
    attributes = draft.security_attributes.replace("soapenv:", f"{soap}:")
    return (
        f'<{soap}:Envelope xmlns:{soap}="{SOAP}"{draft.envelope_attributes}><{soap}:Header>{draft.headers_before}'
        f'<wsse:Security xmlns:wsse="{WSSE}" xmlns:wsu="{WSU}" {attributes}>{security}{draft.security_extra}'
        f"</wsse:Security>{draft.headers_after}</{soap}:Header>{draft.between}"
        f'<{soap}:Body xmlns:wsu="{WSU}" {draft.id_attribute}="{draft.body_id}"{draft.body_attributes}>'
        f"{draft.payload}</{soap}:Body></{soap}:Envelope>"
    )


def _timestamp(draft: Draft, signer: Signer) -> str:
    if draft.timestamp_xml is not None:
        return draft.timestamp_xml
    created = draft.created or utc(draft.now)
    expires = draft.expires or utc(draft.now + timedelta(seconds=draft.life_s))
    return (
        f'<wsu:Timestamp {draft.id_attribute}="{draft.timestamp_id}"><wsu:Created>{created}</wsu:Created>'
        f"<wsu:Expires>{expires}</wsu:Expires></wsu:Timestamp>"
    )


def _token(draft: Draft, signer: Signer) -> str:
    text = signer.token if draft.token_text is None else draft.token_text
    if draft.token_lines:
        text = "\n" + "\n".join(text[i : i + 64] for i in range(0, len(text), 64)) + "\n"
    attributes = draft.token_attributes
    if attributes is None:
        attributes = f'EncodingType="{BASE64}" ValueType="{X509_V3}" wsu:Id="{draft.token_id}"'
    return f"<wsse:BinarySecurityToken {attributes}>{text}</wsse:BinarySecurityToken>"


def _signature(draft: Draft, signer: Signer) -> str:
    ds = draft.ds
    declaration = f'xmlns:{ds[:-1]}="{DS}"' if ds else f'xmlns="{DS}"'
    algorithm = draft.signature_algorithm or (RSA_SHA256 if isinstance(signer.key, rsa.RSAPrivateKey) else ECDSA_SHA256)
    key_info = draft.key_info
    if key_info is None:
        key_info = (
            f'<wsse:SecurityTokenReference><wsse:Reference URI="#{draft.token_id}" ValueType="{X509_V3}"/>'
            "</wsse:SecurityTokenReference>"
        )
    references = "".join(_reference(draft, covered) for covered in draft.covered)
    return (
        f"<{ds}Signature {declaration}><{ds}SignedInfo>"
        f'<{ds}CanonicalizationMethod Algorithm="{draft.c14n}">{_inclusive(draft.c14n_prefixes)}{draft.c14n_children}'
        f'</{ds}CanonicalizationMethod><{ds}SignatureMethod Algorithm="{algorithm}">{draft.signature_method_children}'
        f"</{ds}SignatureMethod>{references}{draft.signed_info_extra}</{ds}SignedInfo><{ds}SignatureValue/>"
        f"<{ds}KeyInfo>{key_info}</{ds}KeyInfo>{draft.signature_extra}</{ds}Signature>"
    )


def _reference(draft: Draft, covered: Covered) -> str:
    ds = draft.ds
    uri = f"#{draft.id_of(covered.name)}" if covered.uri is None else covered.uri
    transforms = "".join(
        f'<{ds}Transform Algorithm="{algorithm}">{_inclusive(covered.prefixes) if algorithm == EXC else ""}'
        f"</{ds}Transform>"
        for algorithm in covered.transforms
    )
    transforms_xml = covered.transforms_xml
    if transforms_xml is None:
        transforms_xml = f"<{ds}Transforms>{transforms}</{ds}Transforms>"
    return (
        f'<{ds}Reference URI="{uri}">{transforms_xml}<{ds}DigestMethod Algorithm="{covered.digest}"/>'
        f"<{ds}DigestValue/></{ds}Reference>"
    )


def _inclusive(prefixes: str | None) -> str:
    if prefixes is None:
        return ""
    return f'<ec:InclusiveNamespaces xmlns:ec="{EXC}" PrefixList="{prefixes}"/>'


def _prefixes(within: Any) -> list[str]:
    if within is None:
        return []
    return [prefix for value in within.xpath(".//ec:*/@PrefixList", namespaces=NS) for prefix in value.split()]


def _target(envelope: Any, uri: str | None) -> Any:
    if uri == "":
        return envelope
    found = envelope.xpath("//*[@*[local-name() = 'Id'] = $name]", name=(uri or "")[1:])
    return found[0] if found else None


def _signature_value(key: PrivateKey, algorithm: str | None, content: bytes) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(content, ec.ECDSA(hashes.SHA256())))
        length = (key.key_size + 7) // 8
        return r.to_bytes(length, "big") + s.to_bytes(length, "big")
    digest = hashes.SHA1() if algorithm == RSA_SHA1 else hashes.SHA256()
    return key.sign(content, padding.PKCS1v15(), digest)
