"""Payments: what a reference became, decided once and kept for ever.

The key is (dealer, reference). The row is a fact: REGISTERED, DECLINED or VOIDED; a cancellation is a further
fact that points at it.
"""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from ulid import ULID

from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey
from bankapi.billing.rates import Conversion
from bankapi.billing.tables import cancellations, payments, terminals, validations
from bankapi.billing.terminals import Terminal
from bankapi.refusals import ResultCode


class Disposition(StrEnum):
    """What a reference became."""

    REGISTERED = "REGISTERED"
    DECLINED = "DECLINED"
    VOIDED = "VOIDED"


def fingerprint(payer: PayerKey, amount: Money) -> bytes:
    """SHA-256 over the business fields that tell a repetition from a conflict: payer, amount, currency.

    Everything else (time, BIN, receipt numbers) may differ between two tries of one payment.
    """
    fields = f"{payer.kind}\n{payer.value}\n{amount.minor}\n{amount.currency}"
    return hashlib.sha256(fields.encode()).digest()


@dataclass(frozen=True, slots=True)
class Payment:
    """One settled reference with its cancellation, if any."""

    id: str
    reference: str
    disposition: Disposition
    result: ResultCode
    decided_at: datetime
    business_on: date
    fingerprint: bytes | None
    payer: str | None
    amount: Money | None
    credited: Money | None
    rate: Decimal | None
    cancelled_at: datetime | None
    terminal: str
    """The name of the terminal that sent it first."""
    counted: tuple[str, ...]
    """The scopes of the limits per day it was counted for."""


_SELECT: Final = (
    select(payments, cancellations.c.cancelled_at, terminals.c.name.label("terminal"))
    .join_from(payments, terminals)
    .outerjoin(cancellations, cancellations.c.payment_id == payments.c.id)
)
_BY_REFERENCE: Final = _SELECT.where(
    payments.c.dealer_id == bindparam("dealer_id"), payments.c.reference == bindparam("reference")
)
_BY_ID: Final = _SELECT.where(payments.c.dealer_id == bindparam("dealer_id"), payments.c.id == bindparam("payment_id"))
# RETURNING tells whether the row is ours: psycopg forgets how many rows an INSERT wrote.
_INSERT: Final = {
    dialect: insert(payments).on_conflict_do_nothing(index_elements=["dealer_id", "reference"]).returning(payments.c.id)
    for dialect, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_PROMISED: Final = select(validations.c.rate).where(
    validations.c.id == bindparam("validation_id"),
    validations.c.dealer_id == bindparam("dealer_id"),
    validations.c.fingerprint == bindparam("fingerprint"),
    validations.c.quote == bindparam("quote"),
    validations.c.valid_until >= bindparam("now"),
)


def find_by_reference(connection: Connection, dealer_id: int, reference: str) -> Payment | None:
    """What became of a dealer's reference."""
    return _payment(connection.execute(_BY_REFERENCE, {"dealer_id": dealer_id, "reference": reference}).first())


def find_by_id(connection: Connection, dealer_id: int, payment_id: str) -> Payment | None:
    """A dealer's own payment; another dealer's does not exist for it."""
    return _payment(connection.execute(_BY_ID, {"dealer_id": dealer_id, "payment_id": payment_id}).first())


def new_id() -> str:
    """A payment id: a ULID, so that ids sort by time and do not tell how many there are."""
    return str(ULID())


def record(connection: Connection, fields: dict[str, Any]) -> bool:
    """Settle a reference. False when it is settled already (after waiting for whoever is just doing it)."""
    return connection.execute(_INSERT[connection.dialect.name], fields).first() is not None


def record_cancellation(
    connection: Connection,
    *,
    payment_id: str,
    terminal: Terminal,
    reason: str,
    cancelled_at: datetime,
    business_on: date,
    exchange_id: str,
) -> None:
    """Cancel a registered payment whose account is locked. IntegrityError when it is cancelled already."""
    row = {
        "id": new_id(),
        "payment_id": payment_id,
        "dealer_id": terminal.dealer_id,
        "terminal_id": terminal.id,
        "reason": reason,
        "cancelled_at": cancelled_at,
        "business_on": business_on,
        "exchange_id": exchange_id,
    }
    connection.execute(cancellations.insert(), row)


def record_validation(
    connection: Connection, *, dealer_id: int, fingerprint: bytes, conversion: Conversion, valid_until: datetime
) -> str:
    """Remember what a validation promised; returns its id."""
    validation_id = new_id()
    row = {
        "id": validation_id,
        "dealer_id": dealer_id,
        "fingerprint": fingerprint,
        "rate": conversion.rate,
        "quote": conversion.credited.currency,
        "valid_until": valid_until,
    }
    connection.execute(validations.insert(), row)
    return validation_id


def promised_rate(
    connection: Connection, validation_id: str, *, dealer_id: int, fingerprint: bytes, quote: str, now: datetime
) -> Decimal | None:
    """The rate a validation of this very payment promised into a currency, while the promise holds."""
    asked = {
        "validation_id": validation_id,
        "dealer_id": dealer_id,
        "fingerprint": fingerprint,
        "quote": quote,
        "now": now,
    }
    return connection.execute(_PROMISED, asked).scalar()


def _payment(row: Row[Any] | None) -> Payment | None:
    if row is None:
        return None
    return Payment(
        id=row.id,
        reference=row.reference,
        disposition=Disposition(row.disposition),
        result=ResultCode(row.result),
        decided_at=row.decided_at,
        business_on=row.business_on,
        fingerprint=row.fingerprint,
        payer=row.payer_value,
        amount=_money(row.amount_minor, row.currency),
        credited=_money(row.credited_minor, row.credited_currency),
        rate=row.rate,
        cancelled_at=row.cancelled_at,
        terminal=row.terminal,
        counted=tuple(row.counted.split(",")) if row.counted else (),
    )


def _money(minor: int | None, currency: str | None) -> Money | None:
    return None if minor is None or currency is None else Money(minor, currency)
