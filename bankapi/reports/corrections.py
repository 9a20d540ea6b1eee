"""Putting right what a reconciliation has shown: a new billing transaction, never a change of an old one.

The payment stays what it was decided to be, and so does the difference; the correction names the difference, the
reason, and who decided it.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, select
from ulid import ULID

from bankapi.billing import customers, dealers, ledger
from bankapi.billing.ledger import Entry, LedgerAccount, LedgerAccountKind
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, PayerKind
from bankapi.billing.tables import dealers as dealer_rows
from bankapi.billing.terminals import Scheme
from bankapi.reports.register_tables import corrections, reconciliation_differences, reconciliations, registers


class CorrectionRefused(Exception):
    """It cannot be booked; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What is to be booked because of a difference.

    A positive amount is taken from the dealer and given to the account, as a payment would be; a negative one goes
    the other way.
    """

    reference: str
    """The operator's own name of it: the same one books once."""
    reconciliation_id: str
    difference_number: int
    amount: Money
    account_number: str | None
    """The customer's billing account; None is the operator's revenue."""
    reason: str
    corrected_by: str


@dataclass(frozen=True, slots=True)
class BookedCorrection:
    """A correction as it is kept."""

    correction: Correction
    dealer: str
    corrected_at: datetime
    business_on: date
    billing_transaction_id: int
    is_repeated: bool = False
    """It was booked before."""


_SELECT: Final = select(corrections, dealer_rows.c.name.label("dealer")).join_from(corrections, dealer_rows)
_DEALER: Final = (
    select(dealer_rows.c.id, dealer_rows.c.name, dealer_rows.c.scheme)
    .join_from(reconciliation_differences, reconciliations)
    .join(registers, registers.c.id == reconciliations.c.register_id)
    .join(dealer_rows, dealer_rows.c.id == registers.c.dealer_id)
    .where(
        reconciliation_differences.c.reconciliation_id == bindparam("reconciliation_id"),
        reconciliation_differences.c.number == bindparam("difference_number"),
    )
)


def correct(connection: Connection, asked: Correction, now: datetime) -> BookedCorrection:
    """Book it on the dealer's open business day; a reference that was booked gives the first booking again.

    CorrectionRefused: no such difference or account, an account in another currency, a reference that was used for
    something else, or nothing to book.
    """
    booked = find(connection, asked.reference)
    if booked is not None:
        if _what(booked.correction) != _what(asked):
            raise CorrectionRefused("this reference was used for another correction")
        return booked
    if not asked.amount.minor:
        raise CorrectionRefused("a correction of nothing is none")
    key = {"reconciliation_id": asked.reconciliation_id, "difference_number": asked.difference_number}
    dealer = connection.execute(_DEALER, key).first()
    if dealer is None:
        raise CorrectionRefused("there is no such difference")
    other = _other_side(connection, asked)
    # Nothing below this line refuses.
    business_on = dealers.open_business_day(connection, dealer.name, now)
    own = ledger.open_account(
        connection, dealers.BOOKED_AGAINST[Scheme(dealer.scheme)], dealer.name, asked.amount.currency
    )
    transaction_id = ledger.post_correction(
        connection, [Entry(own, -asked.amount), Entry(other, asked.amount)], occurred_at=now, business_on=business_on
    )
    row = {
        **key,
        "id": str(ULID()),
        "dealer_id": dealer.id,
        "reference": asked.reference,
        "amount_minor": asked.amount.minor,
        "currency": asked.amount.currency,
        "account_number": asked.account_number,
        "reason": asked.reason,
        "corrected_by": asked.corrected_by,
        "corrected_at": now,
        "business_on": business_on,
        "billing_transaction_id": transaction_id,
    }
    connection.execute(corrections.insert(), row)
    return BookedCorrection(asked, dealer.name, now, business_on, transaction_id)


def find(connection: Connection, reference: str) -> BookedCorrection | None:
    """The correction of this reference."""
    row = connection.execute(_SELECT.where(corrections.c.reference == reference)).first()
    return None if row is None else _booked(row)


def of_reconciliation(connection: Connection, reconciliation_id: str) -> list[BookedCorrection]:
    """What was booked because of a reconciliation, in order."""
    query = _SELECT.where(corrections.c.reconciliation_id == reconciliation_id).order_by(corrections.c.id)
    return [_booked(row) for row in connection.execute(query)]


def _other_side(connection: Connection, asked: Correction) -> LedgerAccount:
    currency = asked.amount.currency
    if asked.account_number is None:
        return ledger.open_account(connection, LedgerAccountKind.OPERATOR_REVENUE, "", currency)
    account = customers.find_account(connection, PayerKey(PayerKind.ACCOUNT_NUMBER, asked.account_number))
    if account is None:
        raise CorrectionRefused("there is no such billing account")
    if account.currency != currency:
        raise CorrectionRefused(f"the billing account is in {account.currency}; a correction converts nothing")
    return account.ledger_account


def _what(correction: Correction) -> tuple[object, ...]:
    """What must be the same in a repetition; words may differ."""
    return (
        *(correction.reconciliation_id, correction.difference_number),
        *(correction.amount, correction.account_number),
    )


def _booked(row: Row[Any]) -> BookedCorrection:
    correction = Correction(
        reference=row.reference,
        reconciliation_id=row.reconciliation_id,
        difference_number=row.difference_number,
        amount=Money(row.amount_minor, row.currency),
        account_number=row.account_number,
        reason=row.reason,
        corrected_by=row.corrected_by,
    )
    return BookedCorrection(
        correction, row.dealer, row.corrected_at, row.business_on, row.billing_transaction_id, is_repeated=True
    )
