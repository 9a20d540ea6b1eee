"""One signed request and its signed answer for every operation, and for what else a client has to understand.

They are real: `bankapi contract samples` has a throw-away installation of demo accounts answer what is asked here, and
keeps the very bytes. Its private keys are gone; its certificates are kept, so that every signature can be verified.
Indenting a message would break its signature: `Sample.shown` is for people.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from lxml import etree

from bankapi.wsse import names

ASKED_AT: Final = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
"""When the samples are made, by their own clock: their signatures are judged as of then."""
CA: Final = "ca.pem"
TERMINAL: Final = "terminal-cert.pem"
GATEWAY: Final = "gateway-signing-cert.pem"
CERTIFICATES: Final = (CA, TERMINAL, GATEWAY)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a sample asks. Each is asked after those before it, and its answer follows from them."""

    name: str
    """Names its files; begins with the operation."""
    title: str
    """What it shows, in one sentence."""
    body: str
    """The request element, indented for people; signed without the indentation."""

    @property
    def operation(self) -> str:
        return self.name.split("-")[0]

    def element(self) -> etree._Element:
        """The request element as it is signed."""
        return etree.fromstring(self.body, _parser())


@dataclass(frozen=True, slots=True)
class Sample:
    """One exchange, as it went over the wire."""

    name: str
    operation: str
    title: str
    request: bytes
    answer: bytes

    def shown(self) -> tuple[str, str]:
        """The Bodies of request and answer, indented for people. Their signatures are in `request` and `answer`."""
        return _body(self.request), _body(self.answer)

    def files(self) -> dict[str, bytes]:
        """File name → the exact bytes."""
        return {f"{self.name}-request.xml": self.request, f"{self.name}-answer.xml": self.answer}


_OUTLINED: Final = 24
"""So much of a long base64 is shown of an envelope."""

_REGISTER: Final = """
<RegisterPaymentRequest xmlns="urn:bankapi:v1">
  <Language>en</Language>
  <Reference>SAMPLE-1</Reference>
  <Payer><Msisdn>79160000001</Msisdn></Payer>
  <Amount currency="RUB">100.00</Amount>
  <PaidAt>2026-03-01T12:00:15+03:00</PaidAt>
  <CardBin>99990123</CardBin>
  <CardLastFour>7896</CardLastFour>
  <Rrn>606012345678</Rrn>
  <AuthorizationCode>A1B2C3</AuthorizationCode>
  <Fee currency="RUB">1.50</Fee>
</RegisterPaymentRequest>
"""

ASKED: Final = (
    Asked("Ping", "Can payments be registered now?", '<PingRequest xmlns="urn:bankapi:v1"/>'),
    Asked(
        "ValidatePayment",
        "Before the money is taken: the payer's masked name, and what may be paid.",
        """
<ValidatePaymentRequest xmlns="urn:bankapi:v1">
  <Language>en</Language>
  <Payer><Msisdn>79160000001</Msisdn></Payer>
  <Amount currency="RUB">100.00</Amount>
</ValidatePaymentRequest>
""",
    ),
    Asked("RegisterPayment", "A payment is booked; the answer has the lines of its receipt.", _REGISTER),
    Asked(
        "RegisterPayment-replayed",
        "The same request signed anew, as after a lost answer: the first answer again, and Replayed says so.",
        _REGISTER,
    ),
    Asked(
        "RegisterPayment-declined",
        "A business no is an answer: this payer is blocked. The reference is decided; later means under a new one.",
        """
<RegisterPaymentRequest xmlns="urn:bankapi:v1">
  <Language>en</Language>
  <Reference>SAMPLE-2</Reference>
  <Payer><Msisdn>79160000019</Msisdn></Payer>
  <Amount currency="RUB">250.00</Amount>
  <PaidAt>2026-03-01T12:00:35+03:00</PaidAt>
</RegisterPaymentRequest>
""",
    ),
    Asked(
        "GetPaymentStatus",
        "What became of a payment whose answer was lost?",
        '<GetPaymentStatusRequest xmlns="urn:bankapi:v1"><Reference>SAMPLE-1</Reference></GetPaymentStatusRequest>',
    ),
    Asked(
        "GetPaymentStatus-fault",
        "A technical no is a SOAP Fault with a typed detail: this reference breaks the XSD.",
        '<GetPaymentStatusRequest xmlns="urn:bankapi:v1"><Reference>no spaces</Reference></GetPaymentStatusRequest>',
    ),
    Asked(
        "GetBalance",
        "What a customer has, and owes.",
        """
<GetBalanceRequest xmlns="urn:bankapi:v1">
  <Payer><Msisdn>79160000001</Msisdn></Payer>
</GetBalanceRequest>
""",
    ),
    Asked(
        "GetMiniStatement",
        "What moved a customer's balance last.",
        """
<GetMiniStatementRequest xmlns="urn:bankapi:v1">
  <Payer><Msisdn>79160000001</Msisdn></Payer>
</GetMiniStatementRequest>
""",
    ),
    Asked(
        "CancelPayment",
        "The payer wants the money back: from now on nothing of the payment stands.",
        """
<CancelPaymentRequest xmlns="urn:bankapi:v1">
  <Reference>SAMPLE-1</Reference>
  <Amount currency="RUB">100.00</Amount>
  <Reason>CUSTOMER_REQUEST</Reason>
</CancelPaymentRequest>
""",
    ),
    Asked(
        "GetTransactionReport",
        "What happened on a business day: the payment, the decline and the cancellation are three events.",
        """
<GetTransactionReportRequest xmlns="urn:bankapi:v1">
  <From>2026-03-01</From>
  <To>2026-03-01</To>
  <PageSize>500</PageSize>
</GetTransactionReportRequest>
""",
    ),
    Asked(
        "GetFinancialReport",
        "What the business day came to, between the opening and the closing balance.",
        """
<GetFinancialReportRequest xmlns="urn:bankapi:v1">
  <From>2026-03-01</From>
  <To>2026-03-01</To>
</GetFinancialReportRequest>
""",
    ),
    Asked(
        "SubmitRegister",
        "A bank's register of the day, which does not know that the payment was cancelled: one status differs.",
        """
<SubmitRegisterRequest xmlns="urn:bankapi:v1">
  <RegisterReference>SAMPLE-2026-03-01</RegisterReference>
  <BusinessDay>2026-03-01</BusinessDay>
  <RowCount>1</RowCount>
  <HashTotal>100.00</HashTotal>
  <Part>1</Part>
  <Parts>1</Parts>
  <Row>
    <Reference>SAMPLE-1</Reference>
    <Status>REGISTERED</Status>
    <Amount currency="RUB">100.00</Amount>
  </Row>
</SubmitRegisterRequest>
""",
    ),
    Asked(
        "GetReconciliation",
        "The difference, with both sides.",
        """
<GetReconciliationRequest xmlns="urn:bankapi:v1">
  <RegisterReference>SAMPLE-2026-03-01</RegisterReference>
</GetReconciliationRequest>
""",
    ),
)


@cache
def all() -> tuple[Sample, ...]:
    """Every sample, in the order in which they were asked."""
    return tuple(_read(asked) for asked in ASKED)


@cache
def certificates() -> Mapping[str, bytes]:
    """File name → PEM: the CA, the terminal's certificate and the gateway's, which the samples are verified by."""
    return {name: _folder().joinpath(name).read_bytes() for name in CERTIFICATES}


def files() -> dict[str, bytes]:
    """File name → bytes of everything that is kept of the samples."""
    return {name: content for sample in all() for name, content in sample.files().items()} | dict(certificates())


def write(exchanges: Sequence[tuple[bytes, bytes]], pem: Mapping[str, bytes], folder: Path) -> None:
    """Keep what was asked and answered, and the certificates, in a folder; what it had is gone. Raises OSError."""
    folder.mkdir(exist_ok=True)
    for old in (*folder.glob("*.xml"), *folder.glob("*.pem")):
        old.unlink()
    made = (
        Sample(asked.name, asked.operation, asked.title, *each) for asked, each in zip(ASKED, exchanges, strict=True)
    )
    for name, content in (*pem.items(), *(file for sample in made for file in sample.files().items())):
        folder.joinpath(name).write_bytes(content)


def outline(message: bytes) -> str:
    """A whole envelope indented for people, the beginning only of what is long in it. Its signature is broken."""
    envelope = etree.fromstring(message, _parser())
    for element in envelope.iter():
        text = element.text or ""
        if not len(element):
            element.text = f"{text[:_OUTLINED]}..." if len(text) > 2 * _OUTLINED else text
    etree.indent(envelope)
    return etree.tostring(envelope, encoding="unicode")


def _read(asked: Asked) -> Sample:
    kept = (_folder().joinpath(f"{asked.name}-{side}.xml").read_bytes() for side in ("request", "answer"))
    return Sample(asked.name, asked.operation, asked.title, *kept)


def _folder() -> Traversable:
    return resources.files("bankapi.kit").joinpath("samples")


def _parser() -> etree.XMLParser:
    return etree.XMLParser(remove_blank_text=True, resolve_entities=False, no_network=True)


def _body(message: bytes) -> str:
    parser = _parser()
    body = etree.fromstring(message, parser).find(names.BODY)
    assert body is not None
    body.attrib.clear()
    etree.cleanup_namespaces(body[0])
    alone = etree.fromstring(etree.tostring(body[0], with_tail=False), parser)
    etree.cleanup_namespaces(alone)
    etree.indent(alone)
    return etree.tostring(alone, encoding="unicode")
