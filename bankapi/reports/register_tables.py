"""Registers as dealers sent them, what reconciling them came to, and what was put right since. Facts, append-only."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from bankapi.billing.tables import CURRENCY, ULID
from bankapi.storage.append_only import APPEND_ONLY
from bankapi.storage.columns import Exact, Instant, metadata

# What a dealer announced with the first part of a register that came.
registers = Table(
    "registers",
    metadata,
    Column("id", ULID, primary_key=True),
    Column("dealer_id", ForeignKey("dealers.id"), nullable=False),
    # The dealer's own name of the register, unique for ever.
    Column("reference", String(64), nullable=False),
    Column("business_on", Date, nullable=False),
    Column("parts", Integer, nullable=False),
    Column("row_count", Integer, nullable=False),
    # The sum of the amounts of all rows in major units, whatever their currency: a checksum, not money.
    Column("hash_total", Exact, nullable=False),
    Column("received_at", Instant, nullable=False),
    UniqueConstraint("dealer_id", "reference"),
    info=APPEND_ONLY,
)

register_parts = Table(
    "register_parts",
    metadata,
    Column("register_id", ForeignKey("registers.id"), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    # Of its rows, counted.
    Column("row_count", Integer, nullable=False),
    Column("hash_total", Exact, nullable=False),
    # SHA-256 of its rows as text (`reports/registers.py`): tells a repetition from a conflict.
    Column("digest", LargeBinary(32), nullable=False),
    Column("received_at", Instant, nullable=False),
    # The signed request it came with; none when staff read it from a file.
    Column("exchange_id", ULID),
    info=APPEND_ONLY,
)

register_rows = Table(
    "register_rows",
    metadata,
    Column("register_id", ULID, primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    # Within the part, from 1 on.
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("reference", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", CURRENCY, nullable=False),
    Column("occurred_at", Instant),
    Column("terminal", String(64)),
    Column("payment_id", ULID),
    ForeignKeyConstraint(["register_id", "part"], ["register_parts.register_id", "register_parts.part"]),
    Index("ix_register_rows_reference", "register_id", "reference", "part", "number"),
    info=APPEND_ONLY,
)

# Registers of which every part has come, and whether the rows are as many, and as much, as was announced.
complete_registers = Table(
    "complete_registers",
    metadata,
    Column("register_id", ForeignKey("registers.id"), primary_key=True),
    Column("completed_at", Instant, nullable=False),
    # A register that is not accepted is kept, and never reconciled.
    Column("is_accepted", Boolean, nullable=False),
    info=APPEND_ONLY,
)

# A run that was begun; one without a result was interrupted, and its differences count for nothing.
reconciliations = Table(
    "reconciliations",
    metadata,
    Column("id", ULID, primary_key=True),
    Column("register_id", ForeignKey("registers.id"), nullable=False),
    Column("run", Integer, nullable=False),
    Column("as_of", Instant, nullable=False),
    UniqueConstraint("register_id", "run"),
    info=APPEND_ONLY,
)

reconciliation_results = Table(
    "reconciliation_results",
    metadata,
    Column("reconciliation_id", ForeignKey("reconciliations.id"), primary_key=True),
    # Whether the business day was closed: if so, the same register can never come to another result.
    Column("day_is_closed", Boolean, nullable=False),
    Column("matched", Integer, nullable=False),
    Column("duplicate", Integer, nullable=False),
    Column("missing_here", Integer, nullable=False),
    Column("amount_differs", Integer, nullable=False),
    Column("status_differs", Integer, nullable=False),
    Column("other_day", Integer, nullable=False),
    Column("missing_there", Integer, nullable=False),
    # SHA-256 of the register, and of the result that names it, as text (`reports/reconciliation_text.py`).
    Column("register_digest", LargeBinary(32), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    info=APPEND_ONLY,
)

reconciliation_differences = Table(
    "reconciliation_differences",
    metadata,
    Column("reconciliation_id", ForeignKey("reconciliations.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    # Which row of the register, counted over its parts from 1 on; none for what the dealer does not have.
    Column("row_number", Integer),
    Column("reference", String(64), nullable=False),
    Column("their_status", String(16)),
    Column("their_amount_minor", BigInteger),
    Column("their_currency", CURRENCY),
    Column("their_occurred_at", Instant),
    Column("their_terminal", String(64)),
    Column("their_payment_id", ULID),
    Column("our_status", String(16)),
    Column("our_amount_minor", BigInteger),
    Column("our_currency", CURRENCY),
    Column("our_business_on", Date),
    Column("our_occurred_at", Instant),
    Column("our_terminal", String(64)),
    Column("our_payment_id", ULID),
    info=APPEND_ONLY,
)

# The gateway's signature under a result.
reconciliation_notes = Table(
    "reconciliation_notes",
    metadata,
    Column("reconciliation_id", ForeignKey("reconciliation_results.reconciliation_id"), primary_key=True),
    Column("signed_at", Instant, nullable=False),
    Column("note", Text, nullable=False),
    info=APPEND_ONLY,
)

# What the operator booked because of a difference.
corrections = Table(
    "corrections",
    metadata,
    Column("id", ULID, primary_key=True),
    Column("dealer_id", ForeignKey("dealers.id"), nullable=False),
    # The operator's own name of it: the same one books once.
    Column("reference", String(64), nullable=False, unique=True),
    Column("reconciliation_id", ULID, nullable=False),
    Column("difference_number", Integer, nullable=False),
    # Credited to the other side when positive, taken from it when negative.
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", CURRENCY, nullable=False),
    # The customer's, or none for the operator's revenue.
    Column("account_number", String(20)),
    Column("reason", String(500), nullable=False),
    Column("corrected_by", String(200), nullable=False),
    Column("corrected_at", Instant, nullable=False),
    Column("business_on", Date, nullable=False),
    Column("billing_transaction_id", ForeignKey("billing_transactions.id"), nullable=False, unique=True),
    ForeignKeyConstraint(
        ["reconciliation_id", "difference_number"],
        ["reconciliation_differences.reconciliation_id", "reconciliation_differences.number"],
    ),
    info=APPEND_ONLY,
)
