"""Receiving a register: parts in any order and again, totals that must hold, and nothing that is ever replaced."""

import threading
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from bankapi.billing.money import MINOR_MAX, Money
from bankapi.reports import registers
from bankapi.reports.register_tables import register_rows
from bankapi.reports.registers import (
    PART_ROWS_MAX,
    Announcement,
    RegisterRow,
    RegisterState,
    RowStatus,
    SubmissionOutcome,
    Totals,
    totals_of,
)
from tests.unit.conftest import Books
from tests.unit.reports.registering import DAY, ON_SQLITE, accepted, at, row, submit

KEPT, CONFLICT = SubmissionOutcome.KEPT, SubmissionOutcome.CONFLICT
PARTS = ([row("A"), row("B", amount="0.50")], [row("C", currency="EUR", amount="7")], [])
WHOLE = Totals(3, Decimal("107.5"))


def _kept_rows(books: Books) -> int:
    with books.store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(register_rows)).scalar_one())


def test_parts_come_in_any_order_and_again(books: Books) -> None:
    for part, repeated in ((3, False), (1, False), (3, True), (1, True)):
        done = submit(books, PARTS[part - 1], part=part, parts=3, totals=WHOLE)
        assert (done.outcome, done.is_repeated) == (KEPT, repeated)
        assert done.register is not None
        assert done.register.state is RegisterState.RECEIVING
    assert (done.parts_received, done.counted) == (2, Totals(2, Decimal("100.5")))
    last = submit(books, PARTS[1], part=2, parts=3, totals=WHOLE)
    again = submit(books, PARTS[1], part=2, parts=3, totals=WHOLE)
    assert last.register == again.register
    assert last.register is not None
    assert (last.register.state, last.counted, last.parts_received) == (RegisterState.ACCEPTED, WHOLE, 3)
    assert (last.is_repeated, again.is_repeated) == (False, True)
    with books.store.read() as connection:
        assert list(registers.rows_of(connection, last.register.id)) == [each for part in PARTS for each in part]
        assert registers.find(connection, books.terminals["ATM-1"].dealer_id, "R-1") == last.register
        assert registers.find(connection, books.terminals["TILL-1"].dealer_id, "R-1") is None


@ON_SQLITE
def test_what_contradicts_is_a_conflict_and_changes_nothing(books: Books) -> None:
    first = submit(books, PARTS[0], part=1, parts=3, totals=WHOLE)
    for changed in (
        submit(books, PARTS[1], part=1, parts=3, totals=WHOLE),
        submit(books, PARTS[0][::-1], part=1, parts=3, totals=WHOLE),
        submit(books, [row("A", RowStatus.CANCELLED), PARTS[0][1]], part=1, parts=3, totals=WHOLE),
        submit(books, [PARTS[0][0]._replace(terminal="T"), PARTS[0][1]], part=1, parts=3, totals=WHOLE),
        submit(books, PARTS[1], part=2, parts=2, totals=WHOLE),
        submit(books, PARTS[1], part=2, parts=3, totals=Totals(4, Decimal("107.5"))),
        submit(books, PARTS[1], part=2, parts=3, totals=Totals(3, Decimal("107.51"))),
        submit(books, PARTS[1], part=2, parts=3, totals=WHOLE, day=1),
        submit(books, PARTS[1], part=4, parts=3, totals=WHOLE),
        submit(books, PARTS[1], part=0, parts=3, totals=WHOLE),
    ):
        assert changed.outcome is CONFLICT
        assert changed.register == first.register
        assert changed.counted == first.counted
    assert _kept_rows(books) == 2
    unknown = submit(books, PARTS[1], reference="R-2", part=2, parts=1, totals=WHOLE)
    assert (unknown.outcome, unknown.register, unknown.parts_received) == (CONFLICT, None, 0)


@ON_SQLITE
def test_a_register_whose_totals_do_not_hold_is_kept_as_rejected(books: Books) -> None:
    for number, totals in enumerate((Totals(3, Decimal("100.50")), Totals(2, Decimal("100.49")))):
        done = submit(books, PARTS[0], reference=f"R-{number}", totals=totals)
        assert done.register is not None
        assert (done.outcome, done.register.state) == (KEPT, RegisterState.TOTALS_DIFFER)
        assert done.counted == Totals(2, Decimal("100.5")) != done.register.announced.totals
        again = submit(books, PARTS[0], reference=f"R-{number}", totals=totals)
        assert (again.is_repeated, again.register) == (True, done.register)
    assert _kept_rows(books) == 4
    right = submit(books, PARTS[0], reference="R-0", totals=Totals(2, Decimal("100.50")))
    assert right.outcome is CONFLICT, "a corrected register needs a new reference"


@ON_SQLITE
def test_an_empty_register_is_one(books: Books) -> None:
    done = submit(books, [])
    assert done.register is not None
    assert (done.register.state, done.counted) == (RegisterState.ACCEPTED, Totals(0, Decimal(0)))


def test_hash_totals_are_exact_however_large(books: Books) -> None:
    largest = [
        row(f"P-{n}")._replace(amount=Money(MINOR_MAX - n, currency)) for n, currency in enumerate(("JPY", "CLF"))
    ]
    totals = totals_of(largest)
    assert totals.hash_total == Decimal("999999999999999") + Decimal("99999999999.9998")
    done = submit(books, largest, totals=totals)
    assert done.register is not None
    assert done.register.state is RegisterState.ACCEPTED
    assert registers.total_text(done.register.announced.totals.hash_total) == "1000099999999998.9998"


@pytest.mark.parametrize(
    ("reference", "parts", "totals"),
    [
        ("no spaces", 1, WHOLE),
        ("R", 0, WHOLE),
        ("R", 10_001, WHOLE),
        ("R", 1, Totals(PART_ROWS_MAX + 1, Decimal(1))),
        ("R", 1, Totals(-1, Decimal(1))),
        ("R", 1, Totals(1, Decimal(-1))),
        ("R", 1, Totals(1, Decimal("0.00001"))),
        ("R", 1, Totals(1, Decimal(10**18))),
    ],
)
def test_no_register_can_be_announced_so(reference: str, parts: int, totals: Totals) -> None:
    with pytest.raises(ValueError, match=r"register|part|hash total"):
        Announcement(reference, DAY, parts, totals)


@ON_SQLITE
def test_the_same_register_has_the_same_text_however_it_came(books: Books) -> None:
    """The digest is of the rows in their order, not of how they were cut into messages."""
    cut = accepted(books, [row(f"P-{n}") for n in range(PART_ROWS_MAX + 1)])
    with books.store.read() as connection:
        register = registers.find_by_id(connection, cut)
        assert register is not None
        lines = "".join(registers.text(connection, register)).splitlines()
    assert lines[:7] == [
        *("bankapi-register-v1", cut, "BANK", "R-1", "2026-03-01"),
        *(str(PART_ROWS_MAX + 1), f"{PART_ROWS_MAX + 1}00"),
    ]
    assert lines[7:] == [f"P-{n} REGISTERED 100.00 RUB - - -" for n in range(PART_ROWS_MAX + 1)]


def test_a_row_is_written_with_all_that_is_known() -> None:
    whole = RegisterRow("P", RowStatus.CANCELLED, Money(5, "KWD"), at(0), "T-1", "0" * 26)
    assert registers.row_line(whole) == f"P CANCELLED 0.005 KWD 2026-03-01T09:00:00.000000Z T-1 {'0' * 26}\n"


def test_of_parts_that_come_at_once_one_completes_the_register(books: Books) -> None:
    """Each of two transactions alone would not see the other's part."""
    for round_number in range(5):
        begin, states = threading.Barrier(3), []

        def send(part: int, name: str, begin: threading.Barrier, states: list[RegisterState]) -> None:
            begin.wait()
            done = submit(books, PARTS[part - 1], reference=name, part=part, parts=3, totals=WHOLE)
            assert done.register is not None
            states.append(done.register.state)

        threads = [threading.Thread(target=send, args=(n, f"R-{round_number}", begin, states)) for n in (1, 2, 3)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sorted(states) == [RegisterState.ACCEPTED, RegisterState.RECEIVING, RegisterState.RECEIVING]
