"""What we sign is accepted by every verifier at hand: ours, signxml's own way, zeep and xmlsec1."""

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from signxml import DigestAlgorithm, SignatureConfiguration, SignatureMethod, XMLVerifier
from zeep.exceptions import SignatureVerificationFailed
from zeep.wsse.signature import BinarySignature, MemorySignature, verify_envelope

from bankapi.gateway.envelope import parse_envelope
from bankapi.wsse.signing import SigningIdentity, sign_envelope
from tests.messages import NS, PAYMENT, SOAP, Signer, one
from tests.programs import needs
from tests.unit.wsse.checking import verify_tree
from tests.unit.wsse.conftest import NOW, Keys

FAULT = (
    f'<s:Fault xmlns:s="{SOAP}"><faultcode>s:Client.Security</faultcode><faultstring xml:lang="ru">нет</faultstring>'
    '<detail><BankApiFault xmlns="urn:bankapi:v1"><Code>SECURITY</Code></BankApiFault></detail></s:Fault>'
)
EXCHANGE = '<x:Exchange xmlns:x="urn:bankapi:v1"><x:ExchangeId>1</x:ExchangeId></x:Exchange>'
PAYLOADS = {"payment": PAYMENT, "fault": FAULT, "no namespace": "<answer a='1'>&#13;</answer>"}


def signed(
    keys: Keys, algorithm: str, payload: str = PAYMENT, headers: tuple[str, ...] = (EXCHANGE,), **more: Any
) -> bytes:
    identity = SigningIdentity(*_pair(keys, algorithm))
    trees = tuple(etree.fromstring(header) for header in headers)
    return sign_envelope(etree.fromstring(payload), identity, now=NOW, headers=trees, **more)


def _pair(keys: Keys, algorithm: str) -> tuple[Any, Any]:
    signer: Signer = getattr(keys, algorithm)
    return signer.certificate, signer.key


@pytest.mark.parametrize("algorithm", ["rsa", "ec"])
@pytest.mark.parametrize("payload", PAYLOADS)
def test_our_own_verification_accepts(payload: str, algorithm: str, keys: Keys) -> None:
    verified = verify_tree(parse_envelope(signed(keys, algorithm, PAYLOADS[payload])), keys)
    assert "".join(verified.body.itertext()) == "".join(etree.fromstring(PAYLOADS[payload]).itertext())
    assert [header.tag for header in verified.headers] == ["{urn:bankapi:v1}Exchange"]
    assert verified.expires_at - verified.created_at == timedelta(seconds=300)


@needs("xmlsec1")
@pytest.mark.parametrize("algorithm", ["rsa", "ec"])
@pytest.mark.parametrize("payload", PAYLOADS)
def test_xmlsec1_accepts(payload: str, algorithm: str, keys: Keys, tmp_path: Path) -> None:
    """The command an auditor would type; the certificate comes from outside the message."""
    message, certificate = tmp_path / "message.xml", tmp_path / "certificate.pem"
    certificate.write_bytes(_pair(keys, algorithm)[0].public_bytes(Encoding.PEM))
    ids = [part for name in ("Body", "Timestamp", "Exchange") for part in ("--id-attr:Id", name)]

    def run(raw: bytes) -> int:
        message.write_bytes(raw)
        command = ["xmlsec1", "--verify", *ids, "--pubkey-cert-pem", str(certificate), str(message)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    raw = signed(keys, algorithm, PAYLOADS[payload])
    assert run(raw) == 0
    assert run(raw.replace(b"ExchangeId>1<", b"ExchangeId>2<")) != 0


@pytest.mark.parametrize("algorithm", ["rsa", "ec"])
def test_signxml_accepts_it_on_its_own(algorithm: str, keys: Keys) -> None:
    """With signxml's search by id over the whole document, which our verification does not use."""
    raw = signed(keys, algorithm)
    config = SignatureConfiguration(
        location=f"./{{{SOAP}}}Header/{{{NS['wsse']}}}Security/",
        expect_references=3,
        signature_methods=frozenset({SignatureMethod.RSA_SHA256, SignatureMethod.ECDSA_SHA256}),
        digest_algorithms=frozenset({DigestAlgorithm.SHA256}),
        verification_time=NOW,
    )
    results = XMLVerifier().verify(
        raw, x509_cert=_pair(keys, algorithm)[0], id_attribute="Id", validate_schema=False, expect_config=config
    )
    assert len(results) == 3


def test_zeep_accepts(keys: Keys, tmp_path: Path) -> None:
    certificate, other = tmp_path / "certificate.pem", tmp_path / "other.pem"
    certificate.write_bytes(keys.rsa.certificate.public_bytes(Encoding.PEM))
    other.write_bytes(keys.other.certificate.public_bytes(Encoding.PEM))
    envelope = etree.fromstring(signed(keys, "rsa"))
    verify_envelope(envelope, str(certificate))
    assert BinarySignature.verify is MemorySignature.verify  # what a zeep client calls is verify_envelope
    with pytest.raises(SignatureVerificationFailed):
        verify_envelope(envelope, str(other))
    envelope[1][0][1].text = "changed"
    with pytest.raises(SignatureVerificationFailed):
        verify_envelope(envelope, str(certificate))


def test_a_prefix_in_a_value_keeps_its_meaning(keys: Keys) -> None:
    """faultcode is a QName: its prefix must be bound to SOAP where it stands."""
    (fault,) = parse_envelope(signed(keys, "rsa", FAULT))[1]
    code = fault[0]
    assert code.text is not None
    assert code.nsmap[code.text.partition(":")[0]] == SOAP


def test_the_security_header_is_laid_out_as_promised(keys: Keys) -> None:
    envelope = etree.fromstring(signed(keys, "rsa"))
    security = one(envelope, "/soap:Envelope/soap:Header/wsse:Security")
    assert security.get(f"{{{SOAP}}}mustUnderstand") == "1"
    assert [etree.QName(child).localname for child in security] == ["Timestamp", "BinarySecurityToken", "Signature"]
    assert envelope[0][0] is security
    references = security.xpath("ds:Signature/ds:SignedInfo/ds:Reference/@URI", namespaces=NS)
    ids = [one(envelope, f"//*[@wsu:Id='{uri[1:]}']").tag.rpartition("}")[2] for uri in references]
    assert ids == ["Timestamp", "Body", "Exchange"]


def test_two_equal_messages_of_one_instant_are_two_signatures(keys: Keys) -> None:
    first, second = (verify_tree(parse_envelope(signed(keys, "rsa")), keys).replay_key for _ in range(2))
    assert first != second


def test_the_callers_trees_are_left_alone(keys: Keys) -> None:
    payload, header = etree.fromstring(PAYMENT), etree.fromstring(EXCHANGE)
    before = etree.tostring(payload), etree.tostring(header)
    sign_envelope(payload, SigningIdentity(*_pair(keys, "rsa")), now=NOW, headers=(header,))
    assert (etree.tostring(payload), etree.tostring(header)) == before


def test_a_payload_inside_another_tree_is_taken_without_what_follows_it(keys: Keys) -> None:
    outer = etree.fromstring(f'<o xmlns="urn:default" xmlns:unused="urn:unused">{PAYMENT}tail</o>')
    raw = sign_envelope(outer[0], SigningIdentity(*_pair(keys, "rsa")), now=NOW)
    assert verify_tree(parse_envelope(raw), keys).body.tag == "{urn:bankapi:v1}RegisterPaymentRequest"
    assert b"unused" not in raw


@pytest.mark.parametrize("signer", ["rsa-1024", "p-384"])
def test_a_key_outside_the_profile_is_no_identity(signer: str, keys: Keys) -> None:
    with pytest.raises(ValueError, match="outside the security profile"):
        SigningIdentity(keys.strangers[signer].certificate, keys.strangers[signer].key)


def test_a_key_of_another_certificate_is_no_identity(keys: Keys) -> None:
    with pytest.raises(ValueError, match="not the certificate's"):
        SigningIdentity(keys.rsa.certificate, keys.other.key)


def test_an_identity_does_not_show_its_key(keys: Keys) -> None:
    assert "private_key" not in repr(SigningIdentity(*_pair(keys, "rsa")))
