"""Notices: what subscribers are told by SMS, how far each came, and every attempt.

The first columns of `notices` state a fact and stay; the others are where its delivery stands. Attempts and parts
are added and never changed, except that a part learns its end from a receipt.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from bankapi.storage.append_only import APPEND_ONLY
from bankapi.storage.columns import Instant, RowId, metadata

_ULID = String(26)
_SMSC = String(16)
_MESSAGE_ID = String(65)

notices = Table(
    "notices",
    metadata,
    Column("id", _ULID, primary_key=True),
    Column("event", String(32), nullable=False),
    Column("payment_id", ForeignKey("payments.id"), nullable=False, index=True),
    Column("msisdn", String(15), nullable=False),
    Column("language", String(35), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("dealer", String(64), nullable=False),
    Column("created_at", Instant, nullable=False),
    # PENDING, SENDING, SENT, DELIVERED, FAILED, EXPIRED or SUPPRESSED.
    Column("status", String(16), nullable=False),
    Column("expires_at", Instant, nullable=False),
    # When it is to be taken up (PENDING), or its sender is given up for dead (SENDING); none when it has ended.
    Column("due_at", Instant),
    # The claim of the sender that has it now.
    Column("claim", _ULID),
    # Submissions that failed for a while, for the back-off; throttled ones do not count.
    Column("failures", Integer, nullable=False),
    # Submissions whose end is not known: each may have become an SMS.
    Column("uncertain", Integer, nullable=False),
    # Counts from 1; one more whenever staff have it sent again from the start.
    Column("series", Integer, nullable=False),
    # As it was first submitted: a retry continues the same text.
    Column("text", Text),
    Column("parts", Integer),
    Column("result", String(32)),
    Index("ix_notices_due_at", "due_at"),
    Index("ix_notices_created_at", "created_at"),
)

notice_attempts = Table(
    "notice_attempts",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("notice_id", ForeignKey("notices.id"), nullable=False, index=True),
    Column("ended_at", Instant, nullable=False),
    Column("smsc", _SMSC),
    Column("verdict", String(16), nullable=False),
    # The SMPP command status of the answer, or why there is none.
    Column("result", String(32), nullable=False),
    info=APPEND_ONLY,
)

notice_parts = Table(
    "notice_parts",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("notice_id", ForeignKey("notices.id"), nullable=False, index=True),
    Column("series", Integer, nullable=False),
    Column("part", Integer, nullable=False),
    Column("smsc", _SMSC, nullable=False),
    Column("message_id", _MESSAGE_ID, nullable=False),
    # What its receipt said last.
    Column("state", String(16)),
    Index("ix_notice_parts_message", "smsc", "message_id"),
)

# Kept before they are acknowledged, and matched with parts afterwards: a receipt may come before the transaction
# that records its part, and to another process.
notice_receipts = Table(
    "notice_receipts",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("smsc", _SMSC, nullable=False),
    Column("message_id", _MESSAGE_ID, nullable=False),
    Column("state", String(16), nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("settled_at", Instant),
    Index("ix_notice_receipts_settled_at", "settled_at"),
)

# What the owner of a number asked for. No row means: notices, in the customer's language.
notice_preferences = Table(
    "notice_preferences",
    metadata,
    Column("msisdn", String(15), primary_key=True),
    Column("opted_out_at", Instant),
    Column("language", String(35)),
)
