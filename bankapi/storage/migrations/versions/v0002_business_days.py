"""Expand: business days that can be closed, and payments and cancellations that say whose and which day they are.

The previous version knows nothing of `payments.scheme`, `cancellations.dealer_id` and `cancellations.business_on`. They
may be NULL until the contraction, and bridges fill them in behind it: before the row is written in PostgreSQL, right
after in SQLite, whose triggers cannot change a new row. For that, and for filling in the rows there are (0004), the
append-only triggers let a NULL of these columns become a value, once.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

from bankapi.storage.columns import RowId
from bankapi.storage.migrations.triggers import is_sqlite, refuse_late, refuse_updates, run, unchanged

revision: Final = "0002"
down_revision: Final = "0001"
stage: Final = "expand"

_KEPT_OF_PAYMENTS: Final = (
    *("id", "dealer_id", "terminal_id", "reference", "disposition", "result", "decided_at", "business_on"),
    *("exchange_id", "fingerprint", "payer_kind", "payer_value", "account_id", "amount_minor", "currency"),
    *("credited_minor", "credited_currency", "rate", "fee_minor", "fee_currency", "paid_at", "validation_id"),
    *("card_bin", "card_last_four", "rrn", "authorization_code", "counted"),
)
_KEPT_OF_CANCELLATIONS: Final = ("id", "payment_id", "terminal_id", "reason", "cancelled_at", "exchange_id")
_LATE: Final = ("business_on", "closed_through_on", "dealers", "dealer_id", "the business day is closed")

_SQLITE_BRIDGES: Final = (
    "CREATE TRIGGER payments_bridge AFTER INSERT ON payments WHEN NEW.scheme IS NULL BEGIN"
    " UPDATE payments SET scheme = (SELECT scheme FROM dealers WHERE id = NEW.dealer_id) WHERE id = NEW.id; END",
    "CREATE TRIGGER cancellations_bridge AFTER INSERT ON cancellations WHEN NEW.dealer_id IS NULL BEGIN"
    " UPDATE cancellations SET dealer_id = (SELECT dealer_id FROM payments WHERE id = NEW.payment_id)"
    " WHERE id = NEW.id; END",
    # SQLite knows no time zones: the day comes with the booking, which follows in the same transaction.
    "CREATE TRIGGER billing_transactions_bridge AFTER INSERT ON billing_transactions"
    " WHEN NEW.kind = 'CANCELLATION' BEGIN"
    " UPDATE cancellations SET business_on = NEW.business_on WHERE payment_id = NEW.payment_id AND business_on IS NULL;"
    " END",
)
_POSTGRESQL_BRIDGES: Final = (
    """
CREATE FUNCTION bridge_payments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.scheme IS NULL THEN SELECT scheme INTO NEW.scheme FROM dealers WHERE id = NEW.dealer_id; END IF;
    RETURN NEW;
END $$
""",
    "CREATE TRIGGER payments_bridge BEFORE INSERT ON payments FOR EACH ROW EXECUTE FUNCTION bridge_payments()",
    """
CREATE FUNCTION bridge_cancellations() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.dealer_id IS NULL THEN
        SELECT d.id, (NEW.cancelled_at AT TIME ZONE d.time_zone)::date INTO NEW.dealer_id, NEW.business_on
        FROM payments p JOIN dealers d ON d.id = p.dealer_id WHERE p.id = NEW.payment_id;
    END IF;
    RETURN NEW;
END $$
""",
    "CREATE TRIGGER cancellations_bridge BEFORE INSERT ON cancellations "
    "FOR EACH ROW EXECUTE FUNCTION bridge_cancellations()",
)
# They hold for new rows at once; 0004 looks at the others while the tables are in use.
_POSTGRESQL_PROMISES: Final = (
    "ALTER TABLE payments ADD CONSTRAINT given_scheme CHECK (scheme IS NOT NULL) NOT VALID",
    "ALTER TABLE cancellations ADD CONSTRAINT given_dealer_id CHECK (dealer_id IS NOT NULL) NOT VALID",
    "ALTER TABLE cancellations ADD CONSTRAINT given_business_on CHECK (business_on IS NOT NULL) NOT VALID",
    "ALTER TABLE cancellations ADD CONSTRAINT fk_cancellations_dealer_id "
    "FOREIGN KEY (dealer_id) REFERENCES dealers (id) NOT VALID",
)


def upgrade() -> None:
    """Columns, bridges, and what refuses an event of a closed day."""
    op.add_column("dealers", sa.Column("closed_through_on", sa.Date()))
    op.add_column("payments", sa.Column("scheme", sa.String(32)))
    op.add_column("cancellations", sa.Column("dealer_id", RowId))
    op.add_column("cancellations", sa.Column("business_on", sa.Date()))
    refuse_updates("payments", f"OLD.scheme IS NULL AND NEW.scheme IS NOT NULL AND {unchanged(_KEPT_OF_PAYMENTS)}")
    refuse_updates(
        "cancellations",
        "(OLD.dealer_id IS NULL OR OLD.business_on IS NULL)"
        " AND (OLD.dealer_id IS NULL OR NEW.dealer_id = OLD.dealer_id)"
        " AND (OLD.business_on IS NULL OR NEW.business_on = OLD.business_on)"
        f" AND {unchanged(_KEPT_OF_CANCELLATIONS)}",
    )
    run(*(_SQLITE_BRIDGES if is_sqlite() else (*_POSTGRESQL_BRIDGES, *_POSTGRESQL_PROMISES)))
    for table in ("payments", "cancellations"):
        refuse_late(table, *_LATE)
