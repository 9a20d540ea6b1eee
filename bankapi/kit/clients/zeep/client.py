"""A bank's client in Python: zeep, its own WS-Security, the published WSDL file, and nothing of the gateway's code.

    pip install zeep xmlsec
    python client.py --wsdl bankapi-v1.wsdl --url https://localhost:8443/soap/v1 --cert cert.pem --key key.pem \
        --ca ca.pem --gateway-cert signing-cert.pem --reference MY-1 validate register

Copy `GatewaySecurity`, `Exchange` and `connect`; the rest shows each operation once. Every step prints one JSON object.
Exit code 1 is a SOAP fault, 3 an answer that does not prove itself or no answer at all.
"""

import argparse
import base64
import hashlib
import json
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import requests
import xmlsec
from lxml import etree
from zeep import Client, Settings, Transport
from zeep.exceptions import Fault, SignatureVerificationFailed, TransportError
from zeep.helpers import serialize_object
from zeep.wsse.signature import BinarySignature, verify_envelope
from zeep.wsse.utils import ID_ATTR, WSU, get_security_header, get_timestamp

BANKAPI = "urn:bankapi:v1"
NAMES = {
    "soap": "http://schemas.xmlsoap.org/soap/envelope/",
    "wsse": "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd",
    "wsu": "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "b": BANKAPI,
}
ALGORITHMS = {
    "http://www.w3.org/2001/10/xml-exc-c14n#",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "http://www.w3.org/2001/04/xmlenc#sha256",
}


class Exchange(Transport):
    """zeep's transport, which also remembers what was sent: the answer must name its digest."""

    sent = b""
    amount_to_forge = b""
    """Only for the step `tamper`: change this amount after signing."""

    def post(self, address: str, message: bytes, headers: dict[str, str]) -> requests.Response:
        self.sent = message.replace(self.amount_to_forge, b">999.00<") if self.amount_to_forge else message
        return super().post(address, self.sent, headers)


class GatewaySecurity(BinarySignature):
    """Signs Body and Timestamp with our key, and believes only what the gateway signed as the answer to this request.

    zeep's own `verify` compares the answer with *our* certificate, and does not ask what was signed.
    """

    def __init__(self, key: str, certificate: str, gateway_certificate: str, exchange: Exchange) -> None:
        # Both methods, or the other one stays SHA-1.
        super().__init__(
            key, certificate, signature_method=xmlsec.Transform.RSA_SHA256, digest_method=xmlsec.Transform.SHA256
        )
        self.gateway_certificate = gateway_certificate
        self.exchange = exchange
        self.exchange_id = ""

    def apply(self, envelope: etree._Element, headers: dict[str, str]) -> Any:
        now = datetime.now(UTC)
        created, expires = (get_timestamp(at, zulu_timestamp=True) for at in (now, now + timedelta(minutes=5)))
        get_security_header(envelope).append(WSU.Timestamp(WSU.Created(created), WSU.Expires(expires)))
        return super().apply(envelope, headers)

    def verify(self, envelope: etree._Element) -> etree._Element:
        self.exchange_id = ""
        # The parts by their position, not by a search: a signed Body somewhere else is not the Body.
        (body,) = _exactly(1, envelope, "/soap:Envelope/soap:Body")
        (exchange,) = _exactly(1, envelope, "/soap:Envelope/soap:Header/b:Exchange")
        (timestamp,) = _exactly(1, envelope, "/soap:Envelope/soap:Header/wsse:Security/wsu:Timestamp")
        _exactly(1, envelope, "/soap:Envelope/soap:Header/wsse:Security/ds:Signature")
        _exactly(1, envelope, "//ds:Signature")
        ids = envelope.xpath("//@*[local-name() = 'Id' or local-name() = 'ID' or local-name() = 'id']")
        _require(len(ids) == len(set(ids)), "two elements have one id")
        uris = set(envelope.xpath("//ds:Reference/@URI", namespaces=NAMES))
        for part in (body, timestamp, exchange):
            _require(f"#{part.get(ID_ATTR)}" in uris, f"{part.tag} is not signed")
        _require(set(envelope.xpath("//ds:SignedInfo//@Algorithm", namespaces=NAMES)) <= ALGORITHMS, "algorithms")

        verify_envelope(envelope, self.gateway_certificate)

        digest = base64.b64decode(exchange.findtext(f"{{{BANKAPI}}}RequestDigest", ""))
        _require(digest == hashlib.sha256(self.exchange.sent).digest(), "the answer is to another request")
        self.exchange_id = exchange.findtext(f"{{{BANKAPI}}}ExchangeId")
        return envelope


def connect(a: argparse.Namespace) -> tuple[Client, Any]:
    """The client and its service proxy, at our address instead of the WSDL's example."""
    session = requests.Session()
    session.cert, session.verify = (a.cert, a.key), a.ca
    session.trust_env = False  # REQUESTS_CA_BUNDLE would override session.verify.
    exchange = Exchange(session=session, operation_timeout=30)
    security = GatewaySecurity(a.key, a.cert, a.gateway_cert, exchange)
    # Answers may get new optional elements; zeep's default refuses what it does not know.
    settings = Settings(forbid_dtd=True, strict=False)
    client = Client(a.wsdl, transport=exchange, wsse=security, settings=settings)
    return client, client.create_service(f"{{{BANKAPI}}}BankApiSoap11", a.url)


def typed_fault(client: Client, fault: Fault) -> Any:
    """The BankApiFault in the fault's detail, as zeep's object of the WSDL's type."""
    return client.wsdl.types.deserialize(fault.detail[0])


def perform(client: Client, service: Any, step: str, a: argparse.Namespace) -> Any:
    payer = {"Msisdn": a.msisdn}
    amount = {"_value_1": Decimal(a.amount), "currency": "RUB"}
    paid_at = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)  # The same in every repetition of a request.
    match step:
        case "ping":
            return service.Ping()
        case "validate":
            return service.ValidatePayment(Payer=payer, Amount=amount)
        case "register":
            return service.RegisterPayment(Reference=a.reference, Payer=payer, Amount=amount, PaidAt=paid_at)
        case "conflict":
            other = {**amount, "_value_1": amount["_value_1"] + 1}
            return service.RegisterPayment(Reference=a.reference, Payer=payer, Amount=other, PaidAt=paid_at)
        case "tamper":
            client.transport.amount_to_forge = f">{a.amount}<".encode()
            return service.RegisterPayment(Reference=a.reference, Payer=payer, Amount=amount, PaidAt=paid_at)
        case "status":
            return service.GetPaymentStatus(Reference=a.reference)
        case "balance":
            return service.GetBalance(Payer=payer)
        case "statement":
            return service.GetMiniStatement(Payer=payer)
        case "cancel":
            return service.CancelPayment(Reference=a.reference, Amount=amount, Reason="CUSTOMER_REQUEST")
        case "transactions":
            return service.GetTransactionReport(From=a.day, To=a.day, Event=["REGISTERED"], PageSize=500)
        case "totals":
            return service.GetFinancialReport(From=a.day, To=a.day)
        case "submit":  # A whole register in one part: one row, and its totals.
            row = {"Reference": a.reference, "Status": "REGISTERED", "Amount": amount}
            whole = {"RowCount": 1, "HashTotal": amount["_value_1"], "Part": 1, "Parts": 1, "Row": [row]}
            return service.SubmitRegister(RegisterReference=a.reference, BusinessDay=a.day, **whole)
        case "reconciliation":
            return service.GetReconciliation(RegisterReference=a.reference)
        case "violate":
            return service.GetPaymentStatus(Reference="no spaces allowed")
    raise ValueError(step)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--wsdl", "--url", "--cert", "--key", "--ca", "--gateway-cert", "--reference"):
        parser.add_argument(option, required=True)
    today = datetime.now().astimezone().date()
    parser.add_argument("--msisdn", default="79160000001")
    parser.add_argument("--amount", default="100.00")
    parser.add_argument("--day", type=date.fromisoformat, default=today, help="YYYY-MM-DD in your time zone")
    steps = (
        "ping, validate, register, conflict, status, balance, statement, cancel, transactions, totals, submit, "
        "reconciliation, violate, tamper"
    )
    parser.add_argument("steps", nargs="+", help=steps)
    a = parser.parse_args()
    client, service = connect(a)
    exit_code = 0
    for step in a.steps:
        line: dict[str, Any] = {"step": step}
        try:
            line["answer"] = serialize_object(perform(client, service, step, a), dict)
        except Fault as fault:
            line["fault"] = serialize_object(typed_fault(client, fault), dict)
            exit_code = 1
        except (SignatureVerificationFailed, TransportError, requests.RequestException) as error:
            line["error"] = f"{type(error).__name__}: {error}"
            exit_code = 3
        client.transport.amount_to_forge = b""
        line["exchange_id"] = client.wsse.exchange_id
        print(json.dumps(line, default=str, ensure_ascii=False))
    return exit_code


def _exactly(count: int, envelope: etree._Element, path: str) -> list[etree._Element]:
    found = envelope.xpath(path, namespaces=NAMES)
    _require(len(found) == count, f"{len(found)} of {path}")
    return list(found)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SignatureVerificationFailed(otherwise)


if __name__ == "__main__":
    sys.exit(main())
