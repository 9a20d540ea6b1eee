"""The schema of a database: creating it, and whether this program and a database fit together.

Knows nothing of Alembic, so that starting is cheap; how an older database becomes a newer one is in `upgrades`.
"""

from typing import Final

from sqlalchemy import Connection, inspect, text

from bankapi.storage import append_only
from bankapi.storage.columns import metadata
from bankapi.storage.engine import Store

FIRST: Final = "0001"
"""The schema of databases from before there were revisions."""
NEWEST: Final = "0005"
ACCEPTED: Final = frozenset({"0004", NEWEST})
"""The revisions this program works with: from the last one that expands to the one that contracts."""
EMPTY: Final = "the database is empty; make an installation with: bankapi init, or: bankapi restore"
VERSION_TABLE: Final = "alembic_version"
_OLDEST_TABLE: Final = "billing_transactions"


class SchemaError(Exception):
    """This database is not for this program; the text says so in one sentence, and what to do."""


def create(store: Store) -> None:
    """Create every table that is declared, with its triggers, and note the newest revision; all of it or nothing.

    The packages that declare tables must be imported by then. SchemaError when the database has tables already.
    """
    append_only.guard(metadata)
    with store.engine.begin() as connection:
        if revision(connection) is not None:
            raise SchemaError("the database has tables already")
        metadata.create_all(connection)
        stamp(connection, NEWEST)


def revision(connection: Connection) -> str | None:
    """What the database is at; None when there is nothing of ours in it."""
    known = inspect(connection)
    if known.has_table(VERSION_TABLE):
        return str(connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one())  # noqa: S608
    return FIRST if known.has_table(_OLDEST_TABLE) else None


def stamp(connection: Connection, at: str) -> None:
    """Note the revision, as Alembic does."""
    connection.exec_driver_sql(
        f"CREATE TABLE IF NOT EXISTS {VERSION_TABLE} "
        f"(version_num VARCHAR(32) NOT NULL, CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
    )
    connection.execute(text(f"DELETE FROM {VERSION_TABLE}"))  # noqa: S608
    connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES (:at)"), {"at": at})  # noqa: S608


def require_accepted(store: Store) -> None:
    """SchemaError unless this program works with what the database is at."""
    with store.read() as connection:
        at = revision(connection)
    if at is None:
        raise SchemaError(EMPTY)
    if at not in ACCEPTED and at > NEWEST:
        raise SchemaError(f"the database (revision {at}) is newer than this program (revision {NEWEST})")
    if at not in ACCEPTED:
        raise SchemaError(
            f"the database (revision {at}) is older than this program (revision {NEWEST}); "
            "upgrade it with: bankapi database upgrade"
        )
