"""A customer's last transactions, from the ledger."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, select

from bankapi.billing.customers import Account
from bankapi.billing.ledger import TransactionKind
from bankapi.billing.money import Money
from bankapi.billing.tables import billing_transactions, postings

LINES_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One movement of a customer's balance, and the balance right after it."""

    occurred_at: datetime
    kind: TransactionKind
    amount: Money
    balance: Money


_LAST: Final = (
    select(
        billing_transactions.c.occurred_at,
        billing_transactions.c.kind,
        postings.c.amount_minor,
        postings.c.balance_after_minor,
    )
    .join_from(postings, billing_transactions)
    .where(postings.c.ledger_account_id == bindparam("ledger_account_id"))
    .order_by(postings.c.id.desc())
    .limit(LINES_MAX)
)


def last_transactions(connection: Connection, account: Account) -> tuple[StatementLine, ...]:
    """At most ten, the newest first. The cost does not depend on how many there are."""
    rows = connection.execute(_LAST, {"ledger_account_id": account.ledger_account.id})
    return tuple(
        StatementLine(
            row.occurred_at,
            TransactionKind(row.kind),
            Money(row.amount_minor, account.currency),
            Money(row.balance_after_minor, account.currency),
        )
        for row in rows
    )
