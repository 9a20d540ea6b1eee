"""What the signed messages of an exchange say, as far as the books must agree with it.

Read from verified envelopes only, whose elements are rebuilt from the bytes the signature covers; where the request
carries no signature, from our signed receipt (`receipts`).
"""

from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from lxml import etree

from bankapi.billing.money import AmountError, Money
from bankapi.wsse import names
from bankapi.wsse.verification import VerifiedEnvelope

CONTRACT: Final = "urn:bankapi:v1"
_PAYER_KINDS: Final = ("Msisdn", "AccountNumber", "CustomerNumber")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for. Absent parts are None, and so are those that do not read as what they are."""

    operation: str
    reference: str | None
    payment_id: str | None
    payer: tuple[str, str] | None
    amount: Money | None
    fee: Money | None
    paid_at: datetime | None
    reason: str | None
    texts: dict[str, str | None]
    """The columns of a payment that are plain text in the request."""
    reference_before: str | None = None
    """A second reference that a reversal settles with the first: the same one, dated the day before."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What an answer says, with the header that ties it to its request."""

    code: str | None
    is_fault: bool
    replayed: bool | None
    status: str | None
    payment_id: str | None
    registered_at: datetime | None
    cancelled_at: datetime | None
    credited: Money | None
    rate: Decimal | None
    exchange_id: str | None
    request_digest: bytes | None
    checkpoint: str | None


TEXTS: Final = {
    "validation_id": "ValidationId",
    "card_bin": "CardBin",
    "card_last_four": "CardLastFour",
    "rrn": "Rrn",
    "authorization_code": "AuthorizationCode",
}


def asked(request: VerifiedEnvelope) -> Asked:
    """The request of a terminal."""
    body = request.body
    payer = next(
        ((kind, value) for kind in _PAYER_KINDS if (value := _text(body, f"Payer/{kind}")) is not None),
        None,
    )
    return Asked(
        operation=_local_name(body).removesuffix("Request"),
        reference=_text(body, "Reference"),
        payment_id=_text(body, "PaymentId"),
        payer=payer,
        amount=_money(body, "Amount"),
        fee=_money(body, "Fee"),
        paid_at=_instant(body, "PaidAt"),
        reason=_text(body, "Reason"),
        texts={column: _text(body, name) for column, name in TEXTS.items()},
    )


def answered(answer: VerifiedEnvelope) -> Answered:
    """The answer of the gateway."""
    is_fault = answer.body.tag == names.FAULT
    body = answer.body
    if is_fault:
        detail = answer.body.find(f"detail/{{{CONTRACT}}}BankApiFault")
        body = body if detail is None else detail
    header = next((each for each in answer.headers if each.tag == f"{{{CONTRACT}}}Exchange"), None)
    replayed = _text(body, "Replayed")
    return Answered(
        code=_text(body, "Code" if is_fault else "Result/Code"),
        is_fault=is_fault,
        replayed=None if replayed is None else replayed == "true",
        status=_text(body, "Status"),
        payment_id=_text(body, "PaymentId"),
        registered_at=_instant(body, "RegisteredAt"),
        cancelled_at=_instant(body, "CancelledAt"),
        credited=_money(body, "CreditedAmount"),
        rate=_decimal(_text(body, "Rate")),
        exchange_id=None if header is None else _text(header, "ExchangeId"),
        request_digest=_base64(header, "RequestDigest"),
        checkpoint=_checkpoint(header),
    )


def parse(message: bytes) -> etree._Element:
    """A kept message as a tree. etree.XMLSyntaxError (a ValueError, too, of an odd encoding) when it is none."""
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, collect_ids=False
    )
    return etree.fromstring(message, parser)


def _local_name(element: etree._Element) -> str:
    return etree.QName(element).localname


def _text(parent: etree._Element, path: str) -> str | None:
    found = parent.findtext("/".join(f"{{{CONTRACT}}}{step}" for step in path.split("/")))
    return None if found is None else " ".join(found.split())


def _money(parent: etree._Element, name: str) -> Money | None:
    element = parent.find(f"{{{CONTRACT}}}{name}")
    amount = None if element is None else _decimal(element.text)
    if element is None or amount is None:
        return None
    try:
        return Money.from_decimal(amount, element.get("currency", ""))
    except AmountError:
        return None


def _decimal(value: str | None) -> Decimal | None:
    try:
        return None if value is None else Decimal(value.strip())
    except InvalidOperation:
        return None


def _instant(parent: etree._Element, name: str) -> datetime | None:
    value = _text(parent, name)
    try:
        return None if value is None else datetime.fromisoformat(value).astimezone(UTC)
    except ValueError:
        return None


def _base64(parent: etree._Element | None, name: str) -> bytes | None:
    value = None if parent is None else _text(parent, name)
    try:
        return None if value is None else b64decode(value)
    except Base64Error:
        return None


def _checkpoint(header: etree._Element | None) -> str | None:
    note = _base64(header, "Checkpoint")
    return None if note is None else note.decode("utf-8", "replace")
