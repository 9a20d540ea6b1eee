"""Closed business days: which are closed, and what each of them came to. Facts, append-only."""

from sqlalchemy import BigInteger, Column, Date, ForeignKey, Integer, LargeBinary, String, Table

from bankapi.billing.tables import CURRENCY
from bankapi.storage.append_only import APPEND_ONLY
from bankapi.storage.columns import Instant, RowId, metadata

closed_days = Table(
    "closed_days",
    metadata,
    Column("dealer_id", ForeignKey("dealers.id"), primary_key=True, autoincrement=False),
    Column("business_on", Date, primary_key=True),
    Column("closed_at", Instant, nullable=False),
    info=APPEND_ONLY,
)

# What a closed day came to, worked out once.
day_sheets = Table(
    "day_sheets",
    metadata,
    Column("dealer_id", ForeignKey("dealers.id"), primary_key=True, autoincrement=False),
    Column("business_on", Date, primary_key=True),
    # SHA-256 of its lines and balances as text (`reports/closing.py`).
    Column("digest", LargeBinary(32), nullable=False),
    info=APPEND_ONLY,
)

day_sheet_lines = Table(
    "day_sheet_lines",
    metadata,
    Column("dealer_id", ForeignKey("dealers.id"), primary_key=True, autoincrement=False),
    Column("business_on", Date, primary_key=True),
    Column("terminal", String(64), primary_key=True),
    Column("scheme", String(32), primary_key=True),
    Column("currency", CURRENCY, primary_key=True),
    Column("registered_count", Integer, nullable=False),
    Column("registered_minor", BigInteger, nullable=False),
    Column("cancelled_count", Integer, nullable=False),
    Column("cancelled_minor", BigInteger, nullable=False),
    Column("fees_minor", BigInteger, nullable=False),
    info=APPEND_ONLY,
)

# How the dealer's ledger accounts stood at the day's end: what has been booked on each since ever, by its cause.
day_sheet_balances = Table(
    "day_sheet_balances",
    metadata,
    Column("dealer_id", ForeignKey("dealers.id"), primary_key=True, autoincrement=False),
    Column("business_on", Date, primary_key=True),
    Column("ledger_account_id", ForeignKey("ledger_accounts.id"), primary_key=True, autoincrement=False),
    Column("registered_minor", BigInteger, nullable=False),
    Column("cancelled_minor", BigInteger, nullable=False),
    Column("paid_in_minor", BigInteger, nullable=False),
    Column("corrected_minor", BigInteger, nullable=False),
    # The first posting that may belong to a later day: all before it are counted here.
    Column("next_posting_id", RowId, nullable=False),
    info=APPEND_ONLY,
)
