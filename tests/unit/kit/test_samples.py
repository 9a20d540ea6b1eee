"""The samples: one for every operation, true to the bytes, and what the gateway would still answer today."""

import base64
from pathlib import Path

import pytest
from cryptography import x509
from lxml import etree

from bankapi.cli import samples as making
from bankapi.contract.application import Contract
from bankapi.contract.types import NAMESPACE
from bankapi.evidence.exchanges import request_digest
from bankapi.gateway import envelope
from bankapi.gateway.conformity import Conformity
from bankapi.gateway.envelope import ReceivedMessage
from bankapi.kit import samples
from bankapi.kit.samples import CA, GATEWAY, TERMINAL, Sample
from bankapi.refusals import FaultCode, ResultCode
from bankapi.wsse import names, verification
from bankapi.wsse.profile import PROFILE_V1
from bankapi.wsse.timestamps import read_timestamp
from bankapi.wsse.trust import TrustAnchors, fingerprint
from bankapi.wsse.verification import VerifiedEnvelope
from tests.interop.stacks import xmlsec1_accepts
from tests.programs import needs

REMAKE = "run `bankapi contract samples`"
SAMPLES = pytest.mark.parametrize("sample", samples.all(), ids=lambda sample: sample.name)
XSD = etree.XMLSchema(file=Path(__file__).parents[3] / "schemas" / "bankapi-v1.xsd")


def payload(message: bytes) -> etree._Element:
    """What stands in the Body; of a fault its typed detail."""
    (element,) = etree.fromstring(message).find(names.BODY)
    return element.find(f"detail/{{{NAMESPACE}}}BankApiFault") if element.tag == names.FAULT else element


def codes(message: bytes) -> list[str]:
    """Every word of an answer that a program decides by, in order."""
    tags = {
        f"{{{NAMESPACE}}}{name}" for name in ("Code", "Retry", "Status", "Replayed", "Event", "DeclineCode", "Kind")
    }
    return [element.text or "" for element in payload(message).iter(*tags)]


def shape(message: bytes) -> list[str]:
    """The path of every element of an answer's envelope, with the names of its attributes."""
    tree = etree.fromstring(message).getroottree()
    return [f"{tree.getelementpath(each)} {sorted(each.attrib)}" for each in tree.iter()]


def verified(message: bytes, signer: str) -> VerifiedEnvelope:
    """The message, by our own verification, as of when it was made; signed by that certificate of the samples."""
    tree = envelope.parse_envelope(message)
    (timestamp,) = tree.iter(names.TIMESTAMP)
    found = verification.verify(
        tree,
        profile=PROFILE_V1,
        trust=TrustAnchors(x509.load_pem_x509_certificates(samples.certificates()[CA])),
        now=read_timestamp(timestamp, PROFILE_V1)[0],
        find_certificate=lambda _: None,
    )
    assert found.fingerprint == fingerprint(x509.load_pem_x509_certificate(samples.certificates()[signer]))
    return found


def test_every_operation_has_a_sample() -> None:
    assert {sample.operation for sample in samples.all()} == Contract().operations
    assert len({sample.name for sample in samples.all()}) == len(samples.all())


def test_there_is_a_decline_a_replay_and_a_typed_fault() -> None:
    found = {sample.name: codes(sample.answer) for sample in samples.all()}
    assert found["RegisterPayment-declined"][0] == ResultCode.PAYER_BLOCKED
    assert found["RegisterPayment-replayed"] == ["OK", "NO", "true"]
    assert found["GetPaymentStatus-fault"] == [FaultCode.SCHEMA_VIOLATION, "NO"]
    told = {
        code for name, (code, *_) in found.items() if name not in ("RegisterPayment-declined", "GetPaymentStatus-fault")
    }
    assert told == {ResultCode.OK}


def test_nothing_else_is_kept_and_no_private_key() -> None:
    folder = Path(samples.__file__).with_suffix("")
    assert {file.name for file in folder.iterdir()} == samples.files().keys()
    assert not any(b"PRIVATE KEY" in content for content in samples.files().values())


@SAMPLES
def test_a_request_asks_what_it_is_said_to_ask(sample: Sample) -> None:
    (asked,) = (each for each in samples.ASKED if each.name == sample.name)
    wanted, found = asked.element(), payload(sample.request)
    assert etree.tostring(found, method="c14n", exclusive=True) == etree.tostring(
        wanted, method="c14n", exclusive=True
    ), REMAKE
    assert etree.QName(found).localname == f"{sample.operation}Request"


@SAMPLES
def test_it_conforms_to_the_schema(sample: Sample) -> None:
    is_fault = sample.name.endswith("-fault")
    assert XSD.validate(payload(sample.request)) is not is_fault
    XSD.assertValid(payload(sample.answer))
    (header,) = etree.fromstring(sample.answer).iter(f"{{{NAMESPACE}}}Exchange")
    XSD.assertValid(header)
    if not is_fault:
        parsed = envelope.parse(ReceivedMessage(sample.request, "text/xml", "", None))
        assert Conformity().check(parsed).operation == sample.operation


@SAMPLES
def test_its_signatures_hold(sample: Sample) -> None:
    verified(sample.request, TERMINAL)
    verified(sample.answer, GATEWAY)


@needs("xmlsec1")
@SAMPLES
def test_xmlsec1_finds_the_same(sample: Sample, tmp_path: Path) -> None:
    for message, name, other in ((sample.request, TERMINAL, GATEWAY), (sample.answer, GATEWAY, TERMINAL)):
        for certificate in (name, other):
            (tmp_path / certificate).write_bytes(samples.certificates()[certificate])
        assert xmlsec1_accepts(message, tmp_path / name, tmp_path)
        assert not xmlsec1_accepts(message, tmp_path / other, tmp_path)


@SAMPLES
def test_the_answer_names_its_request(sample: Sample) -> None:
    (exchange,) = (each for each in verified(sample.answer, GATEWAY).headers if each.tag == f"{{{NAMESPACE}}}Exchange")
    digest = exchange.findtext(f"{{{NAMESPACE}}}RequestDigest")
    assert base64.b64decode(digest or "") == request_digest(sample.request)


def test_they_are_of_todays_contract() -> None:
    (ping,) = (sample for sample in samples.all() if sample.operation == "Ping")
    assert payload(ping.answer).findtext(f"{{{NAMESPACE}}}ContractVersion") == Contract.version, REMAKE


def test_the_gateway_answers_the_same_requests_likewise_today() -> None:
    again = making.make(payload(sample.request) for sample in samples.all())
    for sample, (_, answer) in zip(samples.all(), again.exchanges, strict=True):
        assert shape(answer) == shape(sample.answer), f"{sample.name}: {REMAKE}"
        assert codes(answer) == codes(sample.answer), f"{sample.name}: {REMAKE}"


def test_what_is_shown_is_indented_and_says_the_same() -> None:
    (sample,) = (each for each in samples.all() if each.name == "RegisterPayment")
    request, answer = sample.shown()
    assert request.startswith(f'<RegisterPaymentRequest xmlns="{NAMESPACE}">\n  <Language>en</Language>\n')
    assert "Signature" not in request + answer
    for shown, message in ((request, sample.request), (answer, sample.answer)):
        blank = etree.XMLParser(remove_blank_text=True)
        said, meant = etree.fromstring(shown, blank), payload(message)
        assert etree.tostring(said, method="c14n", exclusive=True) == etree.tostring(
            meant, method="c14n", exclusive=True
        )
