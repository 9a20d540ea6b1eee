"""Adding rows whose number the database gives, and reading more of them than memory should hold."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Insert, Row, Select

_ROWS_AT_ONCE: Final = 500


def insert(connection: Connection, statement: Insert, row: Mapping[str, object]) -> int:
    """Insert one row and return its number."""
    key = connection.execute(statement, dict(row)).inserted_primary_key
    assert key is not None
    return int(key[0])


def stream(connection: Connection, query: Select[Any]) -> Iterator[Row[Any]]:
    """The rows of a query, few at a time."""
    yield from connection.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE})
