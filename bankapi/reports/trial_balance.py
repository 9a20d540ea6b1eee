"""The trial balance: what every kind of ledger account was debited and credited with, and that it comes to nothing.

Amounts are credit-positive: a debit is what was taken from an account, a credit what was added to it.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, case, func, select

from bankapi.billing.ledger import LedgerAccountKind
from bankapi.billing.tables import billing_transactions, ledger_accounts, postings

_CUSTOMERS: Final = LedgerAccountKind.CUSTOMER


@dataclass(frozen=True, slots=True)
class TrialBalanceLine:
    """One account over a period, in minor units; all customers together are one."""

    kind: LedgerAccountKind
    owner: str
    """The dealer; empty for the operator's own accounts and for the customers."""
    currency: str
    opening_minor: int
    debit_minor: int
    credit_minor: int

    @property
    def closing_minor(self) -> int:
        return self.opening_minor - self.debit_minor + self.credit_minor


def _question() -> Select[Any]:
    owner = case((ledger_accounts.c.kind == _CUSTOMERS, ""), else_=ledger_accounts.c.owner).label("owner")
    amount, day = postings.c.amount_minor, billing_transactions.c.business_on
    is_before = day < bindparam("first_on")
    key = (ledger_accounts.c.kind, owner, postings.c.currency)
    return (
        select(
            *key,
            func.sum(case((is_before, amount), else_=0)),
            func.sum(case((~is_before & (amount < 0), -amount), else_=0)),
            func.sum(case((~is_before & (amount > 0), amount), else_=0)),
        )
        .join_from(postings, billing_transactions)
        .join(ledger_accounts, ledger_accounts.c.id == postings.c.ledger_account_id)
        .where(day <= bindparam("last_on"))
        .group_by(*key)
    )


_QUESTION: Final = _question()


def trial_balance(connection: Connection, first_on: date, last_on: date) -> list[TrialBalanceLine]:
    """Every account by currency, kind and owner. Reads every posting through the last day."""
    rows = connection.execute(_QUESTION, {"first_on": first_on, "last_on": last_on})
    found = [
        TrialBalanceLine(LedgerAccountKind(kind), owner, currency, int(opening), int(debit), int(credit))
        for kind, owner, currency, opening, debit, credit in rows
    ]
    return sorted(found, key=lambda line: (line.currency, list(LedgerAccountKind).index(line.kind), line.owner))
