"""The store: one database, and the one way to write to it.

SQLite has one writer at a time. Left alone, writers poll for the lock and starve each other for seconds; here they
queue, and those that wait are committed together: a group shares one transaction of the database, in which each
request keeps a savepoint of its own and succeeds or fails alone.

PostgreSQL needs neither. There a transaction that lost a race (SQLSTATE 40001, 40P01), or its connection before the
commit was asked for, is run again after a short random wait. A commit whose end nobody knows is never repeated here:
its caller is told to send the same reference again. With `isolation = serializable` the same code runs on engines that
are distributed: a request asks for INSERT ... ON CONFLICT DO NOTHING, RETURNING, row locks (SELECT ... FOR UPDATE,
NO KEY UPDATE, SHARE) and triggers, and for nothing that is not part of its transaction: no advisory locks, no LISTEN,
no temporary tables, no session state but the time limits below.
"""

import fcntl
import os
import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bankapi.settings import Isolation, StorageSettings

T = TypeVar("T")
Work = Callable[[Connection], T]

STORAGE_ERRORS: Final = (DBAPIError, PoolTimeoutError, sqlite3.Error)
"""What the database says when it cannot: locked, full, gone, read-only, or all connections in use. SQLite's own come
from group commits."""

ATTEMPTS_MAX: Final = 24
AGAIN_FOR_S: Final = 4.0
"""A transaction is not begun again later than so many seconds after its first try: its caller has little patience."""
_WAIT_FIRST_S: Final = 0.004
_WAIT_MAX_S: Final = 0.25
GROUP_MAX: Final = 32
"""Requests committed together at most, so that the last one does not keep the first waiting for long."""
_RACE_LOST: Final = frozenset({"40001", "40P01"})
"""serialization_failure and deadlock_detected (PostgreSQL, appendix A): run the transaction again."""

_WRITE: Final = "bankapi_write"
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
_TABLE_WAIT: Final = "SET LOCAL lock_timeout = '2s'"
"""Who waits for a table keeps everybody waiting who comes after him: rather give up, and try again."""


class Store:
    """An engine with its transaction rules. One per process, shared by its threads; never inherited by a fork."""

    def __init__(self, url: str, terms: StorageSettings | None = None, *, is_patient: bool = False) -> None:
        """`is_patient` is for staff's commands: their statements and transactions may take as long as they need."""
        self.engine = _engine(url, terms or StorageSettings(), is_patient)
        self.races_lost = 0
        """How often a transaction was run again since this store was opened."""
        self._counting = threading.Lock()
        is_sqlite = self.engine.dialect.name == "sqlite"
        self._group = _GroupCommit(self.engine) if is_sqlite else None
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

    def change_schema(self, work: Work[T]) -> T:
        """Run `work`, which may drop and create tables, in one transaction.

        SQLite's foreign keys are looked at once, at the end: a table that is made anew is missing for a moment. In
        PostgreSQL, waiting for a table that is in use ends after two seconds with an error of SQLSTATE 55P03, so that
        nobody queues behind us; it is safe to call again.
        """
        if self._group is not None:
            return self._group.change_schema(work)
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

    def close(self) -> None:
        if self._group is not None:
            self._group.close()
        self.engine.dispose()


class _Job(Generic[T]):
    """One request's work on its way through a group commit."""

    def __init__(self, work: Work[T]) -> None:
        self.work = work
        self.is_done = False
        self.error: BaseException | None = None
        self.value: T

    def run(self, connection: Connection) -> None:
        self.value = self.work(connection)

    def result(self) -> T:
        if self.error is not None:
            raise self.error
        return self.value


class _GroupCommit:
    """First come, first served among the writers of one SQLite file, over threads and processes.

    Whoever gets the turn of this process takes along everybody who waits for it. Between processes the kernel hands
    a file lock over in order.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(**{_WRITE: True})
        self._connection: Connection | None = None
        self._waiting: deque[_Job[Any]] = deque()
        self._turn = threading.Lock()
        database = engine.url.database
        self._file = None if database in (None, "", ":memory:") else os.open(f"{database}.lock", os.O_CREAT | os.O_RDWR)

    def write(self, work: Work[T]) -> T:
        job = _Job(work)
        self._waiting.append(job)
        with self._turn:
            while not job.is_done:
                self._commit_group()
        return job.result()

    def change_schema(self, work: Work[T]) -> T:
        """Alone, with foreign keys looked at in the end; see Store."""
        with self._turn, self._held(), self._engine.connect() as connection:
            database = driver(connection)
            database.execute("PRAGMA foreign_keys=OFF")  # does nothing inside a transaction
            try:
                database.execute("BEGIN IMMEDIATE")
                value = work(connection)
                if broken := database.execute("PRAGMA foreign_key_check").fetchone():
                    raise sqlite3.IntegrityError(f"a row of {broken[0]} refers to nothing in {broken[2]}")
                database.execute("COMMIT")
            finally:
                connection.invalidate()  # whatever became of it: the next one begins with its usual settings
        return value

    def close(self) -> None:
        with self._turn:
            self._disconnect()
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _commit_group(self) -> None:
        with self._held():
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), GROUP_MAX))]
            try:
                self._run_and_commit(group)
            except BaseException as error:
                # The transaction is lost: those that had succeeded in it have not, and are told so.
                self._disconnect()
                for job in group:
                    job.error = job.error or error
            for job in group:
                job.is_done = True

    @contextmanager
    def _held(self) -> Iterator[None]:
        """The turn of this process among those that write to the file."""
        if self._file is None:
            yield
            return
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _run_and_commit(self, group: list[_Job[Any]]) -> None:
        """One connection serves all groups; its transactions are begun and ended here, not by SQLAlchemy."""
        if self._connection is None:
            self._connection = self._engine.connect()
        database = driver(self._connection)
        database.execute("BEGIN IMMEDIATE")
        for job in group:
            database.execute("SAVEPOINT request")
            try:
                job.run(self._connection)
            except Exception as error:
                job.error = error
                database.execute("ROLLBACK TO request")
            database.execute("RELEASE request")
        database.execute("COMMIT")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def driver(connection: Connection) -> Any:
    """The DBAPI connection, for what SQLAlchemy need not know of."""
    return connection.connection.driver_connection


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
        if not connection.get_execution_options().get(_WRITE, False):
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
