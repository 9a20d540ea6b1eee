"""Facts are added, never changed: the database itself refuses UPDATE and DELETE of the tables listed so.

Mark a table with `info=APPEND_ONLY`; the triggers are part of its creation on SQLite and PostgreSQL. A table marked
with `emptied(...)` allows one change more: some columns become NULL, and nothing else, once a condition holds. One
marked with `late(...)` takes no row for a time that is closed, one marked with `first(...)` none after another table.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import MetaData, Table, event
from sqlalchemy.engine import Connection

APPEND_ONLY: Final = {"append_only": True}


def emptied(columns: Sequence[str], condition: str) -> dict[str, Any]:
    """The mark of a table whose `columns` may be set to NULL, together, where `condition` (SQL over OLD) holds."""
    return {**APPEND_ONLY, "emptied": (tuple(columns), condition)}


def late(column: str, until: str, of: str, key: str, why: str) -> dict[str, Any]:
    """The mark of a table into which a row may come too late.

    An INSERT is refused while its `column` is not greater than `until` in the row of table `of` that its `key` names.
    That row stays as it is until the transaction ends; in PostgreSQL whoever is late has lost a race (40001) and is
    run again, in SQLite the only writer cannot be late.
    """
    return {"late": (column, until, of, key, why)}


def first(of: str, why: str) -> dict[str, Any]:
    """The mark of a table that takes a row only as long as table `of` has none."""
    return {"first": (of, why)}


_POSTGRES_FIRST: Final = """
CREATE OR REPLACE FUNCTION refuse_{name}_after_{of}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM {of}) THEN RAISE EXCEPTION '{why}' USING ERRCODE = 'restrict_violation'; END IF;
    RETURN NEW;
END $$
"""
_POSTGRES_LATE: Final = """
CREATE OR REPLACE FUNCTION refuse_late_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE closed {of}.{until}%TYPE;
BEGIN
    SELECT {until} INTO closed FROM {of} WHERE id = NEW.{key} FOR SHARE;
    IF NEW.{column} <= closed THEN RAISE EXCEPTION '{why}' USING ERRCODE = 'serialization_failure'; END IF;
    RETURN NEW;
END $$
"""
_POSTGRES_FUNCTION: Final = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF {allowed} THEN RETURN NEW; END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$
"""


def statements(table: Table, dialect: str) -> list[str]:
    """The DDL that makes one table append-only."""
    name, allowed = table.name, _allowed(table, dialect)
    if dialect == "sqlite":
        refuse = f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
        return [
            *_late(table, dialect),
            *_first(table, dialect),
            f"CREATE TRIGGER {name}_no_update BEFORE UPDATE ON {name} WHEN NOT ({allowed}) {refuse}",
            f"CREATE TRIGGER {name}_no_delete BEFORE DELETE ON {name} {refuse}",
        ]
    return [
        *_late(table, dialect),
        *_first(table, dialect),
        _POSTGRES_FUNCTION.format(function="refuse_change", allowed="FALSE"),
        _POSTGRES_FUNCTION.format(function=f"refuse_change_of_{name}", allowed=allowed),
        f"CREATE TRIGGER {name}_no_update BEFORE UPDATE ON {name} "
        f"FOR EACH ROW EXECUTE FUNCTION refuse_change_of_{name}()",
        f"CREATE TRIGGER {name}_no_delete BEFORE DELETE ON {name} FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        f"CREATE TRIGGER {name}_no_truncate BEFORE TRUNCATE ON {name} EXECUTE FUNCTION refuse_change()",
    ]


def _late(table: Table, dialect: str) -> list[str]:
    """What refuses rows that come too late."""
    if "late" not in table.info:
        return []
    name, (column, until, of, key, why) = table.name, table.info["late"]
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {name}_not_late BEFORE INSERT ON {name} "  # noqa: S608  our own names
            f"WHEN NEW.{column} <= (SELECT {until} FROM {of} WHERE id = NEW.{key}) "
            f"BEGIN SELECT RAISE(ABORT, '{why}'); END"
        ]
    return [
        _POSTGRES_LATE.format(name=name, column=column, until=until, of=of, key=key, why=why),
        f"CREATE TRIGGER {name}_not_late BEFORE INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION refuse_late_{name}()",
    ]


def _first(table: Table, dialect: str) -> list[str]:
    """What refuses rows after those of another table."""
    if "first" not in table.info:
        return []
    name, (of, why) = table.name, table.info["first"]
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {name}_first BEFORE INSERT ON {name} WHEN EXISTS (SELECT 1 FROM {of}) "  # noqa: S608
            f"BEGIN SELECT RAISE(ABORT, '{why}'); END"
        ]
    return [
        _POSTGRES_FIRST.format(name=name, of=of, why=why),
        f"CREATE TRIGGER {name}_first BEFORE INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION refuse_{name}_after_{of}()",
    ]


def _allowed(table: Table, dialect: str) -> str:
    """The condition of the one change that passes."""
    if "emptied" not in table.info:
        return "FALSE"
    columns, condition = table.info["emptied"]
    same = "IS" if dialect == "sqlite" else "IS NOT DISTINCT FROM"
    kept = (f"NEW.{column.name} {same} OLD.{column.name}" for column in table.columns if column.name not in columns)
    return " AND ".join([*(f"NEW.{name} IS NULL" for name in columns), *kept, f"({condition})"])


def guard(metadata: MetaData) -> None:
    """Attach the triggers to the creation of every marked table."""
    for table in metadata.tables.values():
        if table.info.get("append_only"):
            event.listen(table, "after_create", _create_triggers)


def _create_triggers(table: Table, connection: Connection, **_: Any) -> None:
    dialect = connection.dialect.name
    for statement in statements(table, dialect):
        connection.exec_driver_sql(statement.replace("%", "%%") if dialect != "sqlite" else statement)
