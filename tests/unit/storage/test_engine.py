import threading
from typing import Any

import pytest
from sqlalchemy import Connection, text, update

from bankapi.billing.tables import balances
from tests.unit.conftest import Books

DEPOSIT, CUSTOMER = 1, 3
"""Ledger accounts that keep a balance."""


def add(connection: Connection, ledger_account_id: int) -> None:
    connection.execute(
        update(balances)
        .where(balances.c.ledger_account_id == ledger_account_id)
        .values(balance_minor=balances.c.balance_minor + 1)
    )


def total(books: Books) -> int:
    with books.store.read() as connection:
        return int(connection.execute(text("SELECT sum(balance_minor) FROM balances")).scalar_one())


def test_work_that_fails_leaves_nothing_and_its_error_comes_out_unchanged(books: Books) -> None:
    before = total(books)

    def fail(connection: Connection) -> None:
        add(connection, DEPOSIT)
        raise LookupError("as it was")

    with pytest.raises(LookupError, match="as it was"):
        books.store.write(fail)
    assert total(books) == before


def test_who_fails_takes_nobody_along(books: Books) -> None:
    """On SQLite these share transactions; each succeeds or fails alone all the same."""
    before = total(books)
    failed: list[int] = []

    def work(number: int) -> None:
        def half_of_them_fail(connection: Connection) -> None:
            add(connection, DEPOSIT)
            if number % 2:
                raise LookupError

        try:
            books.store.write(half_of_them_fail)
        except LookupError:
            failed.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(failed) == list(range(1, 40, 2))
    assert total(books) == before + 20
    books.store.write(lambda connection: _take_back(connection, 20))


def test_who_loses_a_race_runs_again(books: Books) -> None:
    """Two that lock each other out on PostgreSQL: it ends one of them, which is run again."""
    both_hold_one = threading.Barrier(2, timeout=5)
    runs: list[int] = []

    def cross(first: int, second: int) -> None:
        def work(connection: Connection) -> None:
            runs.append(first)
            add(connection, first)
            if books.store.engine.dialect.name == "postgresql" and len(runs) <= 2:
                both_hold_one.wait()
            add(connection, second)

        books.store.write(work)

    before = total(books)
    threads = [threading.Thread(target=cross, args=pair) for pair in ((DEPOSIT, CUSTOMER), (CUSTOMER, DEPOSIT))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total(books) == before + 4
    books.store.write(lambda connection: _take_back(connection, 2))
    books.store.write(lambda connection: _take_back(connection, 2, CUSTOMER))


def test_a_reader_sees_one_moment_however_long_it_looks(books: Books) -> None:
    with books.store.read() as connection:
        seen = [connection.execute(text("SELECT sum(balance_minor) FROM balances")).scalar_one()]
        books.store.write(lambda writing: add(writing, DEPOSIT))
        seen.append(connection.execute(text("SELECT sum(balance_minor) FROM balances")).scalar_one())
    assert seen[0] == seen[1]
    assert total(books) == seen[0] + 1
    books.store.write(lambda connection: _take_back(connection, 1))


def _take_back(connection: Any, minor: int, ledger_account_id: int = DEPOSIT) -> None:
    """The books are compared with their postings at the end."""
    connection.execute(
        text(f"UPDATE balances SET balance_minor = balance_minor - {minor} WHERE ledger_account_id = :id"),
        {"id": ledger_account_id},
    )
