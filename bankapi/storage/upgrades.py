"""Upgrading a database to this program's schema, revision by revision (see `migrations` for what each may do)."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from bankapi.storage import schema
from bankapi.storage.engine import Store, sqlstate

CONTRACT: Final = "contract"
_TABLE_WAIT_MAX_S: Final = 120.0
"""How long a table may be in use before the upgrade gives up; every try waits half a second, with a rest between."""
_REST_S: Final = 0.5
_IN_USE: Final = frozenset({"55P03", "40P01"})
"""lock_not_available and deadlock_detected (PostgreSQL, appendix A)."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One step of the way."""

    name: str
    follows: str | None
    stage: str
    """expand, online or contract."""
    what: str
    """The first line of its docstring."""
    _module: Any

    def prepare(self, store: Store) -> None:
        """What can be done beside the load, again and again."""
        if hasattr(self._module, "online"):
            self._module.online(store)

    def change(self, store: Store) -> bool:
        """Do it and note it, in one transaction; False when somebody else has done it since."""
        return store.change_schema(self.run, makes_anew=self.stage == CONTRACT)

    def run(self, connection: Connection) -> bool:
        """As `change`, inside a transaction."""
        if schema.revision(connection) != self.follows:
            return False
        with Operations.context(MigrationContext.configure(connection)):
            self._module.upgrade()
        schema.stamp(connection, self.name)
        return True


def revisions() -> Iterator[Revision]:
    """The whole way, from the first schema to the newest."""
    scripts = ScriptDirectory(str(Path(__file__).with_name("migrations")))
    for script in reversed(list(scripts.walk_revisions())):
        stage = str(script.module.stage)
        yield Revision(script.revision, script.down_revision, stage, script.doc, script.module)  # type: ignore[arg-type]


def pending(store: Store) -> list[Revision]:
    """What is between the database and this program; SchemaError when the database is newer."""
    with store.read() as connection:
        at = schema.revision(connection)
    way = list(revisions())
    names = [each.name for each in way]
    if at is not None and at not in names:
        raise schema.SchemaError(f"the database (revision {at}) is newer than this program (revision {schema.NEWEST})")
    return way[names.index(at) + 1 if at is not None else 0 :]


def upgrade(
    store: Store, *, contract: bool = False, begun: Callable[[Revision], None] = lambda revision: None
) -> list[Revision]:
    """Do what is pending, up to the next contraction unless that is asked for; returns what this call did.

    Any number may call it at once: each revision is done by one of them, and the others wait for it. A stop at any
    moment leaves the database at a revision; calling again goes on from there. SchemaError when the database is newer,
    or when a table was in use all the time.
    """
    done = []
    with store.schema_turn():
        for revision in pending(store):
            if revision.stage == CONTRACT and not contract:
                break
            begun(revision)
            revision.prepare(store)
            if _change(store, revision):
                done.append(revision)
    return done


def _change(store: Store, revision: Revision) -> bool:
    give_up_at = time.monotonic() + _TABLE_WAIT_MAX_S
    while True:
        try:
            return revision.change(store)
        except OperationalError as error:
            if sqlstate(error) not in _IN_USE:
                raise
            if time.monotonic() > give_up_at:
                raise schema.SchemaError(f"revision {revision.name}: a table is in use all the time") from error
        time.sleep(_REST_S)
