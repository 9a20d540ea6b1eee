"""Contract: no process of the version before 0002 is left; what it did not know is given, always."""

from typing import Final

import sqlalchemy as sa
from alembic import op

from bankapi.storage.columns import Exact, Instant, RowId
from bankapi.storage.migrations.triggers import is_sqlite, refuse_changes, refuse_late, refuse_updates, run

revision: Final = "0005"
down_revision: Final = "0004"
stage: Final = "contract"

_LATE: Final = ("business_on", "closed_through_on", "dealers", "dealer_id", "the business day is closed")


def upgrade() -> None:
    """Remove the bridges; the columns become NOT NULL."""
    if is_sqlite():
        for table in ("payments", "cancellations", "billing_transactions"):
            run(f"DROP TRIGGER {table}_bridge")
        _make_anew("payments", *_payments())
        _make_anew("cancellations", *_cancellations())
        return
    for table, columns in (("payments", ("scheme",)), ("cancellations", ("dealer_id", "business_on"))):
        run(f"DROP TRIGGER {table}_bridge ON {table}", f"DROP FUNCTION bridge_{table}()")
        refuse_updates(table)
        for column in columns:
            # PostgreSQL believes the constraint, which was validated, instead of looking at every row again.
            run(
                f"ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL",
                f"ALTER TABLE {table} DROP CONSTRAINT given_{column}",
            )


def _make_anew(table: str, *columns_and_constraints: sa.schema.SchemaItem) -> None:
    """SQLite changes no column: the table is made anew, filled, and takes the place of the old one with its name.

    The triggers go with the old table. Foreign keys are off meanwhile, and looked at before the commit.
    """
    new = op.create_table(f"{table}_new", *columns_and_constraints)
    names = ", ".join(column.name for column in new.columns)
    run(
        f"INSERT INTO {table}_new ({names}) SELECT {names} FROM {table}",  # noqa: S608  our own names
        f"DROP TABLE {table}",
        f"ALTER TABLE {table}_new RENAME TO {table}",
    )
    op.create_index(f"ix_{table}_dealer_day", table, ["dealer_id", "business_on", "id"])
    if table == "payments":
        op.create_index("ix_payments_account_id", "payments", ["account_id"])
    refuse_late(table, *_LATE)
    refuse_changes(table)


def _payments() -> tuple[sa.schema.SchemaItem, ...]:
    return (
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("dealer_id", RowId, nullable=False),
        sa.Column("terminal_id", RowId, nullable=False),
        sa.Column("scheme", sa.String(32), nullable=False),
        sa.Column("reference", sa.String(64), nullable=False),
        sa.Column("disposition", sa.String(16), nullable=False),
        sa.Column("result", sa.String(32), nullable=False),
        sa.Column("decided_at", Instant, nullable=False),
        sa.Column("business_on", sa.Date(), nullable=False),
        sa.Column("exchange_id", sa.String(26), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(32)),
        sa.Column("payer_kind", sa.String(16)),
        sa.Column("payer_value", sa.String(20)),
        sa.Column("account_id", RowId),
        sa.Column("amount_minor", sa.BigInteger()),
        sa.Column("currency", sa.String(3)),
        sa.Column("credited_minor", sa.BigInteger()),
        sa.Column("credited_currency", sa.String(3)),
        sa.Column("rate", Exact),
        sa.Column("fee_minor", sa.BigInteger()),
        sa.Column("fee_currency", sa.String(3)),
        sa.Column("paid_at", Instant),
        sa.Column("validation_id", sa.String(26)),
        sa.Column("card_bin", sa.String(8)),
        sa.Column("card_last_four", sa.String(4)),
        sa.Column("rrn", sa.String(12)),
        sa.Column("authorization_code", sa.String(6)),
        sa.Column("counted", sa.String(32)),
        sa.PrimaryKeyConstraint("id", name="pk_payments"),
        sa.UniqueConstraint("dealer_id", "reference", name="uq_payments_dealer_id_reference"),
        sa.CheckConstraint("disposition IN ('REGISTERED', 'DECLINED', 'VOIDED')", name="ck_payments_disposition"),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealers.id"], name="fk_payments_dealer_id"),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name="fk_payments_terminal_id"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_payments_account_id"),
    )


def _cancellations() -> tuple[sa.schema.SchemaItem, ...]:
    return (
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("payment_id", sa.String(26), nullable=False),
        sa.Column("dealer_id", RowId, nullable=False),
        sa.Column("terminal_id", RowId, nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("cancelled_at", Instant, nullable=False),
        sa.Column("business_on", sa.Date(), nullable=False),
        sa.Column("exchange_id", sa.String(26), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cancellations"),
        sa.UniqueConstraint("payment_id", name="uq_cancellations_payment_id"),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name="fk_cancellations_payment_id"),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealers.id"], name="fk_cancellations_dealer_id"),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name="fk_cancellations_terminal_id"),
    )
