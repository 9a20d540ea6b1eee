"""Receipts: what we sign for a message that carries no signature of its own.

A signed note of `name value` lines, always the same ones in this order, `-` where there is nothing: who sent the
message by its TLS certificate, the digests of what is kept of it and of the answer, how we understood it, and what we
decided. It proves our part to anybody; that the sender sent this message it does not prove, only that we said so at
once, and gave the sender the same note.

Kept is the receipt with the copy of the answer behind it, as one. `received` is the SHA-256 over 32 random bytes and
the bytes as received. The random bytes are given to the sender alone: together with the message they prove which
one was meant, and without them nobody can find a card number in it by trying.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from bankapi.billing.money import AmountError, Money
from bankapi.evidence import notes
from bankapi.evidence.claims import TEXTS, Answered, Asked
from bankapi.wsse.signing import SigningIdentity

VERSION: Final = "bankapi-receipt-v1"
NOTHING_KEPT: Final = hashlib.sha256(b"").digest()
"""The digest of a request of which no copy is kept."""
_NONE: Final = "-"
_LINE: Final = re.compile(r"(?P<name>[a-z-]+) (?P<value>[^\n]+)")
_END: Final = re.compile(rb"\n\n\xe2\x80\x94 [^\n]+\n")


class ReceiptError(ValueError):
    """It is no receipt."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The facts of one exchange without a signature of the sender. `note` is the text it was read from or signed as."""

    exchange_id: str
    received_at: datetime
    answered_at: datetime
    tls_fingerprint: bytes | None
    request_digest: bytes
    """SHA-256 of the copy of the request that is kept; of nothing when none is kept."""
    received_digest: bytes
    answer_digest: bytes
    """SHA-256 of the copy of the answer that is kept."""
    outcome: str
    rule: str | None
    asked: Asked | None
    answered: Answered
    note: str = ""


def sign(receipt: Receipt, origin: str, identity: SigningIdentity) -> str:
    """The signed note."""
    text = "".join(f"{name} {value}\n" for name, value in _lines(receipt))
    return notes.sign(f"{VERSION}\n{text}", origin, identity)


def received_digest(salt: bytes, message: bytes) -> bytes:
    """What a receipt names the bytes as received by."""
    return hashlib.sha256(salt + message).digest()


def is_receipt(kept: bytes) -> bool:
    """Is this the kept answer of an exchange that has a receipt?"""
    return kept.startswith(f"{VERSION}\n".encode())


def split(kept: bytes) -> tuple[bytes, bytes]:
    """The receipt's note and the copy of the answer behind it; ReceiptError when that is not what is there."""
    end = _END.search(kept)
    if not is_receipt(kept) or end is None:
        raise ReceiptError("not a receipt")
    return kept[: end.end()], kept[end.end() :]


def read(note: bytes) -> Receipt:
    """A receipt; ReceiptError when it is none. Its signature is still to be verified."""
    try:
        text = note.decode()
        notes.signature_of(text)
        version, *lines = notes.text_of(text).removesuffix("\n").split("\n")
        found = [_LINE.fullmatch(line) for line in lines]
        values = {each["name"]: each["value"] for each in found if each is not None}
        receipt = _receipt(values, text)
        if version != VERSION or [tuple(line.split(" ", 1)) for line in lines] != list(_lines(receipt)):
            raise ReceiptError("not a receipt")
    except (ValueError, KeyError, InvalidOperation) as error:
        raise ReceiptError("not a receipt") from error
    return receipt


# Writing


def _lines(receipt: Receipt) -> Iterator[tuple[str, str]]:
    yield "exchange", receipt.exchange_id
    yield "received-at", _written(receipt.received_at)
    yield "answered-at", _written(receipt.answered_at)
    yield "tls-certificate", _written(receipt.tls_fingerprint)
    yield "request", _written(receipt.request_digest)
    yield "received", _written(receipt.received_digest)
    yield "answer", _written(receipt.answer_digest)
    yield "outcome", receipt.outcome
    yield "rule", _written(receipt.rule)
    asked = receipt.asked
    yield "operation", _written(asked and asked.operation)
    yield "reference", _written(asked and asked.reference)
    yield "reference-before", _written(asked and asked.reference_before)
    yield "payer", _written(asked and asked.payer and " ".join(asked.payer))
    yield "amount", _written(asked and asked.amount)
    yield "fee", _written(asked and asked.fee)
    yield "paid-at", _written(asked and asked.paid_at)
    yield "reason", _written(asked and asked.reason)
    for column in TEXTS:
        yield column.replace("_", "-"), _written(asked and asked.texts[column])
    answered = receipt.answered
    yield "replayed", _written(answered.replayed)
    yield "status", _written(answered.status)
    yield "payment", _written(answered.payment_id)
    yield "registered-at", _written(answered.registered_at)
    yield "cancelled-at", _written(answered.cancelled_at)
    yield "credited", _written(answered.credited)
    yield "rate", _written(answered.rate)


def _written(value: object) -> str:
    match value:
        case None:
            return _NONE
        case bool():
            return "true" if value else "false"
        case bytes():
            return value.hex()
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case Decimal():
            return f"{value:f}"
        case _:
            return str(value)


# Reading


def _receipt(values: dict[str, str], note: str) -> Receipt:
    given = {name: None if value == _NONE else value for name, value in values.items()}
    exchange_id, request_digest = values["exchange"], bytes.fromhex(values["request"])
    rule, operation = given["rule"], given["operation"]
    return Receipt(
        exchange_id=exchange_id,
        received_at=_instant(values["received-at"]),
        answered_at=_instant(values["answered-at"]),
        tls_fingerprint=_if(given["tls-certificate"], bytes.fromhex),
        request_digest=request_digest,
        received_digest=bytes.fromhex(values["received"]),
        answer_digest=bytes.fromhex(values["answer"]),
        outcome=values["outcome"],
        rule=rule,
        asked=None if operation is None else _asked(operation, given),
        answered=Answered(
            code=values["outcome"],
            is_fault=rule is not None,
            replayed=_if(given["replayed"], lambda value: value == "true"),
            status=given["status"],
            payment_id=given["payment"],
            registered_at=_if(given["registered-at"], _instant),
            cancelled_at=_if(given["cancelled-at"], _instant),
            credited=_if(given["credited"], _money),
            rate=_if(given["rate"], Decimal),
            exchange_id=exchange_id,
            request_digest=request_digest,
            checkpoint=None,
        ),
        note=note,
    )


def _asked(operation: str, given: dict[str, str | None]) -> Asked:
    return Asked(
        operation=operation,
        reference=given["reference"],
        reference_before=given["reference-before"],
        payment_id=None,
        payer=_if(given["payer"], _pair),
        amount=_if(given["amount"], _money),
        fee=_if(given["fee"], _money),
        paid_at=_if(given["paid-at"], _instant),
        reason=given["reason"],
        texts={column: given[column.replace("_", "-")] for column in TEXTS},
    )


def _if(value: str | None, read: Any) -> Any:
    return None if value is None else read(value)


def _instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def _pair(text: str) -> tuple[str, str]:
    kind, _, value = text.partition(" ")
    return kind, value


def _money(text: str) -> Money:
    amount, _, currency = text.partition(" ")
    try:
        return Money.from_decimal(Decimal(amount), currency)
    except AmountError as error:
        raise ReceiptError("not a receipt") from error
