"""What only a sandbox's database has: the mark it was born with, and what was tried in vain.

These tables are no part of an installation's schema: they are made with a sandbox, and no other database has them.
"""

from typing import Final

from sqlalchemy import CheckConstraint, Column, Integer, MetaData, String, Table

from bankapi.sandbox.numbers import PREFIX
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

_WHY: Final = f"a sandbox has no customers but those whose numbers begin with {PREFIX}"
NO_REAL_NUMBERS: Final = {
    "sqlite": (
        "CREATE TRIGGER subscriptions_of_nobody BEFORE INSERT ON subscriptions "
        f"WHEN substr(NEW.msisdn, 1, {len(PREFIX)}) <> '{PREFIX}' BEGIN SELECT RAISE(ABORT, '{_WHY}'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION refuse_real_number() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF left(NEW.msisdn, {len(PREFIX)}) <> '{PREFIX}' THEN "
        f"RAISE EXCEPTION '{_WHY}' USING ERRCODE = 'restrict_violation'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER subscriptions_of_nobody BEFORE INSERT ON subscriptions "
        "FOR EACH ROW EXECUTE FUNCTION refuse_real_number()",
    ),
}
"""The DDL of one more rule: who tries with production's customers has them where every integrator can ask for them."""
