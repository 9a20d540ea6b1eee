"""What a database looks like from outside: everything that has a name in it, in a form that can be compared."""

import re

from sqlalchemy import Connection, text

Portrait = dict[str, object]

_COLUMNS = """
SELECT table_name || '.' || column_name, data_type, character_maximum_length, numeric_precision, numeric_scale,
       is_nullable, column_default, is_identity
FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
"""
_CONSTRAINTS = """
SELECT conrelid::regclass || '.' || conname, pg_get_constraintdef(oid), convalidated
FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE 'alembic%'
"""
_INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
_TRIGGERS = """
SELECT tgrelid::regclass || '.' || tgname, pg_get_triggerdef(oid), tgenabled::text
FROM pg_trigger WHERE NOT tgisinternal
"""
_FUNCTIONS = "SELECT proname, prosrc, prosecdef FROM pg_proc WHERE pronamespace = 'public'::regnamespace"


def portrait(connection: Connection) -> Portrait:
    """Tables, columns, constraints, indexes and triggers. The order of columns and of clauses says nothing."""
    if connection.dialect.name == "sqlite":
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        return {name: _clauses(sql) for name, sql in rows if name != "alembic_version"}
    found: Portrait = {}
    for query in (_COLUMNS, _CONSTRAINTS, _INDEXES, _TRIGGERS, _FUNCTIONS):
        for name, *rest in connection.execute(text(query)):
            found[f"{name}"] = tuple(rest)
    return found


def _clauses(sql: str) -> list[str]:
    """The columns and constraints of a CREATE TABLE, sorted; any other statement as it is. Spaces and quotes vary."""
    plain = re.sub(r"\s+", " ", sql.replace('"', "")).strip()
    if not plain.startswith("CREATE TABLE"):
        return [plain]
    head, _, body = plain.partition("(")
    clauses, depth, begin = [], 0, 0
    for at, character in enumerate(body):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if (character == "," and depth == 0) or depth < 0:
            clauses.append(body[begin:at].strip())
            begin = at + 1
    return [head.strip(), *sorted(clauses)]
