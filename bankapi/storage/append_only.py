"""Facts are added, never changed: the database itself refuses UPDATE and DELETE of the tables listed so.

Mark a table with `info=APPEND_ONLY`; the triggers are part of its creation on SQLite and PostgreSQL.
"""

from typing import Any, Final

from sqlalchemy import MetaData, Table, event
from sqlalchemy.engine import Connection

APPEND_ONLY: Final = {"append_only": True}

_POSTGRES_FUNCTION: Final = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$
"""


def statements(table: str, dialect: str) -> list[str]:
    """The DDL that makes one table append-only."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            for change in ("UPDATE", "DELETE")
        ]
    return [
        _POSTGRES_FUNCTION,
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION refuse_change()",
    ]


def guard(metadata: MetaData) -> None:
    """Attach the triggers to the creation of every marked table."""
    for table in metadata.tables.values():
        if table.info.get("append_only"):
            event.listen(table, "after_create", _create_triggers)


def _create_triggers(table: Table, connection: Connection, **_: Any) -> None:
    dialect = connection.dialect.name
    for statement in statements(table.name, dialect):
        connection.exec_driver_sql(statement.replace("%", "%%") if dialect != "sqlite" else statement)
