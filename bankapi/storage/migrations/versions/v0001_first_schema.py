"""The first schema: as the program before migrations created it.

A database without a revision that has these tables is at this revision.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

from bankapi.storage.columns import Exact, Instant, RowId
from bankapi.storage.migrations.triggers import refuse_changes, unchanged

revision: Final = "0001"
down_revision: Final = None
stage: Final = "expand"

_FACTS: Final = (
    "archives",
    "billing_transactions",
    "cancellations",
    "checkpoints",
    "ledger_accounts",
    "misses",
    "notice_attempts",
    "payments",
    "postings",
    "rates",
    "service_changes",
    "signing_certificates",
    "tree_leaves",
    "tree_nodes",
    "validations",
)
_KEPT_OF_EXCHANGES: Final = (
    "id",
    "exchange_id",
    "received_at",
    "answered_at",
    "operation",
    "outcome",
    "rule",
    "terminal_id",
    "tls_fingerprint",
    "signing_fingerprint",
    "request_bytes",
    "request_digest",
    "answer_digest",
    "signed_created_at",
    "replay_key",
)


def upgrade() -> None:
    """Create everything in an empty database."""
    _create_tables()
    for table in _FACTS:
        refuse_changes(table)
    archived = "(OLD.id <= (SELECT max(last_row_id) FROM archives))"
    emptied = f"NEW.request IS NULL AND NEW.answer IS NULL AND {unchanged(_KEPT_OF_EXCHANGES)} AND {archived}"
    refuse_changes("exchanges", emptied)


def _create_tables() -> None:
    op.create_table(
        "archives",
        sa.Column("last_row_id", RowId, autoincrement=False, nullable=False),
        sa.Column("first_row_id", RowId, nullable=False),
        sa.Column("archived_at", Instant, nullable=False),
        sa.Column("file_digest", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("last_row_id", name="pk_archives"),
    )
    op.create_table(
        "card_ranges",
        sa.Column("first_bin", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last_bin", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("language", sa.String(length=35)),
        sa.PrimaryKeyConstraint("first_bin", "last_bin", name="pk_card_ranges"),
    )
    op.create_table(
        "checkpoints",
        sa.Column("tree_size", RowId, autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("signed_at", Instant, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tree_size", name="pk_checkpoints"),
    )
    op.create_table(
        "customers",
        sa.Column("id", RowId, nullable=False),
        sa.Column("customer_number", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("language", sa.String(length=35)),
        sa.PrimaryKeyConstraint("id", name="pk_customers"),
        sa.UniqueConstraint("customer_number", name="uq_customers_customer_number"),
    )
    op.create_table(
        "day_totals",
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("business_on", sa.Date(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "owner", "currency", "business_on", name="pk_day_totals"),
    )
    op.create_table(
        "dealers",
        sa.Column("id", RowId, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("scheme", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("names_unmasked", sa.Boolean(), nullable=False),
        sa.Column("overdraft_minor", sa.BigInteger(), nullable=False),
        sa.Column("currencies", sa.String(length=128), nullable=False),
        sa.Column("cancel_rule", sa.String(length=32), nullable=False),
        sa.Column("cancel_minutes", sa.Integer(), nullable=False),
        sa.Column("misses_max", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dealers"),
        sa.UniqueConstraint("name", name="uq_dealers_name"),
    )
    op.create_table(
        "exchanges",
        sa.Column("id", RowId, nullable=False),
        sa.Column("exchange_id", sa.String(length=26), nullable=False),
        sa.Column("received_at", Instant, nullable=False),
        sa.Column("answered_at", Instant, nullable=False),
        sa.Column("operation", sa.String(length=64)),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("rule", sa.String(length=64)),
        sa.Column("terminal_id", RowId),
        sa.Column("tls_fingerprint", sa.LargeBinary(length=32)),
        sa.Column("signing_fingerprint", sa.LargeBinary(length=32)),
        sa.Column("request_bytes", sa.Integer(), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("answer_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("request", sa.LargeBinary()),
        sa.Column("answer", sa.LargeBinary()),
        sa.Column("signed_created_at", Instant),
        sa.Column("replay_key", sa.LargeBinary(length=32)),
        sa.PrimaryKeyConstraint("id", name="pk_exchanges"),
        sa.UniqueConstraint("exchange_id", name="uq_exchanges_exchange_id"),
        sa.UniqueConstraint("signed_created_at", "replay_key", name="uq_exchanges_signed_created_at_replay_key"),
    )
    op.create_table(
        "ledger_accounts",
        sa.Column("id", RowId, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_accounts"),
        sa.UniqueConstraint("kind", "owner", "currency", name="uq_ledger_accounts_kind_owner_currency"),
    )
    op.create_table(
        "limits",
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_min_minor", sa.BigInteger()),
        sa.Column("amount_max_minor", sa.BigInteger()),
        sa.Column("day_count_max", sa.Integer()),
        sa.Column("day_amount_max_minor", sa.BigInteger()),
        sa.PrimaryKeyConstraint("scope", "owner", "currency", name="pk_limits"),
    )
    op.create_table(
        "notice_preferences",
        sa.Column("msisdn", sa.String(length=15), nullable=False),
        sa.Column("opted_out_at", Instant),
        sa.Column("language", sa.String(length=35)),
        sa.PrimaryKeyConstraint("msisdn", name="pk_notice_preferences"),
    )
    op.create_table(
        "notice_receipts",
        sa.Column("id", RowId, nullable=False),
        sa.Column("smsc", sa.String(length=16), nullable=False),
        sa.Column("message_id", sa.String(length=65), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("received_at", Instant, nullable=False),
        sa.Column("settled_at", Instant),
        sa.PrimaryKeyConstraint("id", name="pk_notice_receipts"),
    )
    op.create_index("ix_notice_receipts_settled_at", "notice_receipts", ["settled_at"])
    op.create_table(
        "rates",
        sa.Column("base", sa.String(length=3), nullable=False),
        sa.Column("quote", sa.String(length=3), nullable=False),
        sa.Column("valid_from", Instant, nullable=False),
        sa.Column("rate", Exact, nullable=False),
        sa.PrimaryKeyConstraint("base", "quote", "valid_from", name="pk_rates"),
    )
    op.create_table(
        "signing_certificates",
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("used_from", Instant, nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_signing_certificates"),
    )
    op.create_table(
        "tree_nodes",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", RowId, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("level", "position", name="pk_tree_nodes"),
    )
    op.create_table(
        "accounts",
        sa.Column("id", RowId, nullable=False),
        sa.Column("customer_id", RowId, nullable=False),
        sa.Column("account_number", sa.String(length=20), nullable=False),
        sa.Column("ledger_account_id", RowId, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("service_status", sa.String(length=16), nullable=False),
        sa.Column("credit_limit_minor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name="fk_accounts_customer_id"),
        sa.ForeignKeyConstraint(["ledger_account_id"], ["ledger_accounts.id"], name="fk_accounts_ledger_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("account_number", name="uq_accounts_account_number"),
        sa.UniqueConstraint("ledger_account_id", name="uq_accounts_ledger_account_id"),
    )
    op.create_index("ix_accounts_customer_id", "accounts", ["customer_id"])
    op.create_table(
        "balances",
        sa.Column("ledger_account_id", RowId, autoincrement=False, nullable=False),
        sa.Column("balance_minor", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["ledger_account_id"], ["ledger_accounts.id"], name="fk_balances_ledger_account_id"),
        sa.PrimaryKeyConstraint("ledger_account_id", name="pk_balances"),
    )
    op.create_table(
        "terminals",
        sa.Column("id", RowId, nullable=False),
        sa.Column("dealer_id", RowId, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("language", sa.String(length=35)),
        sa.Column("operations", sa.String(length=256)),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealers.id"], name="fk_terminals_dealer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_terminals"),
        sa.UniqueConstraint("name", name="uq_terminals_name"),
    )
    op.create_index("ix_terminals_dealer_id", "terminals", ["dealer_id"])
    op.create_table(
        "tree_leaves",
        sa.Column("leaf_index", RowId, autoincrement=False, nullable=False),
        sa.Column("exchange_row_id", RowId, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(["exchange_row_id"], ["exchanges.id"], name="fk_tree_leaves_exchange_row_id"),
        sa.PrimaryKeyConstraint("leaf_index", name="pk_tree_leaves"),
        sa.UniqueConstraint("exchange_row_id", name="uq_tree_leaves_exchange_row_id"),
    )
    op.create_table(
        "validations",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("dealer_id", RowId, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("rate", Exact),
        sa.Column("quote", sa.String(length=3), nullable=False),
        sa.Column("valid_until", Instant, nullable=False),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealers.id"], name="fk_validations_dealer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_validations"),
    )
    op.create_table(
        "certificates",
        sa.Column("id", RowId, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("dealer_id", RowId, nullable=False),
        sa.Column("terminal_id", RowId),
        sa.Column("valid_from", Instant, nullable=False),
        sa.Column("valid_until", Instant, nullable=False),
        sa.Column("revoked_at", Instant),
        sa.Column("der", sa.LargeBinary(), nullable=False),
        sa.Column("serial_number", sa.String(length=64), nullable=False),
        sa.Column("subject_key_identifier", sa.LargeBinary()),
        sa.Column("thumbprint_sha1", sa.LargeBinary(length=20), nullable=False),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealers.id"], name="fk_certificates_dealer_id"),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name="fk_certificates_terminal_id"),
        sa.PrimaryKeyConstraint("id", name="pk_certificates"),
        sa.UniqueConstraint("fingerprint", name="uq_certificates_fingerprint"),
    )
    op.create_index("ix_certificates_dealer_id", "certificates", ["dealer_id"])
    op.create_index("ix_certificates_serial_number", "certificates", ["serial_number"])
    op.create_index("ix_certificates_subject_key_identifier", "certificates", ["subject_key_identifier"])
    op.create_index("ix_certificates_terminal_id", "certificates", ["terminal_id"])
    op.create_index("ix_certificates_thumbprint_sha1", "certificates", ["thumbprint_sha1"])
    op.create_table(
        "misses",
        sa.Column("id", RowId, nullable=False),
        sa.Column("terminal_id", RowId, nullable=False),
        sa.Column("missed_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name="fk_misses_terminal_id"),
        sa.PrimaryKeyConstraint("id", name="pk_misses"),
    )
    op.create_index("ix_misses_terminal", "misses", ["terminal_id", "missed_at"])
    op.create_table(
        "payments",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("dealer_id", RowId, nullable=False),
        sa.Column("terminal_id", RowId, nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("disposition", sa.String(length=16), nullable=False),
        sa.Column("result", sa.String(length=32), nullable=False),
        sa.Column("decided_at", Instant, nullable=False),
        sa.Column("business_on", sa.Date(), nullable=False),
        sa.Column("exchange_id", sa.String(length=26), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(length=32)),
        sa.Column("payer_kind", sa.String(length=16)),
        sa.Column("payer_value", sa.String(length=20)),
        sa.Column("account_id", RowId),
        sa.Column("amount_minor", sa.BigInteger()),
        sa.Column("currency", sa.String(length=3)),
        sa.Column("credited_minor", sa.BigInteger()),
        sa.Column("credited_currency", sa.String(length=3)),
        sa.Column("rate", Exact),
        sa.Column("fee_minor", sa.BigInteger()),
        sa.Column("fee_currency", sa.String(length=3)),
        sa.Column("paid_at", Instant),
        sa.Column("validation_id", sa.String(length=26)),
        sa.Column("card_bin", sa.String(length=8)),
        sa.Column("card_last_four", sa.String(length=4)),
        sa.Column("rrn", sa.String(length=12)),
        sa.Column("authorization_code", sa.String(length=6)),
        sa.Column("counted", sa.String(length=32)),
        sa.CheckConstraint("disposition IN ('REGISTERED', 'DECLINED', 'VOIDED')", name="ck_payments_disposition"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_payments_account_id"),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealers.id"], name="fk_payments_dealer_id"),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name="fk_payments_terminal_id"),
        sa.PrimaryKeyConstraint("id", name="pk_payments"),
        sa.UniqueConstraint("dealer_id", "reference", name="uq_payments_dealer_id_reference"),
    )
    op.create_index("ix_payments_account_id", "payments", ["account_id"])
    op.create_table(
        "subscriptions",
        sa.Column("id", RowId, nullable=False),
        sa.Column("account_id", RowId, nullable=False),
        sa.Column("msisdn", sa.String(length=15), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_subscriptions_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_subscriptions"),
        sa.UniqueConstraint("msisdn", name="uq_subscriptions_msisdn"),
    )
    op.create_index("ix_subscriptions_account_id", "subscriptions", ["account_id"])
    op.create_table(
        "billing_transactions",
        sa.Column("id", RowId, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("occurred_at", Instant, nullable=False),
        sa.Column("business_on", sa.Date(), nullable=False),
        sa.Column("payment_id", sa.String(length=26)),
        sa.Column("reverses_id", RowId),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name="fk_billing_transactions_payment_id"),
        sa.ForeignKeyConstraint(
            ["reverses_id"], ["billing_transactions.id"], name="fk_billing_transactions_reverses_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_billing_transactions"),
        sa.UniqueConstraint("reverses_id", name="uq_billing_transactions_reverses_id"),
    )
    op.create_index("ix_billing_transactions_payment_id", "billing_transactions", ["payment_id"])
    op.create_table(
        "cancellations",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("payment_id", sa.String(length=26), nullable=False),
        sa.Column("terminal_id", RowId, nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("cancelled_at", Instant, nullable=False),
        sa.Column("exchange_id", sa.String(length=26), nullable=False),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name="fk_cancellations_payment_id"),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminals.id"], name="fk_cancellations_terminal_id"),
        sa.PrimaryKeyConstraint("id", name="pk_cancellations"),
        sa.UniqueConstraint("payment_id", name="uq_cancellations_payment_id"),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("payment_id", sa.String(length=26), nullable=False),
        sa.Column("msisdn", sa.String(length=15), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("dealer", sa.String(length=64), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.Column("due_at", Instant),
        sa.Column("claim", sa.String(length=26)),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("uncertain", sa.Integer(), nullable=False),
        sa.Column("series", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text()),
        sa.Column("parts", sa.Integer()),
        sa.Column("result", sa.String(length=32)),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name="fk_notices_payment_id"),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
    )
    op.create_index("ix_notices_created_at", "notices", ["created_at"])
    op.create_index("ix_notices_due_at", "notices", ["due_at"])
    op.create_index("ix_notices_payment_id", "notices", ["payment_id"])
    op.create_table(
        "service_changes",
        sa.Column("id", RowId, nullable=False),
        sa.Column("account_id", RowId, nullable=False),
        sa.Column("payment_id", sa.String(length=26), nullable=False),
        sa.Column("service_status", sa.String(length=16), nullable=False),
        sa.Column("changed_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_service_changes_account_id"),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name="fk_service_changes_payment_id"),
        sa.PrimaryKeyConstraint("id", name="pk_service_changes"),
    )
    op.create_index("ix_service_changes_account_id", "service_changes", ["account_id"])
    op.create_table(
        "notice_attempts",
        sa.Column("id", RowId, nullable=False),
        sa.Column("notice_id", sa.String(length=26), nullable=False),
        sa.Column("ended_at", Instant, nullable=False),
        sa.Column("smsc", sa.String(length=16)),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("result", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name="fk_notice_attempts_notice_id"),
        sa.PrimaryKeyConstraint("id", name="pk_notice_attempts"),
    )
    op.create_index("ix_notice_attempts_notice_id", "notice_attempts", ["notice_id"])
    op.create_table(
        "notice_parts",
        sa.Column("id", RowId, nullable=False),
        sa.Column("notice_id", sa.String(length=26), nullable=False),
        sa.Column("series", sa.Integer(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("smsc", sa.String(length=16), nullable=False),
        sa.Column("message_id", sa.String(length=65), nullable=False),
        sa.Column("state", sa.String(length=16)),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.id"], name="fk_notice_parts_notice_id"),
        sa.PrimaryKeyConstraint("id", name="pk_notice_parts"),
    )
    op.create_index("ix_notice_parts_message", "notice_parts", ["smsc", "message_id"])
    op.create_index("ix_notice_parts_notice_id", "notice_parts", ["notice_id"])
    op.create_table(
        "postings",
        sa.Column("id", RowId, nullable=False),
        sa.Column("billing_transaction_id", RowId, nullable=False),
        sa.Column("ledger_account_id", RowId, nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("balance_after_minor", sa.BigInteger()),
        sa.CheckConstraint("amount_minor <> 0", name="ck_postings_amount_minor"),
        sa.ForeignKeyConstraint(
            ["billing_transaction_id"], ["billing_transactions.id"], name="fk_postings_billing_transaction_id"
        ),
        sa.ForeignKeyConstraint(["ledger_account_id"], ["ledger_accounts.id"], name="fk_postings_ledger_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_postings"),
    )
    op.create_index("ix_postings_account", "postings", ["ledger_account_id", "id"])
    op.create_index("ix_postings_billing_transaction_id", "postings", ["billing_transaction_id"])
