"""The store: one database, and the one way to write to it.

SQLite has one writer at a time, and its writers are committed in groups (`group_commit`). PostgreSQL needs no queue.
There a transaction that lost a race (SQLSTATE 40001, 40P01), or its connection before the commit was asked for, is run
again after a short random wait. A commit whose end nobody knows is never repeated here: its caller is told to send the
same reference again.

With `isolation = serializable` the same code runs on distributed engines that speak PostgreSQL's language. A request
asks for INSERT ... ON CONFLICT DO NOTHING, RETURNING, row locks (SELECT ... FOR UPDATE, NO KEY UPDATE, SHARE) and
triggers in PL/pgSQL, and for nothing that is not part of its transaction: no advisory locks, no LISTEN, no temporary
tables, no session state but the time limits below. Row numbers must come from sequences: the sealer looks back a
bounded number of them. Advisory locks and pg_export_snapshot are used by upgrades and backups only.
"""

import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bankapi.settings import Isolation, StorageSettings
from bankapi.storage.group_commit import WRITE, GroupCommit, Work, driver

T = TypeVar("T")

STORAGE_ERRORS: Final = (DBAPIError, PoolTimeoutError, sqlite3.Error)
"""What the database says when it cannot: locked, full, gone, read-only, or all connections in use. SQLite's own come
from group commits."""

ATTEMPTS_MAX: Final = 24
AGAIN_FOR_S: Final = 4.0
"""A transaction is not begun again later than so many seconds after its first try: its caller has little patience."""
_WAIT_FIRST_S: Final = 0.004
_WAIT_MAX_S: Final = 0.25
_RACE_LOST: Final = frozenset({"40001", "40P01"})
"""serialization_failure and deadlock_detected (PostgreSQL, appendix A): run the transaction again."""

_PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "busy_timeout=30000",
    "recursive_triggers=ON",  # else INSERT OR REPLACE deletes a fact without asking the trigger that refuses it
    "wal_autocheckpoint=1000",
    # While somebody reads one snapshot for long, the WAL file can only grow; afterwards it is cut to this size.
    "journal_size_limit=67108864",
)
_SNAPSHOT: Final = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
_SCHEMA_LOCK: Final = 0x62616E6B617069
"""The key of PostgreSQL's advisory lock around changes of the schema: "bankapi"."""
_TURN_POLL_S: Final = 0.2
_TABLE_WAIT: Final = "SET LOCAL lock_timeout = '500ms'"
"""Who waits for a table keeps everybody waiting who comes after him: rather give up, and try again. It is less than
the second after which PostgreSQL looks for deadlocks, of which a payment might be the victim."""


class Store:
    """An engine with its transaction rules. One per process, shared by its threads; never inherited by a fork."""

    def __init__(self, url: str, terms: StorageSettings | None = None, *, is_patient: bool = False) -> None:
        """`is_patient` is for staff's commands: their statements and transactions may take as long as they need."""
        self.engine = _engine(url, terms or StorageSettings(), is_patient)
        self.races_lost = 0
        """How often a transaction was run again since this store was opened."""
        self._counting = threading.Lock()
        is_sqlite = self.engine.dialect.name == "sqlite"
        self._group = GroupCommit(self.engine) if is_sqlite else None
        # A transaction of SQLite reads one snapshot by itself.
        self._reading = self.engine if is_sqlite else self.engine.execution_options(**_SNAPSHOT)

    def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction and commit it; the result is durable when this returns.

        `work` may run more than once when it loses a race, and in another thread, so it must have no other effect
        than on its connection. An exception from `work` undoes what it did and comes out unchanged.
        """
        if self._group is not None:
            return self._group.write(work)
        give_up_at = time.monotonic() + AGAIN_FOR_S
        for attempt in range(1, ATTEMPTS_MAX + 1):
            is_committing = False
            try:
                with self.engine.begin() as connection:
                    value = work(connection)
                    is_committing = True
                return value
            except DBAPIError as error:
                is_undone = sqlstate(error) in _RACE_LOST or (error.connection_invalidated and not is_committing)
                if not is_undone or attempt == ATTEMPTS_MAX or time.monotonic() > give_up_at:
                    raise
            with self._counting:
                self.races_lost += 1
            # Those that collided must not come back together; half of the wait is left to chance.
            wait_s = min(_WAIT_MAX_S, _WAIT_FIRST_S * 2**attempt)
            time.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311  no secret
        raise AssertionError("unreachable")

    def change_schema(self, work: Work[T], *, makes_anew: bool = False) -> T:
        """Run `work`, which may create and change tables, in one transaction.

        With `makes_anew` SQLite looks at its foreign keys once, at the end, over all rows: a table that is made anew is
        missing for a moment. In PostgreSQL, waiting for a table that is in use ends after half a second with an error
        of SQLSTATE 55P03, so that nobody queues behind us for long; it is safe to call again.
        """
        if self._group is not None:
            return self._group.change_schema(work, makes_anew)
        with self.engine.begin() as connection:
            connection.exec_driver_sql(_TABLE_WAIT)
            return work(connection)

    @contextmanager
    def schema_turn(self) -> Iterator[None]:
        """While the block runs, nobody else is in one, over threads, processes and machines; whoever comes later waits.

        Only for changes of the schema, and only in PostgreSQL: in SQLite the transaction itself is enough.
        """
        if self._group is not None:
            yield
            return
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # Who waits inside the server has a snapshot there, which CREATE INDEX CONCURRENTLY would wait for.
            while not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_SCHEMA_LOCK})").scalar_one():
                time.sleep(_TURN_POLL_S)
            try:
                yield
            finally:
                connection.invalidate()  # the lock ends with its connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only look at one consistent snapshot; nothing is committed."""
        with self._reading.connect() as connection:
            yield connection

    def group_commits(self) -> tuple[int, int]:
        """How many commits SQLite has made since this store was opened, and of how many requests; 0 in PostgreSQL."""
        return (0, 0) if self._group is None else (self._group.commits, self._group.requests)

    def close(self) -> None:
        if self._group is not None:
            self._group.close()
        self.engine.dispose()


def sqlstate(error: DBAPIError) -> str | None:
    """What PostgreSQL calls the error (manual, appendix A); None when it comes from elsewhere."""
    return getattr(error.orig, "sqlstate", None)


def _engine(url: str, terms: StorageSettings, is_patient: bool) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return _postgresql_engine(url, terms, is_patient)
    engine = create_engine(url, pool_size=32, connect_args={"timeout": 30, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if not connection.get_execution_options().get(WRITE, False):
            driver(connection).execute("BEGIN")

    return engine


def _postgresql_engine(url: str, terms: StorageSettings, is_patient: bool) -> Engine:
    """A connection that died while nobody used it is noticed before it is used, and with it all of its age."""
    engine = create_engine(
        url,
        isolation_level={Isolation.READ_COMMITTED: "READ COMMITTED", Isolation.SERIALIZABLE: "SERIALIZABLE"}[
            terms.isolation
        ],
        pool_pre_ping=True,
        pool_size=terms.pool_size,
        max_overflow=terms.pool_size,
        pool_timeout=terms.pool_timeout_s,
        connect_args={
            "connect_timeout": terms.connect_timeout_s,
            # A server whose machine has died says nothing: the kernel finds out (libpq, 34.1.2).
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
        },
    )
    limits_s = {
        "statement_timeout": terms.statement_timeout_s,
        "lock_timeout": terms.lock_timeout_s,
        "idle_in_transaction_session_timeout": terms.idle_in_transaction_timeout_s,
    }

    @event.listens_for(engine, "connect")
    def _limit(connection: Any, _: object) -> None:
        if not is_patient:
            connection.execute("; ".join(f"SET {name} = {limit * 1000:.0f}" for name, limit in limits_s.items()))
            connection.commit()

    return engine
