"""Append-only triggers as revisions create them. Frozen: a revision must do tomorrow what it does today."""

from collections.abc import Sequence
from typing import Final

from alembic import op

_FUNCTION: Final = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF {allowed} THEN RETURN NEW; END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$
"""
_LATE: Final = """
CREATE OR REPLACE FUNCTION refuse_late_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE closed {of}.{until}%TYPE;
BEGIN
    SELECT {until} INTO closed FROM {of} WHERE id = NEW.{key} FOR SHARE;
    IF NEW.{column} <= closed THEN RAISE EXCEPTION '{why}' USING ERRCODE = 'serialization_failure'; END IF;
    RETURN NEW;
END $$
"""


def is_sqlite() -> bool:
    """Whether the database being upgraded is SQLite; else it is PostgreSQL or speaks its language."""
    return op.get_bind().dialect.name == "sqlite"


def run(*statements: str) -> None:
    """Run statements as they are written: a percent sign means itself."""
    for statement in statements:
        op.get_bind().exec_driver_sql(statement if is_sqlite() else statement.replace("%", "%%"))


def refuse_changes(table: str, allowed: str = "FALSE") -> None:
    """Make a new table append-only; `allowed` is the condition, in OLD and NEW, of the one change that passes."""
    refuse_updates(table, allowed)
    if is_sqlite():
        run(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {_raise(table)}")
        return
    run(
        _FUNCTION.format(function="refuse_change", allowed="FALSE"),
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION refuse_change_of_{table}()",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION refuse_change()",
    )


def refuse_updates(table: str, allowed: str = "FALSE") -> None:
    """Set the condition of the one change that passes anew."""
    if is_sqlite():
        run(
            f"DROP TRIGGER IF EXISTS {table}_no_update",
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} WHEN NOT ({allowed}) {_raise(table)}",
        )
    else:
        run(_FUNCTION.format(function=f"refuse_change_of_{table}", allowed=allowed))


def refuse_late(table: str, column: str, until: str, of: str, key: str, why: str) -> None:
    """Refuse rows whose `column` is not greater than `until` in the row of table `of` that their `key` names."""
    if is_sqlite():
        closed = f"(SELECT {until} FROM {of} WHERE id = NEW.{key})"  # noqa: S608  our own names
        refuse = f"BEGIN SELECT RAISE(ABORT, '{why}'); END"
        run(f"CREATE TRIGGER {table}_not_late BEFORE INSERT ON {table} WHEN NEW.{column} <= {closed} {refuse}")
    else:
        run(
            _LATE.format(name=table, column=column, until=until, of=of, key=key, why=why),
            f"CREATE TRIGGER {table}_not_late BEFORE INSERT ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION refuse_late_{table}()",
        )


def unchanged(columns: Sequence[str]) -> str:
    """The condition that these columns stay as they are."""
    same = "IS" if is_sqlite() else "IS NOT DISTINCT FROM"
    return " AND ".join(f"NEW.{column} {same} OLD.{column}" for column in columns)


def _raise(table: str) -> str:
    return f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
