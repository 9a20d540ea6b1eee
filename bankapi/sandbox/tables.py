"""What only a sandbox's database has: the mark it was born with, and what was tried in vain.

These tables are no part of an installation's schema: they are made with a sandbox, and no other database has them.
"""

from typing import Final

from sqlalchemy import CheckConstraint, Column, Integer, MetaData, String, Table

from bankapi.storage import columns
from bankapi.storage.append_only import APPEND_ONLY, first
from bankapi.storage.columns import Instant, RowId

metadata: Final = MetaData(naming_convention=columns.metadata.naming_convention)

# One row: this database is a sandbox. It is written before anything else is.
sandbox = Table(
    "sandbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("made_at", Instant, nullable=False),
    CheckConstraint("id = 1", name="single"),
    info=APPEND_ONLY | first("dealers", "an installation that has dealers does not become a sandbox"),
)

# The first try of what fails once.
sandbox_tries = Table(
    "sandbox_tries",
    metadata,
    Column("dealer_id", RowId, primary_key=True, autoincrement=False),
    Column("operation", String(64), primary_key=True),
    Column("reference", String(64), primary_key=True),
    Column("tried_at", Instant, nullable=False),
    info=APPEND_ONLY,
)
