"""The store: one database, and the one way to write to it.

SQLite has one writer at a time. Left alone, writers poll for the lock and starve each other for seconds, so they
queue here on a file lock, which the kernel hands over in order. PostgreSQL needs no queue; there a transaction
that lost a race (SQLSTATE 40001, 40P01) is run again.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")

ATTEMPTS_MAX: Final = 8
_RACE_LOST: Final = frozenset({"40001", "40P01"})
"""serialization_failure and deadlock_detected (PostgreSQL, appendix A): run the transaction again."""

_WRITE: Final = "bankapi_write"


class Store:
    """An engine with its transaction rules. One per process, shared by its threads; never inherited by a fork."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.engine = _engine(str(url))
        self._writer = self.engine.execution_options(**{_WRITE: True})
        self._queue = _WriterQueue(self.url.database) if self.url.get_backend_name() == "sqlite" else None

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction and commit it; the result is durable when this returns.

        `work` may run more than once when it loses a race, so it must have no other effect than on its connection.
        An exception from `work` rolls everything back and comes out unchanged.
        """
        if self._queue is not None:
            with self._queue, self._writer.begin() as connection:
                return work(connection)
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
        with self.engine.connect() as connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()


class _WriterQueue:
    """First come, first served among the writers of one SQLite file, over threads and processes."""

    def __init__(self, database: str | None) -> None:
        self._threads = threading.Lock()
        self._file = None if database in (None, "", ":memory:") else os.open(f"{database}.lock", os.O_CREAT | os.O_RDWR)

    def __enter__(self) -> None:
        self._threads.acquire()
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        self._threads.release()


def _sqlstate(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _engine(url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, pool_size=16)
    engine = create_engine(url, pool_size=32, connect_args={"timeout": 30, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get(_WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine
