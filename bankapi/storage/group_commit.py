"""Group commit: the writers of one SQLite file queue, and those that wait are committed together.

SQLite has one writer at a time. Left alone, writers poll for the lock and starve each other for seconds. Here a group
shares one transaction of the database, in which each request keeps a savepoint of its own and succeeds or fails alone.
"""

import fcntl
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection, Engine

T = TypeVar("T")
Work = Callable[[Connection], T]

GROUP_MAX: Final = 32
"""Requests committed together at most, so that the last one does not keep the first waiting for long."""
WRITE: Final = "bankapi_write"
"""The execution option of a connection whose transactions are begun and ended here, not by SQLAlchemy."""


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


class GroupCommit:
    """First come, first served among the writers of one SQLite file, over threads and processes.

    Whoever gets the turn of this process takes along everybody who waits for it. Between processes the kernel hands
    a file lock over in order.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(**{WRITE: True})
        self._connection: Connection | None = None
        self._waiting: deque[_Job[Any]] = deque()
        self._turn = threading.Lock()
        database = engine.url.database
        self._file = None if database in (None, "", ":memory:") else os.open(f"{database}.lock", os.O_CREAT | os.O_RDWR)
        self.commits = 0
        """How many groups were committed."""
        self.requests = 0
        """How many requests were in them."""

    def write(self, work: Work[T]) -> T:
        job = _Job(work)
        self._waiting.append(job)
        with self._turn:
            while not job.is_done:
                self._commit_group()
        return job.result()

    def change_schema(self, work: Work[T], makes_anew: bool) -> T:
        """Run `work` alone; see Store."""
        with self._turn, self._held(), self._engine.connect() as connection:
            database = driver(connection)
            if makes_anew:
                database.execute("PRAGMA foreign_keys=OFF")  # does nothing inside a transaction
            try:
                database.execute("BEGIN IMMEDIATE")
                value = work(connection)
                if makes_anew and (broken := database.execute("PRAGMA foreign_key_check").fetchone()):
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
        self.commits += 1
        self.requests += len(group)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def driver(connection: Connection) -> Any:
    """The DBAPI connection, for what SQLAlchemy need not know of."""
    return connection.connection.driver_connection
