"""Copies of a database at one moment, made while it is in use, and databases made of them again.

SQLite by its online backup, in one step that holds one snapshot: writers go on. PostgreSQL by its own pg_dump and
pg_restore (custom format), which must be on PATH.
"""

import fcntl
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.engine import make_url

_BUSY_S: Final = 30.0


class CopyError(Exception):
    """It cannot be copied, or what was copied is not sound; the text says why, in one sentence."""


def sqlite_file(url: str) -> Path:
    """The file of a SQLite URL; CopyError when it lives in memory only."""
    database = make_url(url).database
    if database in (None, "", ":memory:"):
        raise CopyError("a database in memory cannot be copied")
    return Path(str(database)).absolute()


def copy_sqlite(source: Path, copy: Path) -> None:
    """Copy a database in use to a new file that needs no other file beside it."""
    with closing(_connect(source)) as database, closing(sqlite3.connect(copy, isolation_level=None)) as new:
        try:
            database.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error as error:
            raise CopyError(f"{source.name} cannot be copied: {error}") from error
    _to_disk(copy)


def check_sqlite(file: Path) -> None:
    """CopyError unless every page, index and foreign key of a database is sound; reads all of it."""
    with closing(_connect(file)) as database:
        try:
            found = [str(row[0]) for row in database.execute("PRAGMA integrity_check(3)")]
        except sqlite3.DatabaseError as error:
            raise CopyError(f"{file.name} is damaged: {error}") from error
        if found != ["ok"]:
            raise CopyError(f"{file.name} is damaged: {'; '.join(found)}")
        if broken := database.execute("PRAGMA foreign_key_check").fetchone():
            raise CopyError(f"{file.name}: a row of {broken[0]} refers to nothing in {broken[2]}")


def is_empty_sqlite(file: Path) -> bool:
    """Whether there is nothing at this path yet, not even what a killed process left of a database."""
    leftover = file.with_name(f"{file.name}-wal")
    return all(not each.exists() or each.stat().st_size == 0 for each in (file, leftover))


def put_in_place(new: Path, file: Path) -> Path | None:
    """Put a database where none is, or in the place of one nobody has open, in one step; returns where that one is now.

    That one may be damaged. CopyError when a process has it open: it would go on writing to a file that is no longer
    there.
    """
    _to_disk(new)
    kept = _first_free(file)
    if not file.exists() or not file.stat().st_size:
        _move_log(file, kept)
        new.replace(file)
        _to_disk(file.parent)
        return None
    with closing(_connect(file, wait_s=1.0)) as old, file.open("r+b") as descriptor:
        try:
            # Leaving WAL needs every other connection closed, and empties the WAL file into the database.
            old.execute("PRAGMA journal_mode=DELETE")
            old.execute("PRAGMA locking_mode=EXCLUSIVE")
            old.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise CopyError(f"{file} is in use: stop the gateway and the worker first ({error})") from error
        except sqlite3.DatabaseError:
            old.close()
            _refuse_if_open(file, descriptor.fileno())
            _move_log(file, kept)
        os.link(file, kept)
        new.replace(file)
    _to_disk(file.parent)
    return kept


def _refuse_if_open(file: Path, descriptor: int) -> None:
    """As BEGIN EXCLUSIVE, where SQLite cannot read the database: every connection holds a lock on these bytes.

    They are 510 from PENDING_BYTE + 2 on (SQLite, os.h).
    """
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000000 + 2)
    except OSError as error:
        raise CopyError(f"{file} is in use: stop the gateway and the worker first") from error


def _move_log(file: Path, kept: Path) -> None:
    """Move away what was not yet written into the old database: it would be written into the new one."""
    file.with_name(f"{file.name}-shm").unlink(missing_ok=True)
    log = file.with_name(f"{file.name}-wal")
    if log.exists():
        log.rename(kept.with_name(f"{kept.name}-wal"))


def export_snapshot(connection: Connection) -> str:
    """The name under which pg_dump sees what this transaction sees, for as long as it lasts."""
    return str(connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one())


def dump_postgresql(url: str, snapshot: str, file: Path) -> None:
    """Write what a snapshot holds to a file that pg_restore reads."""
    _run("pg_dump", url, [f"--snapshot={snapshot}", "--format=custom", "--lock-wait-timeout=30s", f"--file={file}"])
    _to_disk(file)


def check_dump(file: Path) -> None:
    """CopyError unless pg_restore can read the file's contents list."""
    _execute("pg_restore", ["--list", str(file)], {})


def load_postgresql(url: str, file: Path) -> None:
    """Fill an empty database from a dump, all of it or nothing; whoever connects owns what is made."""
    options = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges"]
    _run("pg_restore", url, [*options, str(file)])


def _run(program: str, url: str, arguments: Sequence[str]) -> None:
    from psycopg.conninfo import make_conninfo

    address = make_url(url)
    _, options = address.get_dialect()().create_connect_args(address)
    password = options.pop("password", None)
    # Whoever lists processes sees the arguments, so the password is none of them.
    secret = {} if password is None else {"PGPASSWORD": str(password)}
    _execute(program, [f"--dbname={make_conninfo(**options)}", *arguments], secret)


def _execute(program: str, arguments: Sequence[str], secret: dict[str, str]) -> None:
    found = shutil.which(program)
    if found is None:
        raise CopyError(f"{program} is not on PATH; install PostgreSQL's client programs (Debian: postgresql-client)")
    done = subprocess.run(  # noqa: S603  a program of PostgreSQL's, named by us
        [found, *arguments], env={**os.environ, **secret}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise CopyError(f"{program} failed: {said[0]}")


def _connect(file: Path, wait_s: float = _BUSY_S) -> sqlite3.Connection:
    """A connection to a file that exists: SQLite would make one."""
    if not file.exists():
        raise CopyError(f"there is no database {file}")
    return sqlite3.connect(file, timeout=wait_s, isolation_level=None)


def _first_free(file: Path) -> Path:
    """Where to keep the old one: nothing is overwritten."""
    number = 1
    while (kept := file.with_name(f"{file.name}.before-{number}")).exists():
        number += 1
    return kept


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
