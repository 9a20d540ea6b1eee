"""Online: fill in what the columns of 0002 should say about the rows there are, and build their indexes.

A payment's scheme is that of the ledger account it was booked against; one that was not booked gets its dealer's
present one. A cancellation's dealer is its payment's, its business day that of its billing transaction.
"""

from functools import partial
from typing import Final

from sqlalchemy import Connection, text

from bankapi.storage.engine import Store
from bankapi.storage.migrations.indexes import create_index
from bankapi.storage.migrations.triggers import is_sqlite, run

revision: Final = "0004"
down_revision: Final = "0003"
stage: Final = "online"

_ROWS_MAX: Final = 1000
"""Rows filled in one transaction: some milliseconds in which SQLite's other writers wait."""
_SCHEME: Final = """
UPDATE payments SET scheme = coalesce(
    (SELECT CASE l.kind WHEN 'DEALER_RECEIVABLE' THEN 'CREDIT_ADJUSTMENT' ELSE 'DEBIT_ADJUSTMENT' END
     FROM billing_transactions t
     JOIN postings p ON p.billing_transaction_id = t.id
     JOIN ledger_accounts l ON l.id = p.ledger_account_id
     WHERE t.payment_id = payments.id AND t.kind = 'PAYMENT' AND l.kind IN ('DEALER_RECEIVABLE', 'DEALER_DEPOSIT')
     LIMIT 1),
    (SELECT d.scheme FROM dealers d WHERE d.id = payments.dealer_id))
WHERE id > :after AND id <= :last AND scheme IS NULL
"""
_DAY: Final = """
UPDATE cancellations SET
    dealer_id = (SELECT p.dealer_id FROM payments p WHERE p.id = cancellations.payment_id),
    business_on = coalesce(cancellations.business_on,
        (SELECT t.business_on FROM billing_transactions t
         WHERE t.payment_id = cancellations.payment_id AND t.kind = 'CANCELLATION'))
WHERE id > :after AND id <= :last AND (dealer_id IS NULL OR business_on IS NULL)
"""


def online(store: Store) -> None:
    """Everything that takes longer the more rows there are."""
    for table, statement in (("payments", _SCHEME), ("cancellations", _DAY)):
        after: str | None = ""
        while after is not None:
            after = store.write(partial(_fill, table, statement, after))
    for table in ("payments", "cancellations"):
        create_index(store, f"ix_{table}_dealer_day", table, ("dealer_id", "business_on", "id"))


def _fill(table: str, statement: str, after: str, connection: Connection) -> str | None:
    """Fill in the rows next to `after` in the order of their ids; returns the last one, or None when there is none."""
    page = f"SELECT id FROM {table} WHERE id > :after ORDER BY id LIMIT {_ROWS_MAX}"  # noqa: S608  our own names
    last = connection.execute(text(f"SELECT max(id) FROM ({page}) AS page"), {"after": after}).scalar()  # noqa: S608
    if last is not None:
        connection.execute(text(statement), {"after": after, "last": last})
    return None if last is None else str(last)


def upgrade() -> None:
    """PostgreSQL looks at every row once, while the tables are in use."""
    if not is_sqlite():
        run(
            "ALTER TABLE payments VALIDATE CONSTRAINT given_scheme",
            "ALTER TABLE cancellations VALIDATE CONSTRAINT given_dealer_id",
            "ALTER TABLE cancellations VALIDATE CONSTRAINT given_business_on",
            "ALTER TABLE cancellations VALIDATE CONSTRAINT fk_cancellations_dealer_id",
        )
