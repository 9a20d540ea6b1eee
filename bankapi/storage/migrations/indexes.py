"""Building an index on a table that is in use."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, text

from bankapi.storage.engine import Store

_INVALID: Final = text("SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid")


def create_index(store: Store, name: str, table: str, columns: Sequence[str]) -> None:
    """Create an index unless it is there; PostgreSQL's writers go on meanwhile, SQLite's wait.

    What a build that was stopped has left behind is removed first (PostgreSQL manual, CREATE INDEX, "Building Indexes
    Concurrently").
    """
    definition = f"{name} ON {table} ({', '.join(columns)})"
    if store.engine.dialect.name == "sqlite":
        store.write(lambda connection: _run(connection, f"CREATE INDEX IF NOT EXISTS {definition}"))
        return
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.execute(_INVALID, {"name": name}).first() is not None:
            _run(connection, f"DROP INDEX CONCURRENTLY {name}")
        _run(connection, f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {definition}")


def _run(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)
