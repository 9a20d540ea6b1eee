"""Messages that are not what a terminal signed, or not signed as the profile wants: SECURITY, and nothing else said."""

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from bankapi.languages import catalog
from bankapi.refusals import FaultCode, Rule
from tests import messages
from tests.attacks.arena import Arena, Attack, Case, Scene
from tests.attacks.edits import (
    BODY,
    INFO,
    SECURITY,
    SIGNATURE,
    TOKEN,
    add,
    after_signing,
    attribute,
    element,
    field,
    fresh_timestamp,
    text,
    twice,
    within,
    without,
    wrapping,
)
from tests.messages import Covered, Signer, change, one, sign, utc
from tests.unit.wsse.test_attacks import AFTER_SIGNING
from tests.unit.wsse.test_out_of_profile import SIGNED_SO

MALFORMED, SCHEMA, SECURITY_FAULT = FaultCode.MALFORMED_MESSAGE, FaultCode.SCHEMA_VIOLATION, FaultCode.SECURITY
T, B = Covered("timestamp"), Covered("body")


# Builders


def unsigned(scene: Scene) -> bytes:
    soap = messages.SOAP
    return f'<s:Envelope xmlns:s="{soap}"><s:Header/><s:Body>{scene.payment}</s:Body></s:Envelope>'.encode()


def without_header(scene: Scene) -> bytes:
    return unsigned(scene).replace(b"<s:Header/>", b"")


def signed_so(**changes: Any) -> Any:
    """Well signed, by the right terminal, but not as the profile wants it."""
    return lambda scene: scene.signed(**changes)


def made(ago: timedelta, life_s: int = 300) -> Any:
    return lambda scene: scene.signed(now=datetime.now(UTC) - ago, life_s=life_s)


def in_local_time(scene: Scene) -> bytes:
    now = datetime.now(UTC)
    return scene.signed(created=utc(now).removesuffix("Z"), expires=utc(now + timedelta(minutes=5)).removesuffix("Z"))


def mac_with_the_public_key(scene: Scene) -> bytes:
    """The classic confusion: a MAC made with what everybody knows, in a message that says HMAC."""
    envelope = etree.fromstring(scene.signed(signature_algorithm=messages.HMAC_SHA1))
    public = scene.signer.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    mac = hmac.HMAC(public, hashes.SHA1())
    mac.update(messages.canonical(one(envelope, INFO)))
    one(envelope, "//ds:SignatureValue").text = b64encode(mac.finalize()).decode()
    return etree.tostring(envelope)


def mac_of_no_bits(scene: Scene) -> bytes:
    """CVE-2009-0217: an HMAC cut to nothing is always right."""
    return scene.signed(
        signature_algorithm=messages.HMAC_SHA1,
        signature_method_children="<ds:HMACOutputLength>0</ds:HMACOutputLength>",
    )


def references(count: int) -> Any:
    def more(envelope: Any) -> None:
        for _ in range(count):
            etree.SubElement(one(envelope, INFO), f"{{{messages.DS}}}Reference", URI="#a")

    return after_signing(more)


def header(edit: Any) -> Any:
    """The signed Body, passed through `edit`, as a header block."""
    return wrapping(lambda envelope, signed: envelope[0].append(edit(signed)))


def same_id(envelope: Any, signed: Any) -> None:
    one(envelope, BODY).attrib.update(signed.attrib)
    envelope[0].append(signed)


SIGNATURES: dict[str, Case] = {
    # Nothing signed
    "no signature, no header": (without_header, SECURITY_FAULT, Rule.WSSE_HEADER_MISSING),
    "no security header": (unsigned, SECURITY_FAULT, Rule.WSSE_HEADER_MISSING),
    "no signature in it": (after_signing(without(SIGNATURE)), SECURITY_FAULT, Rule.WSSE_HEADER_CHILDREN),
    "body not signed": (signed_so(covered=(T,)), SECURITY_FAULT, Rule.WSSE_BODY_NOT_SIGNED),
    "timestamp not signed": (signed_so(covered=(B,)), SECURITY_FAULT, Rule.WSSE_TIMESTAMP_NOT_SIGNED),
    "no timestamp": (signed_so(order=("token", "signature")), SECURITY_FAULT, Rule.WSSE_HEADER_CHILDREN),
    # Something else signed
    "amount changed": (
        after_signing(text(field("Amount"), "9999.00")),
        SECURITY_FAULT,
        Rule.WSSE_SIGNATURE_INVALID,
    ),
    "currency changed": (
        after_signing(attribute(field("Amount"), "currency", "USD")),
        SECURITY_FAULT,
        Rule.WSSE_SIGNATURE_INVALID,
    ),
    "payer changed": (
        after_signing(text(field("Msisdn"), "79160000008")),
        SECURITY_FAULT,
        Rule.WSSE_SIGNATURE_INVALID,
    ),
    "life prolonged": (
        # When it is built: an instant that was chosen at import may one day be the very one that was signed.
        after_signing(lambda e: text("//wsu:Expires", utc(datetime.now(UTC) + timedelta(minutes=9)))(e)),
        SECURITY_FAULT,
        Rule.WSSE_SIGNATURE_INVALID,
    ),
    "another terminal's certificate on it": (
        lambda scene: scene.signed(token_text=scene.other.token),
        SECURITY_FAULT,
        Rule.WSSE_SIGNATURE_INVALID,
    ),
    # Time
    "expired": (made(timedelta(hours=1)), SECURITY_FAULT, Rule.WSSE_TIMESTAMP_EXPIRED),
    "from the future": (made(timedelta(minutes=-30)), SECURITY_FAULT, Rule.WSSE_TIMESTAMP_FUTURE),
    "too long a life": (made(timedelta(0), life_s=601), SECURITY_FAULT, Rule.WSSE_TIMESTAMP_LIFE),
    "no life": (made(timedelta(0), life_s=0), SECURITY_FAULT, Rule.WSSE_TIMESTAMP_LIFE),
    "local time": (in_local_time, SECURITY_FAULT, Rule.WSSE_TIMESTAMP_FORM),
    # Algorithms and keys
    "rsa-sha1": (signed_so(signature_algorithm=messages.RSA_SHA1), SECURITY_FAULT, Rule.WSSE_SIGNATURE_ALGORITHM),
    "sha1 digests": (
        signed_so(covered=(replace(T, digest=messages.SHA1), replace(B, digest=messages.SHA1))),
        SECURITY_FAULT,
        Rule.WSSE_DIGEST_ALGORITHM,
    ),
    "algorithm none": (signed_so(signature_algorithm="none"), SECURITY_FAULT, Rule.WSSE_SIGNATURE_ALGORITHM),
    "hmac with the public key": (mac_with_the_public_key, SECURITY_FAULT, Rule.WSSE_SIGNATURE_ALGORITHM),
    "hmac of no bits": (mac_of_no_bits, SECURITY_FAULT, Rule.WSSE_SIGNATURE_ALGORITHM),
    "inclusive canonicalization": (
        signed_so(c14n="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
        SECURITY_FAULT,
        Rule.WSSE_CANONICALIZATION,
    ),
    "an XSLT transform": (
        signed_so(covered=(T, replace(B, transforms=("http://www.w3.org/TR/1999/REC-xslt-19991116", messages.EXC)))),
        SECURITY_FAULT,
        Rule.WSSE_TRANSFORM,
    ),
    # References
    "2 000 references": (references(2_000), FaultCode.MESSAGE_TOO_LARGE, Rule.SIZE_ATTRIBUTES),
    "1 000 references": (references(1_000), SECURITY_FAULT, Rule.WSSE_REFERENCE_COUNT),
    "nine references": (references(7), SECURITY_FAULT, Rule.WSSE_REFERENCE_COUNT),
    "reference to the whole document": (
        signed_so(covered=(T, B, Covered("x", uri=""))),
        SECURITY_FAULT,
        Rule.WSSE_REFERENCE_TARGET,
    ),
    "reference to a file": (
        signed_so(covered=(T, B, Covered("x", uri="file:///etc/passwd"))),
        SECURITY_FAULT,
        Rule.WSSE_REFERENCE_TARGET,
    ),
    "reference by xpointer": (
        signed_so(covered=(T, B, Covered("x", uri="#xpointer(/)"))),
        SECURITY_FAULT,
        Rule.WSSE_REFERENCE_TARGET,
    ),
    # Structure
    "two security headers": (after_signing(twice(SECURITY)), SECURITY_FAULT, Rule.WSSE_HEADER_DUPLICATE),
    "a second security header for another actor": (
        after_signing(add("/*/soap:Header", element("wsse:Security", attributes='soap:actor="urn:other"'))),
        SECURITY_FAULT,
        Rule.WSSE_HEADER_DUPLICATE,
    ),
    "security for another actor": (
        signed_so(security_attributes='soapenv:actor="urn:other"'),
        SECURITY_FAULT,
        Rule.WSSE_ACTOR,
    ),
    "two tokens": (after_signing(twice(TOKEN)), SECURITY_FAULT, Rule.XML_DUPLICATE_ID),
    "two timestamps": (
        after_signing(add(SECURITY, element("wsu:Timestamp"))),
        SECURITY_FAULT,
        Rule.WSSE_HEADER_CHILDREN,
    ),
    "two signatures": (after_signing(twice(SIGNATURE)), SECURITY_FAULT, Rule.WSSE_HEADER_CHILDREN),
    **{
        f"the body's id again, as {name}": (
            after_signing(attribute(SIGNATURE, name, "id-11111111")),
            SECURITY_FAULT,
            Rule.XML_DUPLICATE_ID,
        )
        for name in ("Id", "ID", "id", "{http://www.w3.org/XML/1998/namespace}id", "{urn:x}Id")
    },
    # Wrapping: McIntosh and Austel, "XML Signature Element Wrapping Attacks" (2005)
    "body wrapped in a header": (
        header(lambda signed: within("x:Wrapper", signed)),
        SECURITY_FAULT,
        Rule.WSSE_REFERENCE_TARGET,
    ),
    "body wrapped in a header one may ignore": (
        header(lambda signed: within("x:Wrapper", signed, 'soap:mustUnderstand="0" soap:actor="urn:none"')),
        SECURITY_FAULT,
        Rule.WSSE_REFERENCE_TARGET,
    ),
    "body as a header": (header(lambda signed: signed), SECURITY_FAULT, Rule.WSSE_BODY_NOT_SIGNED),
    "body in security": (
        wrapping(lambda envelope, signed: one(envelope, SECURITY).append(signed)),
        SECURITY_FAULT,
        Rule.WSSE_HEADER_CHILDREN,
    ),
    "body in ds:Object": (
        wrapping(lambda envelope, signed: one(envelope, SIGNATURE).append(within("ds:Object", signed))),
        SECURITY_FAULT,
        Rule.WSSE_SIGNATURE_FORM,
    ),
    "body in KeyInfo": (
        wrapping(lambda envelope, signed: one(envelope, "//ds:KeyInfo").append(signed)),
        SECURITY_FAULT,
        Rule.WSSE_TOKEN_REFERENCE,
    ),
    "body in the forged body": (
        wrapping(lambda envelope, signed: one(envelope, BODY).append(signed)),
        MALFORMED,
        Rule.SOAP_BODY_CHILDREN,
    ),
    "body in the forged operation": (
        wrapping(lambda envelope, signed: one(envelope, f"{BODY}/*").append(signed)),
        SCHEMA,
        Rule.SCHEMA,
    ),
    "a forged body before": (
        wrapping(lambda envelope, signed: envelope.append(signed)),
        MALFORMED,
        Rule.SOAP_STRUCTURE,
    ),
    "a forged body after": (
        wrapping(lambda envelope, signed: envelope.insert(1, signed)),
        MALFORMED,
        Rule.SOAP_STRUCTURE,
    ),
    "a forged body with the same id": (
        wrapping(
            lambda envelope, signed: (one(envelope, BODY).attrib.update(signed.attrib), envelope[0].append(signed))
        ),
        SECURITY_FAULT,
        Rule.XML_DUPLICATE_ID,
    ),
    "body before the header": (
        wrapping(lambda envelope, signed: envelope.insert(0, signed)),
        MALFORMED,
        Rule.SOAP_STRUCTURE,
    ),
    "a fresh timestamp, the signed one wrapped": (
        after_signing(lambda e: e[0].append(within("x:Wrapper", fresh_timestamp(e)))),
        SECURITY_FAULT,
        Rule.WSSE_REFERENCE_TARGET,
    ),
    "a fresh timestamp, the signed one a header": (
        after_signing(lambda e: e[0].append(fresh_timestamp(e))),
        SECURITY_FAULT,
        Rule.WSSE_TIMESTAMP_NOT_SIGNED,
    ),
    "security in a wrapper": (
        after_signing(lambda e: e[0].append(within("x:Wrapper", one(e, SECURITY)))),
        SECURITY_FAULT,
        Rule.WSSE_HEADER_MISSING,
    ),
    "timestamp without the signed one": (
        after_signing(lambda e: fresh_timestamp(e)),
        SECURITY_FAULT,
        Rule.WSSE_REFERENCE_TARGET,
    ),
}


@pytest.mark.parametrize("case", SIGNATURES)
def test_what_the_terminal_did_not_sign_is_refused(arena: Arena, case: str) -> None:
    builder, fault, rule = SIGNATURES[case]
    scene = arena.scene()
    arena.refuses(builder(scene), fault, rule, canary=scene.canary)


SIGNERS = {
    "FOREIGN": Rule.WSSE_CERTIFICATE_UNTRUSTED,
    "RSA-1024": Rule.WSSE_CERTIFICATE_KEY,
    "EXPIRED": Rule.WSSE_CERTIFICATE_VALIDITY,
    "NOT-YET-VALID": Rule.WSSE_CERTIFICATE_VALIDITY,
}


@pytest.mark.parametrize("signer", SIGNERS)
def test_a_certificate_that_may_not_sign_is_refused(arena: Arena, signer: str) -> None:
    """Over the victim's good connection."""
    scene = arena.scene(arena.parties[signer])
    arena.refuses(scene.signed(), FaultCode.SECURITY, SIGNERS[signer], canary=scene.canary)


def test_an_attacker_learns_nothing_from_a_security_fault(arena: Arena) -> None:
    """Whatever was wrong, the words are the same; the exact rule is the operator's."""
    scene = arena.scene()
    faults = [
        arena.refuses(builder(scene), fault, rule, canary=scene.canary).fields
        for builder, fault, rule in SIGNATURES.values()
        if fault is FaultCode.SECURITY
    ]
    sentence, _ = catalog.fault_message(FaultCode.SECURITY, "en")
    assert {(f["code"], f["message"], f["retry"]) for f in faults} == {("SECURITY", sentence, "NO")}
    assert len({f["exchange_id"] for f in faults}) == len(faults)
    assert all(f.keys() == {"code", "message", "retry", "exchange_id"} for f in faults)


EARLIER = {Rule.XML_COMMENT, Rule.SOAP_STRUCTURE, Rule.SOAP_BODY_CHILDREN, Rule.SCHEMA, Rule.WSSE_TIMESTAMP_EXPIRED}
"""Before anything signed is looked at, the envelope and the contract are; and the corpus has dates of its own."""


def test_every_attack_on_the_verification_alone_fails_on_the_whole_way_too(arena: Arena) -> None:
    """The corpus of `tests/unit/wsse`, through every step of the real gateway."""
    scene = arena.scene()
    corpus = [(change(scene.signed(), edit), rule) for edit, rule in AFTER_SIGNING.values()]
    corpus += [(scene.signed(**changes), rule) for changes, rule in SIGNED_SO.values()]
    assert len(corpus) > 150
    with arena.nothing_happens(scene.canary):
        for raw, rule in corpus:
            attack = Attack(raw, soap_action=None)
            answer = arena.fault_of(arena.post(attack), attack)
            row = arena.journal_row(answer.fields["exchange_id"])
            assert row["rule"] in {rule.journal_name, *(earlier.journal_name for earlier in EARLIER)}
            assert row["request"] is None


def test_one_who_holds_the_key_signs_what_he_wants(arena: Arena) -> None:
    """Not an attack. It keeps the builders honest: what they change is all that is wrong."""
    scene = arena.scene()
    attack = Attack(sign(scene.draft(payload=scene.forged), Signer(scene.signer.certificate, scene.signer.key)))
    arena.accepted(arena.post(attack), attack)
