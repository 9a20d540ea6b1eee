"""A private PostgreSQL server for tests: a cluster in a temporary folder, reachable by its unix socket only."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
import pytest

from bankapi.cli import home as _home  # noqa: F401  which knows every package that declares tables
from bankapi.storage import schema
from bankapi.storage.engine import Store

TEMPLATE = "empty_books"
_START_S = 30.0


@dataclass
class Postgres:
    """A running cluster. Durability is PostgreSQL's default: fsync and synchronous_commit are on."""

    folder: Path
    start: Callable[[], subprocess.Popen[bytes]]

    def __post_init__(self) -> None:
        self._numbers = count(1)
        self.process = self.start()

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://bankapi@/{database}?host={self.folder}"

    @contextmanager
    def database(self, template: str = TEMPLATE) -> Iterator[str]:
        """The URL of a fresh copy of a database, by default one with all tables and nothing in them."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def stop(self, how: signal.Signals) -> None:
        """End the server: SIGINT in order, SIGQUIT as a crash does."""
        self.process.send_signal(how)
        self.process.wait(timeout=120)

    def start_again(self) -> None:
        """Start a server that was stopped, until it answers."""
        self.process = self.start()
        _wait_until_it_answers(self)

    def execute(self, statement: str) -> None:
        with psycopg.connect(f"host={self.folder} user=bankapi dbname=postgres", autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One cluster for the whole run; a test that asks for it is skipped where there is no server to start."""
    with a_cluster() as running:
        yield running


@contextmanager
def a_cluster() -> Iterator[Postgres]:
    """A cluster of its own, for who means to stop it."""
    if (binaries := _binaries()) is None:
        pytest.skip("no PostgreSQL server here (Debian: apt-get install postgresql)")
    if (owner := _owner()) is None:
        pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres")
    folder = Path(tempfile.mkdtemp(prefix="bankapi-pg-"))
    try:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        with _running(binaries, folder, owner) as running:
            running.execute(f"CREATE DATABASE {TEMPLATE}")
            store = Store(running.url(TEMPLATE))
            schema.create(store)
            store.close()
            yield running
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running(binaries: Path, folder: Path, owner: pwd.struct_passwd) -> Iterator[Postgres]:
    cluster = folder / "cluster"
    _run_as(owner, [binaries / "initdb", "-D", cluster, "-U", "bankapi", "-A", "trust", "-E", "UTF8", "--locale=C"])

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [binaries / "postgres", "-D", cluster, "-k", folder, "-c", "listen_addresses="],
            stdout=(folder / "log").open("ab"),
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for pytest, which stops the server in order
            **_identity(owner),
        )

    running = Postgres(folder, start)
    try:
        _wait_until_it_answers(running)
        yield running
    finally:
        running.stop(signal.SIGINT)


def _wait_until_it_answers(running: Postgres) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            return running.execute("SELECT 1")
        except psycopg.OperationalError:
            if running.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((running.folder / "log").read_text()) from None
        time.sleep(0.05)


def _binaries() -> Path | None:
    """Where the newest server's programs are: Debian keeps them out of PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda found: int(found.parts[-3]))
    if debian:
        return debian[-1].parent
    found = shutil.which("postgres")
    return found and Path(found).resolve().parent


def _owner() -> pwd.struct_passwd | None:
    """The user a server can run as: ourselves, or `postgres` when we are root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return None


def _identity(owner: pwd.struct_passwd) -> dict[str, object]:
    if os.geteuid() != 0:
        return {}
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": [], "cwd": "/"}


def _run_as(owner: pwd.struct_passwd, command: list[object]) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **_identity(owner))
    assert done.returncode == 0, done.stdout + done.stderr
