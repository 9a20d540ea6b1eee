"""One small real journal, and copies of it in which the database refuses nothing any more."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from sqlalchemy import Connection

from bankapi import clock, settings
from bankapi.evidence import audit
from bankapi.evidence.audit import Terms
from bankapi.evidence.checkpoints import Checkpoint
from bankapi.evidence.exchange_audit import Examined, Examiner, KeptExchange
from bankapi.evidence.findings import Report
from bankapi.gateway import keys
from bankapi.storage.engine import Store
from bankapi.wsse.profile import PROFILE_V1
from tests import journals

EVIDENCE = ("exchanges", "tree_leaves", "tree_nodes", "checkpoints", "signing_certificates")


@dataclass(frozen=True)
class Kept:
    """The home of a finished journal, and what a bank that was a witness has of it."""

    home: Path
    authority: x509.Certificate
    checkpoints: tuple[Checkpoint, ...]

    @property
    def database(self) -> Path:
        return self.home / "bankapi.db"

    @property
    def terms(self) -> Terms:
        return Terms(authorities=(self.authority,), profile=PROFILE_V1, now=clock.utc_now())


@pytest.fixture(scope="session")
def kept(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return filled(demo_home, tmp_path_factory.mktemp("journal") / "var", rounds=1)


def filled(demo_home: Path, home: Path, rounds: int) -> Kept:
    """A journal of sixteen exchanges a round."""
    shutil.copytree(demo_home, home)
    own = settings.load(home, {})
    with journals.opened(own) as journal:
        for number in range(rounds):
            journals.fill(journal, f"J{number}" if number else "J")
    return Kept(home, keys.load_certificate(own.ca_certificate), tuple(journal.checkpoints))


class OpenTransaction:
    """Stands in for the store: whoever reads sees what this connection has changed and not committed."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        yield self.connection


@dataclass
class Bench:
    """A database without triggers and keys, on which one change after another is made, judged and undone."""

    connection: Connection
    terms: Terms

    @property
    def store(self) -> Any:
        return OpenTransaction(self.connection)

    def verify(self, **changes: Any) -> Report:
        return audit.verify(self.store, replace(self.terms, **changes))

    def run(self, statement: str, *values: object) -> Any:
        return self.connection.exec_driver_sql(statement, values)

    @contextmanager
    def changed(self, statement: str, *values: object) -> Iterator[None]:
        """One change, undone afterwards. It must have changed something."""
        with self.connection.begin_nested() as savepoint:
            assert self.run(statement, *values).rowcount > 0
            yield
            savepoint.rollback()

    def findings(self, statement: str, *values: object, **changes: Any) -> list[tuple[str, str]]:
        """The kinds and places of what the audit finds after one change."""
        with self.changed(statement, *values):
            return [(str(each.kind), each.place) for each in self.verify(**changes).findings]


@pytest.fixture(scope="module")
def examined_once() -> Iterator[None]:
    """An exchange that was not changed is examined only once: the rest of the audit runs whole every time."""
    known: dict[KeptExchange, Examined] = {}
    original = Examiner.examine

    @wraps(original)
    def examine(self: Examiner, exchange: KeptExchange) -> Examined:
        if exchange not in known:
            known[exchange] = original(self, exchange)
        return known[exchange]

    Examiner.examine = examine  # type: ignore[method-assign]
    yield
    Examiner.examine = original  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def bench(kept: Kept, tmp_path_factory: pytest.TempPathFactory, examined_once: None) -> Iterator[Bench]:
    with opened(kept, tmp_path_factory.mktemp("bench") / "bankapi.db") as bench:
        yield bench


@contextmanager
def opened(kept: Kept, copy: Path) -> Iterator[Bench]:
    shutil.copy(kept.database, copy)
    without_guards(copy)
    store = Store(f"sqlite:///{copy}")
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.rollback()
        yield Bench(connection, kept.terms)
        connection.rollback()
    store.close()


def without_guards(database: Path) -> None:
    """What somebody with the owner's role can do: triggers gone, and every key and constraint with them."""
    connection = sqlite3.connect(database, isolation_level=None)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("PRAGMA legacy_alter_table=ON")
    for table in tables:
        if table.startswith("sqlite_"):
            continue
        connection.execute(f"CREATE TABLE plain AS SELECT * FROM {table}")
        connection.execute(f"DROP TABLE {table}")
        connection.execute(f"ALTER TABLE plain RENAME TO {table}")
    for table, column in (("postings", "billing_transaction_id"), ("exchanges", "exchange_id"), ("exchanges", "id")):
        connection.execute(f"CREATE INDEX ix_{table}_{column} ON {table} ({column})")
    connection.close()
