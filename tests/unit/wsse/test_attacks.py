"""Every known way to make a signature say something else, each refused by the one rule it breaks.

Wrapping attacks: McIntosh and Austel, "XML Signature Element Wrapping Attacks" (2005). Every case begins with a
message that is good but for the one change, so that the expected rule is also the only one broken.
"""

from base64 import b64encode
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from bankapi.refusals import Rule
from tests import messages
from tests.messages import (
    ENVELOPED,
    NS,
    X509_V3,
    Draft,
    change,
    minimal,
    one,
    sign,
    sign_tree,
)
from tests.unit.wsse.checking import rule_of, rule_of_tree
from tests.unit.wsse.conftest import NOW, Keys

EVIL = '<b:RegisterPaymentRequest xmlns:b="urn:bankapi:v1"><b:Reference>EVIL</b:Reference></b:RegisterPaymentRequest>'
TOKEN_REFERENCE = f'<wsse:Reference URI="#X509-33333333" ValueType="{X509_V3}"/>'
NAMESPACES = {**NS, "xml": "http://www.w3.org/XML/1998/namespace"}
Edit = Callable[[Any], object]


def draft(**changes: Any) -> Draft:
    return minimal(now=NOW, **changes)


def element(tag: str, inner: str = "", attributes: str = "") -> Any:
    prefix = tag.partition(":")[0]
    declarations = " ".join(f'xmlns:{p}="{uri}"' for p, uri in NS.items())
    known = "" if prefix in NS else ' xmlns:x="urn:x"'
    return etree.fromstring(f"<{tag} {declarations}{known} {attributes}>{inner}</{tag}>")


# Changes after signing


def evil_body(envelope: Any, identifier: str = "evil") -> Any:
    """The signed Body taken out and an attacker's put in its place."""
    signed = one(envelope, "/*/soap:Body")
    envelope.remove(signed)
    envelope.append(element("soap:Body", EVIL, f'wsu:Id="{identifier}"'))
    return signed


def wrap_in_header(envelope: Any) -> None:
    wrapper = element("x:Wrapper")
    wrapper.append(evil_body(envelope))
    envelope[0].append(wrapper)


def wrap_in_header_optional(envelope: Any) -> None:
    """A wrapper that a receiver may ignore: mustUnderstand=0, and another actor."""
    wrapper = element("x:Wrapper", attributes='soap:mustUnderstand="0" soap:actor="urn:none"')
    wrapper.append(evil_body(envelope))
    envelope[0].insert(0, wrapper)


def wrap_in_security(envelope: Any) -> None:
    one(envelope, "//wsse:Security").append(evil_body(envelope))


def wrap_in_object(envelope: Any) -> None:
    carrier = element("ds:Object")
    carrier.append(evil_body(envelope))
    one(envelope, "//ds:Signature").append(carrier)


def wrap_in_key_info(envelope: Any) -> None:
    one(envelope, "//ds:KeyInfo").append(evil_body(envelope))


def wrap_in_str(envelope: Any) -> None:
    one(envelope, "//wsse:SecurityTokenReference").append(evil_body(envelope))


def wrap_in_body(envelope: Any) -> None:
    """The signed Body inside the attacker's, behind the operation."""
    signed = evil_body(envelope)
    envelope[1].append(signed)


def wrap_in_operation(envelope: Any) -> None:
    signed = evil_body(envelope)
    envelope[1][0].append(signed)


def wrap_timestamp(envelope: Any) -> None:
    """An old signed Timestamp kept in a wrapper, a fresh one where it is looked for."""
    old = one(envelope, "//wsu:Timestamp")
    fresh = deepcopy(old)
    fresh.set(f"{{{messages.WSU}}}Id", "fresh")
    old.getparent().replace(old, fresh)
    wrapper = element("x:Wrapper")
    wrapper.append(old)
    envelope[0].append(wrapper)


def timestamp_as_header(envelope: Any) -> None:
    old = one(envelope, "//wsu:Timestamp")
    fresh = deepcopy(old)
    fresh.set(f"{{{messages.WSU}}}Id", "fresh")
    old.getparent().replace(old, fresh)
    envelope[0].append(old)


def move(source: str, target: str, index: int = 0) -> Edit:
    return lambda envelope: one(envelope, target).insert(index, one(envelope, source))


def add(path: str, tag: str, inner: str = "", attributes: str = "", index: int = 1000) -> Edit:
    return lambda envelope: one(envelope, path).insert(index, element(tag, inner, attributes))


def twice(path: str, after: bool = True) -> Edit:
    def edit(envelope: Any) -> None:
        node = one(envelope, path)
        parent = node.getparent()
        parent.insert(parent.index(node) + after, deepcopy(node))

    return edit


def without(path: str) -> Edit:
    return lambda envelope: one(envelope, path).getparent().remove(one(envelope, path))


def attribute(path: str, name: str, value: str) -> Edit:
    prefix, colon, local = name.rpartition(":")
    clark = f"{{{NAMESPACES[prefix]}}}{local}" if colon else name
    return lambda envelope: one(envelope, path).set(clark, value)


def text(path: str, value: str) -> Edit:
    return lambda envelope: setattr(one(envelope, path), "text", value)


def tail(path: str, value: str = "stray") -> Edit:
    return lambda envelope: setattr(one(envelope, path), "tail", value)


def rename(path: str, tag: str) -> Edit:
    return lambda envelope: setattr(one(envelope, path), "tag", tag)


def swap(envelope: Any) -> None:
    envelope.insert(0, envelope[1])


BODY, SECURITY, SIGNATURE = "/*/soap:Body", "//wsse:Security", "//ds:Signature"
TIMESTAMP, TOKEN, INFO = "//wsu:Timestamp", "//wsse:BinarySecurityToken", "//ds:SignedInfo"
STR, DIGEST = "//wsse:SecurityTokenReference", "(//ds:SignedInfo//ds:DigestValue)[1]"

AFTER_SIGNING: dict[str, tuple[Edit, Rule]] = {
    # Wrapping
    "xsw body in a header wrapper": (wrap_in_header, Rule.WSSE_REFERENCE_TARGET),
    "xsw body in an optional header": (wrap_in_header_optional, Rule.WSSE_REFERENCE_TARGET),
    "xsw body as a header": (lambda e: e[0].append(evil_body(e)), Rule.WSSE_BODY_NOT_SIGNED),
    "xsw body in security": (wrap_in_security, Rule.WSSE_HEADER_CHILDREN),
    "xsw body in ds:Object": (wrap_in_object, Rule.WSSE_SIGNATURE_FORM),
    "xsw body in KeyInfo": (wrap_in_key_info, Rule.WSSE_TOKEN_REFERENCE),
    "xsw body in STR": (wrap_in_str, Rule.WSSE_TOKEN_REFERENCE),
    "xsw body in the evil body": (wrap_in_body, Rule.SOAP_BODY_CHILDREN),
    "xsw body in the evil operation": (wrap_in_operation, Rule.WSSE_REFERENCE_TARGET),
    "xsw same id twice": (lambda e: e[0].append(evil_body(e, "id-11111111")), Rule.XML_DUPLICATE_ID),
    "xsw second body after": (lambda e: e.append(element("soap:Body", EVIL)), Rule.SOAP_STRUCTURE),
    "xsw second body before": (lambda e: e.insert(1, element("soap:Body", EVIL)), Rule.SOAP_STRUCTURE),
    "xsw body before header": (swap, Rule.WSSE_HEADER_MISSING),
    "xsw timestamp in a wrapper": (wrap_timestamp, Rule.WSSE_REFERENCE_TARGET),
    "xsw timestamp as a header": (timestamp_as_header, Rule.WSSE_TIMESTAMP_NOT_SIGNED),
    "xsw signature under a header": (move(SIGNATURE, "/*/soap:Header"), Rule.WSSE_HEADER_CHILDREN),
    "xsw security in the body": (move(SECURITY, BODY), Rule.SOAP_BODY_CHILDREN),
    "xsw security in a wrapper": (
        lambda e: e[0].append(_wrapped(one(e, SECURITY))),
        Rule.WSSE_HEADER_MISSING,
    ),
    "xsw token as a header": (move(TOKEN, "/*/soap:Header"), Rule.WSSE_TOKEN_REFERENCE),
    # The envelope
    "no header": (without("/*/soap:Header"), Rule.WSSE_HEADER_MISSING),
    "no body": (without(BODY), Rule.SOAP_STRUCTURE),
    "empty body": (lambda e: e[1].remove(e[1][0]), Rule.SOAP_BODY_CHILDREN),
    "two operations": (lambda e: e[1].append(etree.fromstring(EVIL)), Rule.SOAP_BODY_CHILDREN),
    "element after body": (add("/*", "x:Trailer"), Rule.SOAP_STRUCTURE),
    "text in the envelope": (tail(BODY), Rule.SOAP_STRAY_TEXT),
    "text in the header": (tail(SECURITY), Rule.SOAP_STRAY_TEXT),
    "text in the body": (text(BODY, "stray"), Rule.SOAP_STRAY_TEXT),
    "soap 1.2": (rename("/*", "{http://www.w3.org/2003/05/soap-envelope}Envelope"), Rule.SOAP_NOT_AN_ENVELOPE),
    "not soap": (rename("/*", "Envelope"), Rule.SOAP_NOT_AN_ENVELOPE),
    "comment in the reference": (lambda e: e[1][0][1].append(etree.Comment("x")), Rule.XML_COMMENT),
    "comment in a digest": (lambda e: one(e, DIGEST).append(etree.Comment("x")), Rule.XML_COMMENT),
    "comment in the header": (lambda e: e[0].append(etree.Comment("x")), Rule.XML_COMMENT),
    "instruction in the body": (lambda e: e[1][0].append(etree.PI("x")), Rule.XML_PROCESSING_INSTRUCTION),
    "instruction before the root": (lambda e: e.addprevious(etree.PI("x")), Rule.XML_PROCESSING_INSTRUCTION),
    "comment after the root": (lambda e: e.addnext(etree.Comment("x")), Rule.XML_PROCESSING_INSTRUCTION),
    "entity in the body": (lambda e: e[1][0].append(etree.Entity("x")), Rule.XML_ENTITY),
    # Ids
    "id twice, wsu:Id": (attribute(SIGNATURE, "Id", "id-11111111"), Rule.XML_DUPLICATE_ID),
    "id twice, ID": (attribute(f"{BODY}/*", "ID", "id-11111111"), Rule.XML_DUPLICATE_ID),
    "id twice, id": (attribute(f"{BODY}/*", "id", "id-11111111"), Rule.XML_DUPLICATE_ID),
    "id twice, xml:id": (
        lambda e: e[1][0].set("{http://www.w3.org/XML/1998/namespace}id", "id-11111111"),
        Rule.XML_DUPLICATE_ID,
    ),
    "id twice, a stranger's Id": (lambda e: e[0].set("{urn:x}Id", "id-11111111"), Rule.XML_DUPLICATE_ID),
    "id twice, with a space": (lambda e: e[0].set("Id", " id-11111111 "), Rule.XML_DUPLICATE_ID),
    "two ids on the body": (attribute(BODY, "Id", "evil"), Rule.XML_DUPLICATE_ID),
    "two ids on the timestamp": (attribute(TIMESTAMP, "xml:id", "evil"), Rule.XML_DUPLICATE_ID),
    # The security header
    "no security": (without(SECURITY), Rule.WSSE_HEADER_MISSING),
    "second security": (twice(SECURITY), Rule.WSSE_HEADER_DUPLICATE),
    "second security, other actor": (
        add("/*/soap:Header", "wsse:Security", "", 'soap:actor="x"'),
        Rule.WSSE_HEADER_DUPLICATE,
    ),
    "second security, first": (add("/*/soap:Header", "wsse:Security", index=0), Rule.WSSE_HEADER_DUPLICATE),
    "second security in the body": (add(f"{BODY}/*", "wsse:Security"), Rule.WSSE_HEADER_DUPLICATE),
    "another's security": (attribute(SECURITY, "soap:actor", "urn:other"), Rule.WSSE_ACTOR),
    "another's security, next": (
        attribute(SECURITY, "soap:actor", "http://schemas.xmlsoap.org/soap/actor/next"),
        Rule.WSSE_ACTOR,
    ),
    "another's security, soap 1.2": (
        lambda e: one(e, SECURITY).set("{http://www.w3.org/2003/05/soap-envelope}role", "urn:other"),
        Rule.WSSE_ACTOR,
    ),
    "text in security": (tail(TIMESTAMP), Rule.WSSE_HEADER_CHILDREN),
    "second timestamp": (twice(TIMESTAMP), Rule.XML_DUPLICATE_ID),
    "second timestamp, unsigned": (add(SECURITY, "wsu:Timestamp"), Rule.WSSE_HEADER_CHILDREN),
    "no timestamp": (without(TIMESTAMP), Rule.WSSE_HEADER_CHILDREN),
    "no signature": (without(SIGNATURE), Rule.WSSE_HEADER_CHILDREN),
    "second signature": (twice(SIGNATURE), Rule.WSSE_HEADER_CHILDREN),
    "second signature in the body": (lambda e: e[1][0].append(deepcopy(one(e, SIGNATURE))), Rule.WSSE_SIGNATURE_FORM),
    "second token": (add(SECURITY, "wsse:BinarySecurityToken"), Rule.WSSE_HEADER_CHILDREN),
    "user name token": (add(SECURITY, "wsse:UsernameToken"), Rule.WSSE_HEADER_CHILDREN),
    "signature confirmation": (add(SECURITY, "x:SignatureConfirmation"), Rule.WSSE_HEADER_CHILDREN),
    # The signature
    "signature with text": (text(SIGNATURE, "x"), Rule.WSSE_SIGNATURE_FORM),
    "no KeyInfo": (without("//ds:KeyInfo"), Rule.WSSE_SIGNATURE_FORM),
    "no SignatureValue": (without("//ds:SignatureValue"), Rule.WSSE_SIGNATURE_FORM),
    "no SignedInfo": (without(INFO), Rule.WSSE_SIGNATURE_FORM),
    "two SignedInfo": (twice(INFO), Rule.WSSE_SIGNATURE_FORM),
    "two SignatureValue": (twice("//ds:SignatureValue"), Rule.WSSE_SIGNATURE_FORM),
    "empty object": (add(SIGNATURE, "ds:Object"), Rule.WSSE_SIGNATURE_FORM),
    "unknown attribute": (attribute(INFO, "x", "y"), Rule.WSSE_SIGNATURE_FORM),
    "signature value empty": (text("//ds:SignatureValue", ""), Rule.WSSE_SIGNATURE_FORM),
    "signature value not base64": (text("//ds:SignatureValue", "!"), Rule.WSSE_SIGNATURE_FORM),
    "signature value with a child": (add("//ds:SignatureValue", "ds:Object"), Rule.WSSE_SIGNATURE_FORM),
    "signature value with a known child": (add("//ds:SignatureValue", "ds:DigestValue"), Rule.WSSE_SIGNATURE_FORM),
    "signature value too long": (text("//ds:SignatureValue", "AAAA" * 200), Rule.WSSE_SIGNATURE_FORM),
    "signature value too short": (text("//ds:SignatureValue", "AAAA"), Rule.WSSE_SIGNATURE_INVALID),
    "signature value zero": (text("//ds:SignatureValue", b64encode(bytes(256)).decode()), Rule.WSSE_SIGNATURE_INVALID),
    "digest empty": (text(DIGEST, ""), Rule.WSSE_SIGNATURE_FORM),
    "digest of 20 octets": (text(DIGEST, b64encode(bytes(20)).decode()), Rule.WSSE_SIGNATURE_FORM),
    "digest replaced": (text(DIGEST, b64encode(bytes(32)).decode()), Rule.WSSE_SIGNATURE_INVALID),
    "digest of other alphabet": (text(DIGEST, "-_" * 21 + "A="), Rule.WSSE_SIGNATURE_FORM),
    # Contents
    "amount changed": (lambda e: setattr(e[1][0][3], "text", "999.00"), Rule.WSSE_SIGNATURE_INVALID),
    "attribute changed": (lambda e: e[1][0][3].set("currency", "USD"), Rule.WSSE_SIGNATURE_INVALID),
    "attribute added to the body": (attribute(BODY, "x", "y"), Rule.WSSE_SIGNATURE_INVALID),
    "element added": (add(f"{BODY}/*", "x:More"), Rule.WSSE_SIGNATURE_INVALID),
    "element removed": (without(f"{BODY}/*/*[1]"), Rule.WSSE_SIGNATURE_INVALID),
    "space added": (text(f"{BODY}/*", " "), Rule.WSSE_SIGNATURE_INVALID),
    "operation renamed": (rename(f"{BODY}/*", "{urn:bankapi:v1}CancelPaymentRequest"), Rule.WSSE_SIGNATURE_INVALID),
    "created changed": (text("//wsu:Created", "2026-11-23T09:00:01Z"), Rule.WSSE_SIGNATURE_INVALID),
    "expires changed": (text("//wsu:Expires", "2026-11-23T09:09:59Z"), Rule.WSSE_SIGNATURE_INVALID),
    "references reordered": (lambda e: one(e, INFO).append(one(e, INFO)[2]), Rule.WSSE_SIGNATURE_INVALID),
    "transform added": (
        lambda e: one(e, f"({INFO}//ds:Transforms)[1]").insert(
            0, element("ds:Transform", "", f'Algorithm="{ENVELOPED}"')
        ),
        Rule.WSSE_SIGNATURE_INVALID,
    ),
    # Tokens
    "no token": (without(TOKEN), Rule.WSSE_TOKEN_REFERENCE),
    "token without a value type": (lambda e: one(e, TOKEN).attrib.pop("ValueType"), Rule.WSSE_TOKEN_FORM),
    "token without an encoding": (lambda e: one(e, TOKEN).attrib.pop("EncodingType"), Rule.WSSE_TOKEN_FORM),
    "token of a PKI path": (
        attribute(TOKEN, "ValueType", X509_V3.replace("X509v3", "X509PKIPathv1")),
        Rule.WSSE_TOKEN_FORM,
    ),
    "token of PKCS 7": (attribute(TOKEN, "ValueType", X509_V3.replace("X509v3", "PKCS7")), Rule.WSSE_TOKEN_FORM),
    "token in hexadecimal": (attribute(TOKEN, "EncodingType", "urn:HexBinary"), Rule.WSSE_TOKEN_FORM),
    "token with an attribute": (attribute(TOKEN, "x", "y"), Rule.WSSE_TOKEN_FORM),
    "token of junk": (text(TOKEN, b64encode(b"\x30\x82junk").decode()), Rule.WSSE_TOKEN_FORM),
    "token empty": (text(TOKEN, ""), Rule.WSSE_TOKEN_FORM),
    "token not base64": (text(TOKEN, "%%%"), Rule.WSSE_TOKEN_FORM),
    "token too long": (text(TOKEN, "AAAA" * 3000), Rule.WSSE_TOKEN_FORM),
    "token with a child": (add(TOKEN, "x:More"), Rule.WSSE_TOKEN_FORM),
    "reference without a value type": (lambda e: one(e, f"{STR}/*").attrib.pop("ValueType"), Rule.WSSE_TOKEN_REFERENCE),
    "reference of another type": (attribute(f"{STR}/*", "ValueType", "urn:x"), Rule.WSSE_TOKEN_REFERENCE),
    "reference to the timestamp": (attribute(f"{STR}/*", "URI", "#TS-22222222"), Rule.WSSE_TOKEN_REFERENCE),
    "reference to the internet": (attribute(f"{STR}/*", "URI", "http://evil/x.cer"), Rule.WSSE_TOKEN_REFERENCE),
    "reference to nothing": (attribute(f"{STR}/*", "URI", "#"), Rule.WSSE_TOKEN_REFERENCE),
    "two STR": (twice(STR), Rule.WSSE_TOKEN_REFERENCE),
    "two references in STR": (twice(f"{STR}/*"), Rule.WSSE_TOKEN_REFERENCE),
    "empty STR": (without(f"{STR}/*"), Rule.WSSE_TOKEN_REFERENCE),
    "STR in STR": (lambda e: one(e, STR).append(element("wsse:SecurityTokenReference")), Rule.WSSE_TOKEN_REFERENCE),
    "KeyValue beside STR": (add("//ds:KeyInfo", "ds:KeyValue"), Rule.WSSE_TOKEN_REFERENCE),
    "KeyName beside STR": (add("//ds:KeyInfo", "ds:KeyName", "x", index=0), Rule.WSSE_TOKEN_REFERENCE),
    "X509Data beside STR": (add("//ds:KeyInfo", "ds:X509Data"), Rule.WSSE_TOKEN_REFERENCE),
}


def _wrapped(node: Any) -> Any:
    wrapper = element("x:Wrapper")
    wrapper.append(node)
    return wrapper


@pytest.mark.parametrize("case", AFTER_SIGNING)
def test_a_signed_message_changed_on_its_way_is_refused(case: str, keys: Keys) -> None:
    edit, rule = AFTER_SIGNING[case]
    good = sign(draft(), keys.rsa)
    assert rule_of(good, keys) is None
    envelope = etree.fromstring(good)
    edit(envelope)
    assert rule_of_tree(envelope, keys) is rule


def test_another_terminals_certificate_does_not_fit_the_signature(keys: Keys) -> None:
    for signer, other in ((keys.rsa, keys.other), (keys.rsa, keys.foreign), (keys.ec, keys.other)):
        raw = sign(draft(token_text=other.token), signer)
        assert rule_of(raw, keys) in {
            Rule.WSSE_SIGNATURE_INVALID,
            Rule.WSSE_CERTIFICATE_UNTRUSTED,
            Rule.WSSE_SIGNATURE_ALGORITHM,
        }


@pytest.mark.parametrize("value", [bytes(64), b"\1" * 63, b"\1" * 65, b"\xff" * 64, b"\1" * 128])
def test_an_elliptic_signature_is_two_numbers_in_range(value: bytes, keys: Keys) -> None:
    raw = change(sign(draft(), keys.ec), text("//ds:SignatureValue", b64encode(value).decode()))
    assert rule_of(raw, keys) is Rule.WSSE_SIGNATURE_INVALID


def test_the_public_key_is_no_hmac_secret(keys: Keys) -> None:
    """The classic confusion: a MAC made with what everybody knows, in a message that says HMAC."""
    for algorithm in (
        messages.HMAC_SHA1,
        messages.HMAC_SHA1.replace("2000/09/xmldsig#", "2001/04/xmldsig-more#").replace("sha1", "sha256"),
    ):
        envelope = etree.fromstring(sign(draft(signature_algorithm=algorithm), keys.rsa))
        public = keys.rsa.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        mac = hmac.HMAC(public, hashes.SHA256())
        mac.update(messages.canonical(one(envelope, INFO)))
        one(envelope, "//ds:SignatureValue").text = b64encode(mac.finalize()).decode()
        assert rule_of(etree.tostring(envelope), keys) is Rule.WSSE_SIGNATURE_ALGORITHM


def test_an_element_inside_another_document_is_no_envelope(keys: Keys) -> None:
    outer = etree.Element("outer")
    outer.append(etree.fromstring(sign(draft(), keys.rsa)))
    assert rule_of_tree(outer[0], keys) is Rule.SOAP_NOT_AN_ENVELOPE


def test_a_message_signed_over_an_evil_tree_is_its_signers_word(keys: Keys) -> None:
    """Not an attack: who holds the key may sign anything. The test keeps `sign_tree` honest."""
    envelope = etree.fromstring(sign(draft(), keys.rsa))
    envelope[1][0][1].text = "ANOTHER-REFERENCE"
    assert rule_of(etree.tostring(envelope), keys) is Rule.WSSE_SIGNATURE_INVALID
    assert rule_of(sign_tree(envelope, keys.rsa.key), keys) is None
