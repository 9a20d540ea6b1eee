"""Adding rows whose number the database gives."""

from collections.abc import Mapping

from sqlalchemy import Connection, Insert


def insert(connection: Connection, statement: Insert, row: Mapping[str, object]) -> int:
    """Insert one row and return its number."""
    key = connection.execute(statement, dict(row)).inserted_primary_key
    assert key is not None
    return int(key[0])
