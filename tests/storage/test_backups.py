"""Backups while eight terminals pay: what was acknowledged before one began is in it, and what is in it is sound."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from bankapi import clock, settings
from bankapi.billing import ledger
from bankapi.billing.tables import payments
from bankapi.cli import backups
from bankapi.cli.manifests import BackupRefused
from bankapi.evidence import exchanges, sealing, tree
from bankapi.evidence.exchanges import Exchange
from bankapi.operations.call import Call
from bankapi.operations.register_payment import RegisterPayment, register_payment
from bankapi.refusals import ResultCode
from bankapi.settings import Settings
from bankapi.storage.engine import Store
from tests.postgres import Postgres
from tests.unit.conftest import START, Books, by_phone, rub

pytestmark = pytest.mark.slow
WRITERS = 8


class Load:
    """Terminals that pay, each payment with its exchange, and a sealer beside them."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.acknowledged: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._pay, args=(number,)) for number in range(WRITERS)]
        self._threads.append(threading.Thread(target=self._seal))

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int) -> None:
        enough = len(self.acknowledged) + more
        while len(self.acknowledged) < enough:
            time.sleep(0.01)

    def _pay(self, writer: int) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            reference = f"W{writer}-{number}"
            asked = RegisterPayment(reference, by_phone(1), rub("1"), START)
            exchange_id = f"{writer:013d}{number:013d}"

            def work(connection: Connection, asked: Any = asked, exchange_id: str = exchange_id) -> ResultCode:
                call = Call(connection, self.books.terminals["ATM-1"], START, "en", exchange_id)
                answer = register_payment(call, asked)
                exchanges.append(connection, _exchange(exchange_id))
                return answer.result

            assert self.books.store.write(work) is ResultCode.OK
            self.acknowledged.append(reference)

    def _seal(self) -> None:
        while not self._stop.is_set():
            sealing.seal(self.books.store)
            time.sleep(0.05)


def _exchange(exchange_id: str) -> Exchange:
    return Exchange(
        exchange_id=exchange_id,
        received_at=START,
        answered_at=START,
        operation="RegisterPayment",
        outcome="OK",
        rule=None,
        terminal_id=1,
        tls_fingerprint=b"1" * 32,
        signed=None,
        request=b"<request/>",
        answer=exchange_id.encode() * 50,
    )


@pytest.fixture
def here(database_url: str, tmp_path: Path) -> Settings:
    """The home the database belongs to."""
    return settings.load(tmp_path / "here", {"BANKAPI_STORAGE_URL": database_url})


@pytest.fixture
def elsewhere(database_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Another home with nothing in it, for the same kind of database."""
    if database_url.startswith("sqlite"):
        yield settings.load(tmp_path / "elsewhere", {})
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        with postgres.database("template1") as url:
            yield settings.load(tmp_path / "elsewhere", {"BANKAPI_STORAGE_URL": url})


@pytest.fixture(autouse=True)
def with_postgresqls_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian keeps those of the server's own version here."""
    folders = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), key=len)
    monkeypatch.setenv("PATH", ":".join(folders), prepend=":")


def test_a_backup_under_load_holds_what_was_acknowledged_and_is_sound(
    books: Books, here: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "backup.zip"
    with Load(books) as load:
        load.wait_for(150)
        before = list(load.acknowledged)
        begun = time.monotonic()
        manifest = backups.make(books.store, here, file, with_keys=False, now=clock.utc_now())
        took_s = time.monotonic() - begun
        during = len(load.acknowledged) - len(before)
        load.wait_for(50)
    print(f"{books.store.engine.dialect.name}: {took_s:.2f} s, {during} payments acknowledged meanwhile")
    assert during > 0, "nobody waits for a backup"
    assert backups.verify(file) == manifest
    assert manifest.stock.is_sound
    assert manifest.stock.tree_size > 0
    restored = backups.restore(file, elsewhere, replace=False, with_keys=False)
    assert restored.manifest == manifest
    store = Store(elsewhere.database_url)
    with store.read() as connection:
        references = set(connection.execute(select(payments.c.reference)).scalars())
        assert set(before) <= references
        assert set(ledger.trial_balance(connection).values()) == {0}
        assert ledger.balances_that_differ(connection) == []
        size = sealing.tree_size(connection)
        assert tree.root(size, sealing.stored_hashes(connection)).hex() == manifest.stock.tree_root
    with books.store.read() as connection:
        assert tree.root(size, sealing.stored_hashes(connection)).hex() == manifest.stock.tree_root
    copy = Books(store, books.terminals, books.now)
    assert copy.call(register_payment, RegisterPayment("AFTER", by_phone(1), rub("1"), START)).result is ResultCode.OK
    copy.assert_sound()
    sealing.seal(store)
    store.close()
    with pytest.raises(BackupRefused):
        backups.restore(file, elsewhere, replace=False, with_keys=False)


def test_several_backups_one_after_the_other_are_each_of_one_moment(
    books: Books, here: Settings, tmp_path: Path
) -> None:
    sizes = []
    with Load(books) as load:
        for number in range(4):
            load.wait_for(30)
            known = len(load.acknowledged)
            manifest = backups.make(books.store, here, tmp_path / f"{number}.zip", with_keys=False, now=clock.utc_now())
            counts = manifest.stock.counts
            assert counts["payments"] >= known
            assert counts["payments"] == counts["exchanges"]
            assert counts["billing_transactions"] * 2 == counts["postings"]
            assert manifest.stock.is_sound
            sizes.append(counts["payments"])
    assert sizes == sorted(set(sizes))
