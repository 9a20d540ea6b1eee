"""Reconciling: each rule of the classification, what a result fixes, and what may happen beside it."""

import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError

from bankapi.reports import closing, comparison, reconciliation, registers
from bankapi.reports.comparison import Side
from bankapi.reports.reconciliation import CannotReconcile
from bankapi.reports.register_tables import reconciliation_differences, reconciliations
from bankapi.reports.registers import RegisterState, Totals
from tests.unit.conftest import Books, rub
from tests.unit.reports.registering import (
    CANCELLED,
    ON_SQLITE,
    accepted,
    at,
    cancel,
    cancel_always,
    decline,
    found,
    kinds,
    on,
    pay,
    reconciled,
    row,
    submit,
)


def _histories(books: Books) -> None:
    """References called by what became of them, seen from the first day."""
    cancel_always(books)
    for reference, day in (("BEFORE", -1), ("CANCELLED-BEFORE", -1), ("BEFORE-CANCELLED-NOW", -1)):
        pay(books, reference, day=day)
    decline(books, "DECLINED-BEFORE", day=-1)
    cancel(books, "CANCELLED-BEFORE", day=-1)
    for reference in ("NOW", "CANCELLED-NOW", "CANCELLED-LATER"):
        pay(books, reference)
    decline(books, "DECLINED")
    cancel(books, "VOIDED")
    cancel(books, "CANCELLED-NOW")
    cancel(books, "BEFORE-CANCELLED-NOW")
    pay(books, "LATER", day=1)
    cancel(books, "CANCELLED-LATER", day=1)


_RULES = {
    "NOW": (None, "STATUS_DIFFERS", "MISSING_THERE"),
    "CANCELLED-NOW": ("STATUS_DIFFERS", None, "MISSING_THERE"),
    "CANCELLED-LATER": (None, "STATUS_DIFFERS", "MISSING_THERE"),
    "BEFORE": ("OTHER_DAY", "STATUS_DIFFERS", None),
    "CANCELLED-BEFORE": ("STATUS_DIFFERS", "OTHER_DAY", None),
    "BEFORE-CANCELLED-NOW": ("STATUS_DIFFERS", None, "MISSING_THERE"),
    "LATER": ("OTHER_DAY", "STATUS_DIFFERS", None),
    "DECLINED": ("STATUS_DIFFERS", None, None),
    "DECLINED-BEFORE": ("STATUS_DIFFERS", None, None),
    "VOIDED": ("STATUS_DIFFERS", None, None),
    "NEVER-SEEN": ("MISSING_HERE", "MISSING_HERE", None),
}
"""What each reference comes to when the dealer says REGISTERED, when it says CANCELLED, and when it says nothing."""


def test_a_reference_is_compared_by_its_state_at_the_end_of_the_day(books: Books) -> None:
    _histories(books)
    said = ([row(each) for each in _RULES], [row(each, CANCELLED) for each in _RULES], [])
    for place, rows in enumerate(said):
        expected = {reference: rule[place] for reference, rule in _RULES.items() if rule[place]}
        assert {each: kind for kind, each in kinds(books, rows, reference=f"R-{place}")} == expected


@ON_SQLITE
def test_another_amount_or_currency_comes_before_another_status(books: Books) -> None:
    for reference in ("P-1", "P-2", "P-3"):
        pay(books, reference)
    decline(books, "P-4")
    rows = [row("P-1", amount="100.01"), row("P-2", currency="EUR"), row("P-3", CANCELLED, "99")]
    rows.append(row("P-4", CANCELLED, "99"))
    assert {kind for kind, _ in kinds(books, rows)} == {"AMOUNT_DIFFERS"}


@ON_SQLITE
def test_further_rows_of_a_reference_are_duplicates_whatever_they_say(books: Books) -> None:
    pay(books, "P")
    rows = [row("P"), row("X"), row("P"), row("P", CANCELLED, "7"), row("X")]
    assert kinds(books, rows) == [
        ("MISSING_HERE", "X"),
        ("DUPLICATE", "P"),
        ("DUPLICATE", "P"),
        ("DUPLICATE", "X"),
    ]


def test_a_difference_shows_both_sides(books: Books) -> None:
    pay(books, "P")
    registered_at = books.now
    theirs = row("P", CANCELLED)._replace(occurred_at=at(0), terminal="T-9", payment_id="0" * 26)
    (difference,) = found(books, reconciled(books, [theirs]))
    assert difference.ours is not None
    assert difference.theirs == Side("CANCELLED", rub("100"), on(0), at(0), "T-9", "0" * 26)
    assert difference.ours == Side("REGISTERED", rub("100"), on(0), registered_at, "ATM-1", difference.ours.payment_id)
    assert len(difference.ours.payment_id or "") == 26
    assert (difference.number, difference.row_number, difference.reference) == (1, 1, "P")


@ON_SQLITE
def test_another_dealers_payments_are_not_ours(books: Books) -> None:
    pay(books, "P", terminal="TILL-1")
    assert kinds(books, [row("P")]) == [("MISSING_HERE", "P")]
    assert kinds(books, [], reference="R-2") == []


def test_references_are_compared_letter_by_letter(books: Books) -> None:
    pay(books, "p")
    assert kinds(books, [row("P")]) == [("MISSING_HERE", "P"), ("MISSING_THERE", "p")]


@ON_SQLITE
def test_rows_are_counted_over_all_parts(books: Books) -> None:
    rows = [[row("A"), row("B")], [row("C")], [row("D"), row("E")]]
    whole = Totals(5, sum((each.amount.to_decimal() for part in rows for each in part), start=rub("0").to_decimal()))
    for part in (3, 1, 2):
        done = submit(books, rows[part - 1], part=part, parts=3, totals=whole)
    assert done.register is not None
    result = reconciliation.reconcile(books.store, done.register.id, books.now)
    assert [(each.row_number, each.reference) for each in found(books, result)] == list(enumerate("ABCDE", 1))


def test_a_small_register_is_compared_in_the_transaction_it_came_with(books: Books) -> None:
    pay(books, "P")
    register_id = accepted(books, [row("P"), row("X")])
    with books.store.read() as connection:
        register = registers.find_by_id(connection, register_id)
        assert register is not None
        assert reconciliation.is_small(connection, register)
    within = books.store.write(lambda connection: reconciliation.reconcile_within(connection, register_id, books.now))
    again = reconciliation.reconcile(books.store, register_id, books.now)
    assert (within.matched, within.counts) == (again.matched, again.counts) == (1, again.counts)
    assert found(books, within) == found(books, again)


@ON_SQLITE
def test_a_register_is_not_small_when_the_day_is_not(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "ROWS_WITHIN_MAX", 2)
    for day, number in ((0, 1), (0, 2), (-1, 3)):
        pay(books, f"P-{number}", day=day)
    register_id = accepted(books, [row("X")])
    cancel_always(books)
    with books.store.read() as connection:
        register = registers.find_by_id(connection, register_id)
        assert register is not None
        assert reconciliation.is_small(connection, register)
    cancel(books, "P-3")
    with books.store.read() as connection:
        assert not reconciliation.is_small(connection, register)


def test_a_second_run_stands_beside_the_first(books: Books) -> None:
    pay(books, "P")
    first = reconciled(books, [row("P"), row("LATE")])
    assert (first.run, first.day_is_closed, first.difference_count) == (1, False, 1)
    pay(books, "LATE")
    closing.close(books.store, "BANK", on(0), books.now)
    second = reconciliation.reconcile(books.store, first.register.id, books.now)
    assert (second.run, second.day_is_closed, second.matched, second.difference_count) == (2, True, 2, 0)
    assert second.digest != first.digest
    with books.store.read() as connection:
        assert reconciliation.find(connection, first.id) == first
        assert reconciliation.latest(connection, first.register.id) == second
        assert reconciliation.list_reconciliations(connection, dealer="BANK", most=5) == [second, first]
        assert reconciliation.list_reconciliations(connection, dealer="SHOP", most=5) == []


def test_the_digest_is_over_the_text_of_everything_that_was_found(books: Books) -> None:
    pay(books, "P")
    pay(books, "Q", "12.50")
    result = reconciled(books, [row("P", amount="1"), row("X")])
    with books.store.read() as connection:
        written = "".join(reconciliation.text(connection, result))
        register = "".join(registers.text(connection, result.register))
    assert hashlib.sha256(written.encode()).digest() == result.digest
    assert hashlib.sha256(register.encode()).digest() == result.register_digest
    lines = written.splitlines()
    ours = [difference.ours for difference in found(books, result)]
    assert ours[0] is not None
    assert ours[2] is not None
    assert lines[:7] == [
        *("bankapi-reconciliation-v1", result.id, result.register.id, "BANK", "R-1", "2026-03-01", "1"),
    ]
    assert lines[8:] == [
        *(result.register_digest.hex(), "2", "101"),
        "1 AMOUNT_DIFFERS 1 P REGISTERED 1.00 RUB - - - "
        f"REGISTERED 100.00 RUB 2026-03-01 2026-03-01T09:00:00.001000Z ATM-1 {ours[0].payment_id}",
        "2 MISSING_HERE 2 X REGISTERED 100.00 RUB - - - - - - - - - -",
        "3 MISSING_THERE - Q - - - - - - "
        f"REGISTERED 12.50 RUB 2026-03-01 2026-03-01T09:00:00.001000Z ATM-1 {ours[2].payment_id}",
        *("open", "MATCHED 0", "DUPLICATE 0", "MISSING_HERE 1", "AMOUNT_DIFFERS 1", "STATUS_DIFFERS 0"),
        *("OTHER_DAY 0", "MISSING_THERE 1"),
    ]
    assert register.splitlines()[7:] == ["P REGISTERED 1.00 RUB - - -", "X REGISTERED 100.00 RUB - - -"]


@ON_SQLITE
def test_what_was_not_accepted_is_not_reconciled(books: Books) -> None:
    for parts, state in ((2, RegisterState.RECEIVING), (1, RegisterState.TOTALS_DIFFER)):
        two = Totals(2, rub("200").to_decimal())
        submitted = submit(books, [row("P")], reference=f"R-{parts}", parts=parts, totals=two)
        assert submitted.register is not None
        assert submitted.register.state is state
        with pytest.raises(CannotReconcile):
            reconciliation.reconcile(books.store, submitted.register.id, books.now)
    assert reconciliation.reconcile_pending(books.store, books.now) == 0
    with pytest.raises(CannotReconcile):
        reconciliation.reconcile(books.store, "unknown", books.now)


@ON_SQLITE
def test_what_is_pending_is_reconciled_once(books: Books) -> None:
    pay(books, "P")
    register_id = accepted(books, [row("P")])
    assert reconciliation.reconcile_pending(books.store, books.now) == 1
    assert reconciliation.reconcile_pending(books.store, books.now) == 0
    with books.store.read() as connection:
        result = reconciliation.latest(connection, register_id)
    assert result is not None
    assert (result.run, result.matched) == (1, 1)


@ON_SQLITE
def test_a_run_that_was_interrupted_counts_for_nothing_and_is_taken_over_later(books: Books) -> None:
    register_id = accepted(books, [row("X"), row("Y")])

    class Killed(BaseException):
        pass

    real = comparison.compare

    def killed_half_way(*arguments: object) -> object:
        yield next(real(*arguments))  # type: ignore[arg-type]
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconciliation, "compare", killed_half_way)
        patch.setattr(reconciliation, "_DIFFERENCES_AT_ONCE", 1)
        with pytest.raises(Killed):
            reconciliation.reconcile_pending(books.store, books.now)
    with books.store.read() as connection:
        assert connection.execute(select(reconciliation_differences.c.number)).scalars().all() == [1]
        assert reconciliation.latest(connection, register_id) is None
        assert reconciliation.list_reconciliations(connection, most=5) == []
    assert reconciliation.reconcile_pending(books.store, books.now) == 0, "somebody may still be at it"
    later = books.now + reconciliation.TAKEN_OVER_AFTER + timedelta(seconds=1)
    assert reconciliation.reconcile_pending(books.store, later) == 1
    with books.store.read() as connection:
        result = reconciliation.latest(connection, register_id)
        assert result is not None
        assert (result.run, result.difference_count) == (2, 2)


def test_payments_go_on_while_a_large_register_is_compared(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison holds no lock that a payment needs, and sees one moment."""
    pay(books, "P")
    register_id = accepted(books, [row("P"), row("X"), row("Y")])
    real = comparison.compare

    def with_payments_between(*arguments: object) -> object:
        for number, each in enumerate(real(*arguments)):  # type: ignore[arg-type]
            pay(books, f"BETWEEN-{number}")
            yield each

    monkeypatch.setattr(reconciliation, "compare", with_payments_between)
    monkeypatch.setattr(reconciliation, "_DIFFERENCES_AT_ONCE", 1)
    result = reconciliation.reconcile(books.store, register_id, books.now)
    assert [each.reference for each in found(books, result)] == ["X", "Y"]


def test_registers_and_results_are_never_changed(books: Books) -> None:
    reconciled(books, [row("X")])
    for table, column in (
        ("registers", "row_count"),
        ("register_parts", "row_count"),
        ("register_rows", "amount_minor"),
        ("complete_registers", "is_accepted"),
        ("reconciliations", "run"),
        ("reconciliation_results", "matched"),
        ("reconciliation_differences", "kind"),
    ):
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET {column} = {column}"):
            with pytest.raises(DBAPIError, match="append-only"):
                books.store.write(lambda connection, statement=statement: connection.execute(text(statement)) and None)  # type: ignore[misc]


@ON_SQLITE
def test_pages_of_differences_are_what_the_whole_is(books: Books) -> None:
    result = reconciled(books, [row(f"X-{number}") for number in range(7)])
    whole = found(books, result)
    paged = []
    with books.store.read() as connection:
        while page := list(
            reconciliation.differences(connection, result, after=paged[-1].number if paged else 0, most=3)
        ):
            paged += page
        only = reconciliation.differences(connection, result, kinds=[comparison.DifferenceKind.OTHER_DAY])
        assert list(only) == []
    assert paged == whole
    assert len(whole) == 7


def test_two_runs_at_once_have_two_numbers(books: Books) -> None:
    register_id = accepted(books, [row("X")])
    reconciliation.reconcile(books.store, register_id, books.now)
    twin = {"id": "0" * 26, "register_id": register_id, "run": 1, "as_of": books.now}
    with pytest.raises(DBAPIError):
        books.store.write(lambda connection: connection.execute(insert(reconciliations), twin) and None)
