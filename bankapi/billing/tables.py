"""The billing model: who may pay for whom, and what was paid. Read with design section 5.

Rows that state facts (payments, cancellations, postings) are append-only by database trigger. Amounts are signed
minor units, credit-positive: what we owe is positive, what is owed to us is negative, so a customer's positive
balance is money the customer has, and every billing transaction sums to zero in each currency.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
)

from bankapi.storage.append_only import APPEND_ONLY, late
from bankapi.storage.columns import Exact, Instant, RowId, metadata

ULID = String(26)
CURRENCY = String(3)

# A dealer's closed business day takes no more events: whoever read the open day just before it was closed comes late.
_EVENT = APPEND_ONLY | late("business_on", "closed_through_on", "dealers", "dealer_id", "the business day is closed")

dealers = Table(
    "dealers",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("scheme", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    Column("time_zone", String(64), nullable=False),
    Column("language", String(35), nullable=False),
    Column("names_unmasked", Boolean, nullable=False, default=False),
    # How far below zero a debit-adjustment dealer's deposit may go, in the payment's currency.
    Column("overdraft_minor", BigInteger, nullable=False, default=0),
    # ISO 4217 codes it may pay in, separated by commas.
    Column("currencies", String(128), nullable=False),
    # ALWAYS, NEVER, SAME_BUSINESS_DAY or MINUTES; the minutes count for the last only.
    Column("cancel_rule", String(32), nullable=False),
    Column("cancel_minutes", Integer, nullable=False, default=0),
    # Unknown payers one terminal may ask for in ten minutes before its checks are refused.
    Column("misses_max", Integer, nullable=False),
    # The last business day that is closed: what happens from then on belongs to later days.
    Column("closed_through_on", Date),
)

terminals = Table(
    "terminals",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("dealer_id", ForeignKey("dealers.id"), nullable=False, index=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("status", String(16), nullable=False),
    Column("language", String(35)),
    # Names of the operations it may call, separated by commas; none means all.
    Column("operations", String(256)),
)

certificates = Table(
    "certificates",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("fingerprint", LargeBinary(32), nullable=False, unique=True),
    Column("dealer_id", ForeignKey("dealers.id"), nullable=False, index=True),
    # Without a terminal it is a channel certificate: TLS for all terminals of the dealer, signature of none.
    Column("terminal_id", ForeignKey("terminals.id"), index=True),
    Column("valid_from", Instant, nullable=False),
    Column("valid_until", Instant, nullable=False),
    Column("revoked_at", Instant),
    Column("der", LargeBinary, nullable=False),
    # How a SecurityTokenReference may point at it (X.509 token profile 1.1, section 3.2).
    Column("serial_number", String(64), nullable=False, index=True),
    Column("subject_key_identifier", LargeBinary, index=True),
    Column("thumbprint_sha1", LargeBinary(20), nullable=False, index=True),
)

customers = Table(
    "customers",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("customer_number", String(20), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("language", String(35)),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("customer_id", ForeignKey("customers.id"), nullable=False, index=True),
    Column("account_number", String(20), nullable=False, unique=True),
    Column("ledger_account_id", ForeignKey("ledger_accounts.id"), nullable=False, unique=True),
    Column("currency", CURRENCY, nullable=False),
    Column("service_status", String(16), nullable=False),
    Column("credit_limit_minor", BigInteger, nullable=False, default=0),
)

# Every change of a service status that a payment or its cancellation caused.
service_changes = Table(
    "service_changes",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("payment_id", ForeignKey("payments.id"), nullable=False),
    Column("service_status", String(16), nullable=False),
    Column("changed_at", Instant, nullable=False),
    info=APPEND_ONLY,
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("msisdn", String(15), nullable=False, unique=True),
)

payments = Table(
    "payments",
    metadata,
    Column("id", ULID, primary_key=True),
    Column("dealer_id", ForeignKey("dealers.id"), nullable=False),
    Column("terminal_id", ForeignKey("terminals.id"), nullable=False),
    # The dealer's scheme at that time.
    Column("scheme", String(32), nullable=False),
    Column("reference", String(64), nullable=False),
    # REGISTERED, DECLINED or VOIDED: what this reference became, once and for ever.
    Column("disposition", String(16), nullable=False),
    Column("result", String(32), nullable=False),
    Column("decided_at", Instant, nullable=False),
    # The day of decided_at in the dealer's time zone, or the first one that was open then.
    Column("business_on", Date, nullable=False),
    Column("exchange_id", ULID, nullable=False),
    # SHA-256 over payer, amount and currency: tells a repetition from a conflict. Absent on a VOIDED reference.
    Column("fingerprint", LargeBinary(32)),
    Column("payer_kind", String(16)),
    Column("payer_value", String(20)),
    Column("account_id", ForeignKey("accounts.id"), index=True),
    Column("amount_minor", BigInteger),
    Column("currency", CURRENCY),
    Column("credited_minor", BigInteger),
    Column("credited_currency", CURRENCY),
    Column("rate", Exact),
    Column("fee_minor", BigInteger),
    Column("fee_currency", CURRENCY),
    Column("paid_at", Instant),
    Column("validation_id", ULID),
    Column("card_bin", String(8)),
    Column("card_last_four", String(4)),
    Column("rrn", String(12)),
    Column("authorization_code", String(6)),
    # The scopes of the limits per day it was counted for, separated by commas.
    Column("counted", String(32)),
    UniqueConstraint("dealer_id", "reference"),
    CheckConstraint("disposition IN ('REGISTERED', 'DECLINED', 'VOIDED')", name="disposition"),
    Index("ix_payments_dealer_day", "dealer_id", "business_on", "id"),
    info=_EVENT,
)

cancellations = Table(
    "cancellations",
    metadata,
    Column("id", ULID, primary_key=True),
    Column("payment_id", ForeignKey("payments.id"), nullable=False, unique=True),
    Column("dealer_id", ForeignKey("dealers.id"), nullable=False),
    Column("terminal_id", ForeignKey("terminals.id"), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("cancelled_at", Instant, nullable=False),
    # The day of cancelled_at in the dealer's time zone, or the first one that was open then.
    Column("business_on", Date, nullable=False),
    Column("exchange_id", ULID, nullable=False),
    Index("ix_cancellations_dealer_day", "dealer_id", "business_on", "id"),
    info=_EVENT,
)

validations = Table(
    "validations",
    metadata,
    Column("id", ULID, primary_key=True),
    Column("dealer_id", ForeignKey("dealers.id"), nullable=False),
    Column("fingerprint", LargeBinary(32), nullable=False),
    # The rate into this currency, the account's, that was promised until then; none within one currency.
    Column("rate", Exact),
    Column("quote", CURRENCY, nullable=False),
    Column("valid_until", Instant, nullable=False),
    info=APPEND_ONLY,
)

# Checks of payers that do not exist: many of them mean that somebody is collecting numbers.
misses = Table(
    "misses",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("terminal_id", ForeignKey("terminals.id"), nullable=False),
    Column("missed_at", Instant, nullable=False),
    Index("ix_misses_terminal", "terminal_id", "missed_at"),
    info=APPEND_ONLY,
)

rates = Table(
    "rates",
    metadata,
    # One unit of the base currency is `rate` units of the quote currency, from this instant on.
    Column("base", CURRENCY, primary_key=True),
    Column("quote", CURRENCY, primary_key=True),
    Column("valid_from", Instant, primary_key=True),
    Column("rate", Exact, nullable=False),
    info=APPEND_ONLY,
)

limits = Table(
    "limits",
    metadata,
    # TERMINAL or DEALER with its name, or PAYER, which holds for each account alone.
    Column("scope", String(16), primary_key=True),
    Column("owner", String(64), primary_key=True),
    Column("currency", CURRENCY, primary_key=True),
    Column("amount_min_minor", BigInteger),
    Column("amount_max_minor", BigInteger),
    Column("day_count_max", Integer),
    Column("day_amount_max_minor", BigInteger),
)

# Which country's banks issue the cards whose numbers begin so: the operator's own table, replaced as a whole.
card_ranges = Table(
    "card_ranges",
    metadata,
    # First and last BIN as 8 digits: 6 digits are padded with 0 and 9.
    Column("first_bin", Integer, primary_key=True, autoincrement=False),
    Column("last_bin", Integer, primary_key=True, autoincrement=False),
    # ISO 3166-1 alpha-2.
    Column("country", String(2), nullable=False),
    # Instead of the country's own.
    Column("language", String(35)),
)

# What was registered on a business day, kept only where a limit per day asks for it.
day_totals = Table(
    "day_totals",
    metadata,
    Column("scope", String(16), primary_key=True),
    Column("owner", String(64), primary_key=True),
    Column("currency", CURRENCY, primary_key=True),
    Column("business_on", Date, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
)

ledger_accounts = Table(
    "ledger_accounts",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("kind", String(32), nullable=False),
    # Whose it is: the account number of a customer's, the dealer's name, or "" for the operator's own.
    Column("owner", String(64), nullable=False),
    Column("currency", CURRENCY, nullable=False),
    UniqueConstraint("kind", "owner", "currency"),
    info=APPEND_ONLY,
)

# A cache of the sum of an account's postings, for the kinds that are asked for it (customers, dealers' deposits).
# It is moved with every posting; audits compare both.
balances = Table(
    "balances",
    metadata,
    Column("ledger_account_id", ForeignKey("ledger_accounts.id"), primary_key=True, autoincrement=False),
    Column("balance_minor", BigInteger, nullable=False),
)

billing_transactions = Table(
    "billing_transactions",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("business_on", Date, nullable=False),
    Column("payment_id", ForeignKey("payments.id"), index=True),
    # The transaction whose opposite this one is.
    Column("reverses_id", ForeignKey("billing_transactions.id"), unique=True),
    info=APPEND_ONLY,
)

postings = Table(
    "postings",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("billing_transaction_id", ForeignKey("billing_transactions.id"), nullable=False, index=True),
    Column("ledger_account_id", ForeignKey("ledger_accounts.id"), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", CURRENCY, nullable=False),
    # The account's balance right after this posting, for the kinds that keep one.
    Column("balance_after_minor", BigInteger),
    Index("ix_postings_account", "ledger_account_id", "id"),
    CheckConstraint("amount_minor <> 0", name="amount_minor"),
    info=APPEND_ONLY,
)
