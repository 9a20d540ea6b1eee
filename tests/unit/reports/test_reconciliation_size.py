"""A register of a hundred thousand rows: indexes serve both directions, and memory does not grow with the rows."""

import resource
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Select, event, text
from ulid import ULID

from bankapi.billing.tables import cancellations, payments
from bankapi.reports import comparison, expected, reconciliation, registers
from bankapi.reports.comparison import DifferenceKind
from tests.unit.conftest import Books
from tests.unit.reports.registering import CANCELLED, DAY, accepted, at, on, row

ROWS = 100_000
OTHER_DAYS = 20
"""Days around the one that is reconciled, a tenth as busy."""


def _fill(books: Books) -> None:
    """Payments of many days; every hundredth of the day is cancelled."""
    terminal = books.terminals["ATM-1"]

    def facts(day: int, number: int) -> dict[str, Any]:
        return {
            "id": str(ULID.from_datetime(at(day))),
            "dealer_id": terminal.dealer_id,
            "terminal_id": terminal.id,
            "scheme": terminal.scheme,
            "reference": f"P{day}-{number}",
            "disposition": "REGISTERED",
            "result": "OK",
            "decided_at": at(day) + timedelta(milliseconds=number),
            "business_on": on(day),
            "exchange_id": "0" * 26,
            "amount_minor": 10_000,
            "currency": "RUB",
        }

    def cancelled(payment: dict[str, Any]) -> dict[str, Any]:
        kept = {name: payment[name] for name in ("dealer_id", "terminal_id", "business_on", "exchange_id")}
        return {**kept, "id": payment["id"], "payment_id": payment["id"], "reason": "OTHER", "cancelled_at": at(0)}

    for day in range(-OTHER_DAYS // 2, OTHER_DAYS // 2):
        rows = [facts(day, number) for number in range(ROWS if day == 0 else ROWS // 10)]
        for first in range(0, len(rows), 10_000):
            part = rows[first : first + 10_000]
            books.store.write(lambda connection, part=part: connection.execute(payments.insert(), part) and None)  # type: ignore[misc]
        if day == 0:
            some = [cancelled(each) for each in rows[::100]]
            books.store.write(lambda connection, some=some: connection.execute(cancellations.insert(), some) and None)  # type: ignore[misc]


def _register() -> Iterator[registers.RegisterRow]:
    """The day, with a difference of every kind in each thousand rows."""
    for number in range(ROWS):
        reference = f"P0-{number}"
        usual = row(reference, CANCELLED) if number % 100 == 0 else row(reference)
        match number % 1000:
            case 1:
                yield row(f"UNKNOWN-{number}")
            case 2:
                yield row(reference, amount="1")
            case 3:
                yield row(reference, CANCELLED)
            case 4:
                yield row(f"P1-{number // 1000}")
            case 5:
                yield row("P0-6")
            case _:
                yield usual


def _plan(connection: Connection, query: Select[Any]) -> str:
    """How the database goes about the query, with its real parameters."""
    explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"

    def explained(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> tuple[str, Any]:
        return f"{explain} {statement}", parameters

    event.listen(connection, "before_cursor_execute", explained, retval=True)
    try:
        cursor: Any = connection.execute(query).cursor
        return "\n".join(str(each[-1]) for each in cursor.fetchall())
    finally:
        event.remove(connection, "before_cursor_execute", explained)


@pytest.mark.slow
def test_a_hundred_thousand_rows(books: Books) -> None:
    _fill(books)
    register_id = accepted(books, _register())
    if books.store.engine.dialect.name == "postgresql":
        with books.store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.monotonic()
    result = reconciliation.reconcile(books.store, register_id, books.now)
    seconds = time.monotonic() - begun
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    hundred = ROWS // 1000
    assert result.counts == {
        DifferenceKind.DUPLICATE: hundred,
        DifferenceKind.MISSING_HERE: hundred,
        DifferenceKind.AMOUNT_DIFFERS: hundred,
        DifferenceKind.STATUS_DIFFERS: hundred,
        DifferenceKind.OTHER_DAY: hundred,
        DifferenceKind.MISSING_THERE: 3 * hundred,
    }
    assert grown < 32 * 1024, f"{grown} KiB more"
    print(f"\n{books.store.engine.dialect.name}: {ROWS} rows in {seconds:.1f} s, {grown} KiB more")
    with books.store.read() as connection:
        register = registers.find_by_id(connection, register_id)
        assert register is not None
        rows = _plan(connection, comparison.differing_rows(register))
        missing = [_plan(connection, query) for query in comparison.missing_rows(register)]
        ours = [_plan(connection, query) for query in expected.expected(register.dealer_id, DAY)]
    print(rows, *missing, *ours, sep="\n--\n")
    if books.store.engine.dialect.name == "sqlite":
        assert "ix_register_rows_reference" in rows
        assert "payments USING INDEX sqlite_autoindex_payments" in rows
        assert "ix_payments_dealer_day" in missing[0]
        assert "ix_register_rows_reference" in missing[0]
        assert "ix_cancellations_dealer_day" in missing[1]
        for plan in (rows, *missing, *ours):
            assert "SCAN payments" not in plan
            assert "SCAN cancellations" not in plan
