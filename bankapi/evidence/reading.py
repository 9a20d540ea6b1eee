"""Reading tables that somebody may have changed: what does not read as it should must become a finding, not a crash.

SQLite stores anything in any column, so values come raw and are converted here; what cannot be is replaced by
something that equals nothing genuine.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, type_coerce
from sqlalchemy.types import NullType

from bankapi.storage.engine import Store
from bankapi.storage.group_commit import driver

UNREADABLE_INSTANT: Final = datetime(1, 1, 1, tzinfo=UTC)
UNREADABLE_DAY: Final = date(1, 1, 1)
_SQLITE_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", re.ASCII)


@contextmanager
def snapshot(store: Store) -> Iterator[Connection]:
    """A consistent look at everything, in which no text is unreadable."""
    with store.read() as connection:
        if connection.dialect.name != "sqlite":
            yield connection
            return
        database = driver(connection)
        usual = database.text_factory
        database.text_factory = lambda octets: octets.decode("utf-8", "replace")
        try:
            yield connection
        finally:
            database.text_factory = usual


def raw(column: Column[Any] | ColumnElement[Any]) -> ColumnElement[Any]:
    """A column's value as the driver gives it."""
    name = getattr(column, "key", None)
    coerced = type_coerce(column, NullType())
    return coerced.label(name) if name else coerced


def instant(value: object) -> datetime:
    """A stored instant."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, str) and _SQLITE_INSTANT.fullmatch(value):
        try:
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        except ValueError:
            return UNREADABLE_INSTANT
    return UNREADABLE_INSTANT


def instant_or_none(value: object) -> datetime | None:
    return None if value is None else instant(value)


def day(value: object) -> date:
    """A stored calendar day."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) else UNREADABLE_DAY
    except ValueError:
        return UNREADABLE_DAY


def octets(value: object) -> bytes | None:
    """Stored bytes."""
    if value is None:
        return None
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    return f"not bytes: {value}".encode()


def text(value: object) -> str | None:
    """Stored text."""
    return value if value is None or isinstance(value, str) else f"not text: {value!r}"


def number(value: object) -> int | None:
    """A stored whole number; -1 when it is none."""
    if value is None:
        return None
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def decimal(value: object) -> Decimal | None:
    """A stored exact decimal."""
    if value is None:
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return Decimal("NaN")
