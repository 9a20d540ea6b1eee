"""Expand: closed business days with their sheets, and registers with their reconciliation. New tables only."""

from typing import Final

import sqlalchemy as sa
from alembic import op

from bankapi.storage.columns import Exact, Instant, RowId
from bankapi.storage.migrations.triggers import refuse_changes

revision: Final = "0003"
down_revision: Final = "0002"
stage: Final = "expand"

_FACTS: Final = (
    "closed_days",
    "complete_registers",
    "corrections",
    "day_sheet_balances",
    "day_sheet_lines",
    "day_sheets",
    "reconciliation_differences",
    "reconciliation_notes",
    "reconciliation_results",
    "reconciliations",
    "register_parts",
    "register_rows",
    "registers",
)


def upgrade() -> None:
    """Create them; all are facts."""
    _create_tables()
    for table in _FACTS:
        refuse_changes(table)


def _create_tables() -> None:
    op.create_table(
        "closed_days",
        sa.Column("dealer_id", RowId, autoincrement=False, nullable=False),
        sa.Column("business_on", sa.Date(), nullable=False),
        sa.Column("closed_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealers.id"], name="fk_closed_days_dealer_id"),
        sa.PrimaryKeyConstraint("dealer_id", "business_on", name="pk_closed_days"),
    )
    op.create_table(
        "day_sheet_balances",
        sa.Column("dealer_id", RowId, autoincrement=False, nullable=False),
        sa.Column("business_on", sa.Date(), nullable=False),
        sa.Column("ledger_account_id", RowId, autoincrement=False, nullable=False),
        sa.Column("registered_minor", sa.BigInteger(), nullable=False),
        sa.Column("cancelled_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_in_minor", sa.BigInteger(), nullable=False),
        sa.Column("corrected_minor", sa.BigInteger(), nullable=False),
        sa.Column("next_posting_id", RowId, nullable=False),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealers.id"], name="fk_day_sheet_balances_dealer_id"),
        sa.ForeignKeyConstraint(
            ["ledger_account_id"], ["ledger_accounts.id"], name="fk_day_sheet_balances_ledger_account_id"
        ),
        sa.PrimaryKeyConstraint("dealer_id", "business_on", "ledger_account_id", name="pk_day_sheet_balances"),
    )
    op.create_table(
        "day_sheet_lines",
        sa.Column("dealer_id", RowId, autoincrement=False, nullable=False),
        sa.Column("business_on", sa.Date(), nullable=False),
        sa.Column("terminal", sa.String(length=64), nullable=False),
        sa.Column("scheme", sa.String(length=32), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("registered_count", sa.Integer(), nullable=False),
        sa.Column("registered_minor", sa.BigInteger(), nullable=False),
        sa.Column("cancelled_count", sa.Integer(), nullable=False),
        sa.Column("cancelled_minor", sa.BigInteger(), nullable=False),
        sa.Column("fees_minor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealers.id"], name="fk_day_sheet_lines_dealer_id"),
        sa.PrimaryKeyConstraint(
            "dealer_id", "business_on", "terminal", "scheme", "currency", name="pk_day_sheet_lines"
        ),
    )
    op.create_table(
        "day_sheets",
        sa.Column("dealer_id", RowId, autoincrement=False, nullable=False),
        sa.Column("business_on", sa.Date(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealers.id"], name="fk_day_sheets_dealer_id"),
        sa.PrimaryKeyConstraint("dealer_id", "business_on", name="pk_day_sheets"),
    )
    op.create_table(
        "registers",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("dealer_id", RowId, nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("business_on", sa.Date(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("hash_total", Exact, nullable=False),
        sa.Column("received_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealers.id"], name="fk_registers_dealer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_registers"),
        sa.UniqueConstraint("dealer_id", "reference", name="uq_registers_dealer_id_reference"),
    )
    op.create_table(
        "complete_registers",
        sa.Column("register_id", sa.String(length=26), nullable=False),
        sa.Column("completed_at", Instant, nullable=False),
        sa.Column("is_accepted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["register_id"], ["registers.id"], name="fk_complete_registers_register_id"),
        sa.PrimaryKeyConstraint("register_id", name="pk_complete_registers"),
    )
    op.create_table(
        "reconciliations",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("register_id", sa.String(length=26), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("as_of", Instant, nullable=False),
        sa.ForeignKeyConstraint(["register_id"], ["registers.id"], name="fk_reconciliations_register_id"),
        sa.PrimaryKeyConstraint("id", name="pk_reconciliations"),
        sa.UniqueConstraint("register_id", "run", name="uq_reconciliations_register_id_run"),
    )
    op.create_table(
        "register_parts",
        sa.Column("register_id", sa.String(length=26), nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("hash_total", Exact, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("received_at", Instant, nullable=False),
        sa.Column("exchange_id", sa.String(length=26)),
        sa.ForeignKeyConstraint(["register_id"], ["registers.id"], name="fk_register_parts_register_id"),
        sa.PrimaryKeyConstraint("register_id", "part", name="pk_register_parts"),
    )
    op.create_table(
        "reconciliation_differences",
        sa.Column("reconciliation_id", sa.String(length=26), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("row_number", sa.Integer()),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("their_status", sa.String(length=16)),
        sa.Column("their_amount_minor", sa.BigInteger()),
        sa.Column("their_currency", sa.String(length=3)),
        sa.Column("their_occurred_at", Instant),
        sa.Column("their_terminal", sa.String(length=64)),
        sa.Column("their_payment_id", sa.String(length=26)),
        sa.Column("our_status", sa.String(length=16)),
        sa.Column("our_amount_minor", sa.BigInteger()),
        sa.Column("our_currency", sa.String(length=3)),
        sa.Column("our_business_on", sa.Date()),
        sa.Column("our_occurred_at", Instant),
        sa.Column("our_terminal", sa.String(length=64)),
        sa.Column("our_payment_id", sa.String(length=26)),
        sa.ForeignKeyConstraint(
            ["reconciliation_id"], ["reconciliations.id"], name="fk_reconciliation_differences_reconciliation_id"
        ),
        sa.PrimaryKeyConstraint("reconciliation_id", "number", name="pk_reconciliation_differences"),
    )
    op.create_table(
        "reconciliation_results",
        sa.Column("reconciliation_id", sa.String(length=26), nullable=False),
        sa.Column("day_is_closed", sa.Boolean(), nullable=False),
        sa.Column("matched", sa.Integer(), nullable=False),
        sa.Column("duplicate", sa.Integer(), nullable=False),
        sa.Column("missing_here", sa.Integer(), nullable=False),
        sa.Column("amount_differs", sa.Integer(), nullable=False),
        sa.Column("status_differs", sa.Integer(), nullable=False),
        sa.Column("other_day", sa.Integer(), nullable=False),
        sa.Column("missing_there", sa.Integer(), nullable=False),
        sa.Column("register_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["reconciliation_id"], ["reconciliations.id"], name="fk_reconciliation_results_reconciliation_id"
        ),
        sa.PrimaryKeyConstraint("reconciliation_id", name="pk_reconciliation_results"),
    )
    op.create_table(
        "register_rows",
        sa.Column("register_id", sa.String(length=26), nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("occurred_at", Instant),
        sa.Column("terminal", sa.String(length=64)),
        sa.Column("payment_id", sa.String(length=26)),
        sa.ForeignKeyConstraint(
            ["register_id", "part"],
            ["register_parts.register_id", "register_parts.part"],
            name="fk_register_rows_register_id_part",
        ),
        sa.PrimaryKeyConstraint("register_id", "part", "number", name="pk_register_rows"),
    )
    op.create_index("ix_register_rows_reference", "register_rows", ["register_id", "reference", "part", "number"])
    op.create_table(
        "corrections",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("dealer_id", RowId, nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("reconciliation_id", sa.String(length=26), nullable=False),
        sa.Column("difference_number", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("account_number", sa.String(length=20)),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("corrected_by", sa.String(length=200), nullable=False),
        sa.Column("corrected_at", Instant, nullable=False),
        sa.Column("business_on", sa.Date(), nullable=False),
        sa.Column("billing_transaction_id", RowId, nullable=False),
        sa.ForeignKeyConstraint(
            ["billing_transaction_id"], ["billing_transactions.id"], name="fk_corrections_billing_transaction_id"
        ),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealers.id"], name="fk_corrections_dealer_id"),
        sa.ForeignKeyConstraint(
            ["reconciliation_id", "difference_number"],
            ["reconciliation_differences.reconciliation_id", "reconciliation_differences.number"],
            name="fk_corrections_reconciliation_id_difference_number",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_corrections"),
        sa.UniqueConstraint("billing_transaction_id", name="uq_corrections_billing_transaction_id"),
        sa.UniqueConstraint("reference", name="uq_corrections_reference"),
    )
    op.create_table(
        "reconciliation_notes",
        sa.Column("reconciliation_id", sa.String(length=26), nullable=False),
        sa.Column("signed_at", Instant, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["reconciliation_id"],
            ["reconciliation_results.reconciliation_id"],
            name="fk_reconciliation_notes_reconciliation_id",
        ),
        sa.PrimaryKeyConstraint("reconciliation_id", name="pk_reconciliation_notes"),
    )
