"""The store: one database, and the one way to write to it.

SQLite has one writer at a time. Left alone, writers poll for the lock and starve each other for seconds; here they
queue, and those that wait are committed together: a group shares one transaction of the database, in which each
request keeps a savepoint of its own and succeeds or fails alone. PostgreSQL needs neither; there a transaction that
lost a race (SQLSTATE 40001, 40P01) is run again.
"""

import fcntl
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")
Work = Callable[[Connection], T]

STORAGE_ERRORS: Final = (DBAPIError, sqlite3.Error)
"""What the database says when it cannot: locked, full, gone, read-only. SQLite's own come from group commits."""

ATTEMPTS_MAX: Final = 8
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
)
_SNAPSHOT: Final = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


class Store:
    """An engine with its transaction rules. One per process, shared by its threads; never inherited by a fork."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
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
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                with self.engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if attempt == ATTEMPTS_MAX or _sqlstate(error) not in _RACE_LOST:
                    raise
        raise AssertionError("unreachable")

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

    def close(self) -> None:
        with self._turn:
            self._disconnect()
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _commit_group(self) -> None:
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
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
        finally:
            if self._file is not None:
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


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _engine(url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, pool_size=16)
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
