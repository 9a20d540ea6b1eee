"""Good messages of every client stack are accepted, and what goes on is what was signed."""

from base64 import b64decode, b64encode
from datetime import timedelta
from typing import Any

import pytest
import xmlsec
from lxml import etree

from bankapi.cli.authority import key_pem
from bankapi.refusals import Refusal, Rule
from bankapi.wsse import signatures
from bankapi.wsse.trust import CertificateReference, CertificateReferenceKind
from bankapi.wsse.verification import VerifiedEnvelope, replay_key
from tests import messages
from tests.messages import NS, STYLES, Covered, change, issuer_serial, minimal, named_by, one, sign
from tests.unit.wsse.checking import rule_of, verify_bytes, verify_tree
from tests.unit.wsse.conftest import NOW, Keys

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ADDRESSING = "http://www.w3.org/2005/08/addressing"


@pytest.mark.parametrize("algorithm", ["rsa", "ec"])
@pytest.mark.parametrize("style", STYLES)
def test_every_client_stack_is_accepted(style: str, algorithm: str, keys: Keys) -> None:
    signer = getattr(keys, algorithm)
    verified = verify_bytes(sign(STYLES[style](now=NOW), signer), keys)
    assert verified.body.tag == "{urn:bankapi:v1}RegisterPaymentRequest"
    assert verified.body.findtext("{urn:bankapi:v1}Amount") == "150.00"
    assert verified.certificate == signer.certificate
    assert verified.created_at == NOW
    assert verified.headers == ()


def test_the_body_is_rebuilt_and_not_the_received_one(keys: Keys) -> None:
    envelope = etree.fromstring(sign(minimal(now=NOW), keys.rsa))
    verified = verify_tree(envelope, keys)
    before = etree.tostring(verified.body)
    envelope[1][0].clear()
    assert etree.tostring(verified.body) == before
    assert verified.body.getroottree().getroot().tag == f"{{{messages.SOAP}}}Body"


def test_signed_headers_are_given_and_unsigned_ones_are_not(keys: Keys) -> None:
    block = f'<a:%s xmlns:a="{ADDRESSING}" xmlns:wsu="{messages.WSU}" wsu:Id="%s">urn:x</a:%s>'
    draft = minimal(
        now=NOW,
        headers_before=block % ("To", "to", "To"),
        headers_after=block % ("Action", "action", "Action"),
        covered=(Covered("action"), Covered("body"), Covered("timestamp")),
    )
    verified = verify_bytes(sign(draft, keys.rsa), keys)
    assert [header.tag for header in verified.headers] == [f"{{{ADDRESSING}}}Action"]


def test_text_is_taken_as_it_was_signed(keys: Keys) -> None:
    payload = '<p xmlns="urn:bankapi:v1" a="&#10;&#9;&lt;"><![CDATA[<&]]>&#13;ёж</p>'
    verified = verify_bytes(sign(minimal(now=NOW, payload=payload), keys.rsa), keys)
    assert verified.body.text == "<&\rёж"
    assert verified.body.get("a") == "\n\t<"


REFERENCES = {
    CertificateReferenceKind.ISSUER_SERIAL: issuer_serial,
    CertificateReferenceKind.SUBJECT_KEY_IDENTIFIER: messages.subject_key_identifier,
    CertificateReferenceKind.THUMBPRINT_SHA1: messages.thumbprint,
}


@pytest.mark.parametrize("kind", REFERENCES)
def test_a_certificate_may_be_named_instead_of_carried(kind: CertificateReferenceKind, keys: Keys) -> None:
    asked: list[CertificateReference] = []

    def find(reference: CertificateReference) -> Any:
        asked.append(reference)
        return keys.rsa.certificate

    raw = sign(named_by(REFERENCES[kind](keys.rsa.certificate), now=NOW), keys.rsa)
    assert verify_bytes(raw, keys, find_certificate=find).certificate == keys.rsa.certificate
    assert [reference.kind for reference in asked] == [kind]
    assert asked[0].names(keys.rsa.certificate)
    assert not asked[0].names(keys.other.certificate)
    # Not registered, or another one given: refused.
    assert rule_of(raw, keys) is Rule.WSSE_TOKEN_UNKNOWN
    assert rule_of(raw, keys, find_certificate=lambda _: keys.other.certificate) is Rule.WSSE_TOKEN_UNKNOWN


def test_an_issuer_name_may_be_written_in_either_order(keys: Keys) -> None:
    """OpenSSL and RFC 4514 write a name's parts in opposite orders."""
    text = issuer_serial(keys.rsa.certificate)
    name = keys.rsa.certificate.issuer.rfc4514_string()
    reverse = ",".join(reversed(name.split(",")))
    raw = sign(named_by(text.replace(name, reverse), now=NOW), keys.rsa)
    assert rule_of(raw, keys, find_certificate=lambda _: keys.rsa.certificate) is None


@pytest.mark.parametrize("created_s", [-600, -900, 300])
def test_clocks_may_differ_by_five_minutes(created_s: int, keys: Keys) -> None:
    draft = minimal(now=NOW + timedelta(seconds=created_s), life_s=600)
    assert rule_of(sign(draft, keys.rsa), keys) is None


@pytest.mark.parametrize("fraction", ["", ".1", ".123", ".123456"])
def test_timestamps_may_have_fractions_down_to_microseconds(fraction: str, keys: Keys) -> None:
    draft = minimal(now=NOW, created=f"2026-11-23T09:00:00{fraction}Z", expires="2026-11-23T09:05:00Z")
    verified = verify_bytes(sign(draft, keys.rsa), keys)
    assert verified.created_at == NOW + timedelta(seconds=float(f"0{fraction}"))


@pytest.mark.parametrize(
    "prefixes", ["", " ", "soapenv ", " soapenv", "soapenv&#10;xsi", "soapenv&#9;xsi", "soapenv  wsu", "unknown"]
)
def test_a_prefix_list_is_split_on_any_white_space(prefixes: str, keys: Keys) -> None:
    """BSP R5415. An envelope with a default namespace shows whether an empty prefix is taken for #default."""
    draft = minimal(
        now=NOW,
        envelope_attributes=' xmlns="urn:default" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"',
        c14n_prefixes=prefixes,
        covered=(Covered("timestamp", prefixes=prefixes), Covered("body", prefixes=prefixes)),
    )
    assert rule_of(sign(draft, keys.rsa), keys) is None


def test_a_default_namespace_in_a_prefix_list_is_refused_and_not_misread(keys: Keys) -> None:
    """A limit: lxml knows no `#default`. Where the envelope has a default namespace, the digests differ; elsewhere
    `#default` says nothing, and the message is accepted. xmlsec signs here: it does know it.
    """
    for default, rule in ((' xmlns="urn:default"', Rule.WSSE_SIGNATURE_INVALID), ("", None)):
        draft = minimal(
            now=NOW,
            envelope_attributes=default,
            c14n_prefixes="#default",
            covered=(Covered("timestamp", prefixes="#default"), Covered("body", prefixes="#default")),
        )
        envelope = etree.fromstring(messages.document(draft, keys.rsa))
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_memory(key_pem(keys.rsa.key), xmlsec.KeyFormat.PEM, None)
        for path in ("//soap:Body", "//wsu:Timestamp"):
            context.register_id(one(envelope, path), "Id", messages.WSU)
        context.sign(one(envelope, "//ds:Signature"))
        assert rule_of(etree.tostring(envelope), keys) is rule


def test_a_signxml_that_resolves_references_otherwise_verifies_nothing(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our one hook into signxml fails closed: without it, no reference resolves."""
    raw = sign(minimal(now=NOW), keys.rsa)
    assert rule_of(raw, keys) is None
    monkeypatch.delattr(signatures._Verifier, "_resolve_reference")
    assert rule_of(raw, keys) is Rule.WSSE_SIGNATURE_INVALID


def test_a_prefix_in_a_value_is_accepted_when_it_is_signed(keys: Keys) -> None:
    draft = typed_value(Covered("body", prefixes="t"))
    verified = verify_bytes(sign(draft, keys.rsa), keys)
    assert verified.body.nsmap["t"] == "urn:types"


def test_a_prefix_in_a_value_is_refused_when_it_could_be_bound_anew(keys: Keys) -> None:
    raw = sign(typed_value(Covered("body")), keys.rsa)
    assert rule_of(raw, keys) is Rule.WSSE_CANONICALIZATION
    assert rule_of(raw.replace(b"urn:types", b"urn:other"), keys) is Rule.WSSE_CANONICALIZATION


def typed_value(covered: Covered) -> messages.Draft:
    return minimal(
        now=NOW,
        envelope_attributes=' xmlns:t="urn:types"',
        payload='<p xmlns="urn:bankapi:v1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="t:T"/>',
        covered=(Covered("timestamp"), covered),
    )


def test_only_verify_makes_a_verified_envelope(keys: Keys) -> None:
    verified = verify_bytes(sign(minimal(now=NOW), keys.rsa), keys)
    values = {name: getattr(verified, name) for name in VerifiedEnvelope.__slots__}
    with pytest.raises(TypeError, match="only verify"):
        VerifiedEnvelope(**values, proof=object())


def test_the_replay_key_is_that_of_the_signature_value(keys: Keys) -> None:
    raw = sign(minimal(now=NOW), keys.rsa)
    first = verify_bytes(raw, keys).replay_key
    in_lines = change(
        raw, lambda e: _rewrite_value(e, lambda text: "\n".join(text[i : i + 60] for i in range(0, len(text), 60)))
    )
    assert verify_bytes(in_lines, keys).replay_key == first
    assert verify_bytes(sign(minimal(now=NOW, body_id="other"), keys.rsa), keys).replay_key != first


def test_both_forms_of_an_ecdsa_signature_are_one_replay(keys: Keys) -> None:
    raw = sign(minimal(now=NOW), keys.ec)

    def mirror(text: str) -> str:
        value = b64decode(text)
        s = P256_ORDER - int.from_bytes(value[32:], "big")
        return b64encode(value[:32] + s.to_bytes(32, "big")).decode()

    mirrored = change(raw, lambda e: _rewrite_value(e, mirror))
    assert mirrored != raw
    assert verify_bytes(mirrored, keys).replay_key == verify_bytes(raw, keys).replay_key
    assert replay_key("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", b"\1" * 64) != replay_key(
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", b"\xff" * 32 + b"\1" * 32
    )


def _rewrite_value(envelope: Any, rewrite: Any) -> None:
    value = one(envelope, "//ds:SignatureValue")
    value.text = rewrite(value.text)


def test_a_failing_look_up_is_a_failure_and_not_a_refusal(keys: Keys) -> None:
    """What our own database raises is not the caller's doing."""

    def broken(_: CertificateReference) -> Any:
        raise ConnectionError

    raw = sign(named_by(issuer_serial(keys.rsa.certificate), now=NOW), keys.rsa)
    with pytest.raises(ConnectionError):
        verify_bytes(raw, keys, find_certificate=broken)


def test_refusals_carry_nothing_of_the_message(keys: Keys) -> None:
    draft = minimal(now=NOW, signature_algorithm="urn:SECRET", body_id="SECRET")
    with pytest.raises(Refusal) as refused:
        verify_bytes(sign(draft, keys.rsa), keys)
    assert "SECRET" not in str(refused.value) + refused.value.detail
    assert NS["ds"] not in refused.value.detail
