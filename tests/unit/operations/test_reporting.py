"""What a dealer is told of its own days: pages, periods, registers and their results, and days closed under load."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select
from ulid import ULID

from bankapi.billing import customers, rates, terminals
from bankapi.billing.money import Money
from bankapi.billing.tables import cancellations, payments
from bankapi.operations import reporting
from bankapi.operations.call import Call
from bankapi.operations.cancel_payment import CancelPayment, CancelReason, cancel_payment
from bankapi.operations.get_financial_report import FinancialReport, GetFinancialReport, get_financial_report
from bankapi.operations.get_reconciliation import GetReconciliation, ReconciliationReport, get_reconciliation
from bankapi.operations.get_transaction_report import (
    GetTransactionReport,
    TransactionReport,
    get_transaction_report,
)
from bankapi.operations.register_payment import RegisterPayment, register_payment
from bankapi.operations.reporting import PAGE_ROWS
from bankapi.operations.submit_register import (
    RegisterStatus,
    RegisterSubmission,
    SubmitRegister,
    submit_register,
)
from bankapi.refusals import ResultCode
from bankapi.reports import closing, financial, reconciliation
from bankapi.reports.comparison import DifferenceKind
from bankapi.reports.cursors import cursor
from bankapi.reports.registers import PART_ROWS_MAX, RegisterRow, totals_of
from bankapi.reports.transactions import Event
from tests.unit.conftest import START, Books, by_phone, rub
from tests.unit.reports.registering import (
    CANCELLED,
    DAY,
    at,
    cancel,
    cancel_always,
    decline,
    on,
    pay,
    row,
)

ALL_DAYS = GetTransactionReport(on(-5), on(5))
TOTALS = GetFinancialReport(on(-5), on(5))


def pages(books: Books, operation: Callable[[Call, Any], Any], asked: Any, terminal: str = "ATM-1") -> Iterator[Any]:
    """Every page, each asked for with the cursor of the one before."""
    while True:
        answer = books.call(operation, asked, terminal)
        assert answer.result is ResultCode.OK
        yield answer
        if answer.next_cursor is None:
            return
        asked = replace(asked, cursor=answer.next_cursor)


def seen(answers: Iterable[TransactionReport]) -> list[tuple[str, Event]]:
    return [(each.reference, each.event) for answer in answers for each in answer.transactions]


def listed(books: Books, asked: GetTransactionReport = ALL_DAYS, terminal: str = "ATM-1") -> list[tuple[str, Event]]:
    return seen(pages(books, get_transaction_report, asked, terminal))


def six_events(books: Books) -> None:
    """Five references on three days, one of them cancelled."""
    cancel_always(books)
    pay(books, "P-1")
    pay(books, "P-2", terminal="ATM-2")
    decline(books, "D-1")
    cancel(books, "P-1", day=1)
    cancel(books, "V-1", day=1)
    pay(books, "P-3", day=2)


SIX = [
    ("P-1", Event.REGISTERED),
    ("P-2", Event.REGISTERED),
    ("D-1", Event.DECLINED),
    ("P-1", Event.CANCELLED),
    ("V-1", Event.VOIDED),
    ("P-3", Event.REGISTERED),
]


@pytest.fixture
def forged(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Makes a cursor with any content for the question that was asked last: anybody can who knows how they are made."""
    questions: list[str] = []

    def recording(question: str, key: Sequence[str]) -> str:
        questions.append(question)
        return cursor(question, key)

    monkeypatch.setattr(reporting, "cursor", recording)
    return lambda *parts: cursor(questions[-1], parts)


# GetTransactionReport


def test_pages_put_together_are_the_report_and_the_last_one_is_never_empty(books: Books) -> None:
    six_events(books)
    whole = listed(books)
    assert sorted(whole) == sorted(SIX)
    for size in (1, 2, 3, 4, 5, 6, 7, None):
        answers = list(pages(books, get_transaction_report, replace(ALL_DAYS, page_rows=size)))
        assert seen(answers) == whole
        most = size or PAGE_ROWS
        assert [len(each.transactions) for each in answers] == [min(most, 6 - first) for first in range(0, 6, most)]


def test_a_report_without_events_is_one_empty_page(books: Books) -> None:
    answer = books.call(get_transaction_report, ALL_DAYS)
    assert answer == TransactionReport(ResultCode.OK)
    report = books.call(get_financial_report, TOTALS)
    assert report == FinancialReport(ResultCode.OK)


def test_nothing_that_was_there_at_the_first_page_is_lost_or_doubled(books: Books) -> None:
    """Between pages, payments come on every day that is asked for, and payments already seen are cancelled."""
    six_events(books)
    there = listed(books)
    asked = replace(ALL_DAYS, page_rows=1)
    found: list[tuple[str, Event]] = []
    for number, answer in enumerate(pages(books, get_transaction_report, asked)):
        found += seen([answer])
        if number < 4:
            for day in range(4):
                pay(books, f"NEW-{number}-{day}", day=day)
            cancel(books, f"NEW-{number}-0", day=number)
    assert [each for each in found if each in there] == there
    assert max(Counter(found).values()) == 1
    assert len(listed(books)) == 6 + 4 * 5


def test_only_what_was_asked_for(books: Books) -> None:
    six_events(books)
    books.store.write(lambda connection: rates.add_rate(connection, "EUR", "RUB", Decimal("90"), START))
    books.now = at(3)
    euro = RegisterPayment("E-1", by_phone(1), Money(100, "EUR"), books.now)
    assert books.call(register_payment, euro).result is ResultCode.OK
    seven = [*SIX, ("E-1", Event.REGISTERED)]
    registered = frozenset({Event.REGISTERED})
    filters: list[tuple[dict[str, Any], list[tuple[str, Event]]]] = [
        ({}, seven),
        ({"terminal": "ATM-2"}, [("P-2", Event.REGISTERED)]),
        ({"terminal": "TILL-1"}, []),
        ({"events": frozenset({Event.CANCELLED})}, [("P-1", Event.CANCELLED)]),
        ({"events": frozenset({Event.DECLINED, Event.VOIDED})}, [("D-1", Event.DECLINED), ("V-1", Event.VOIDED)]),
        ({"events": frozenset(Event)}, seven),
        ({"currency": "EUR"}, [("E-1", Event.REGISTERED)]),
        ({"currency": "USD"}, []),
        ({"first_on": on(1), "last_on": on(1)}, [("P-1", Event.CANCELLED), ("V-1", Event.VOIDED)]),
        ({"terminal": "ATM-1", "events": registered, "currency": "RUB"}, [SIX[0], SIX[5]]),
    ]
    for chosen, expected in filters:
        for size in (1, None):
            assert sorted(listed(books, replace(ALL_DAYS, page_rows=size, **chosen))) == sorted(expected), chosen


def test_a_dealer_sees_its_own_only(books: Books) -> None:
    six_events(books)
    pay(books, "P-1", "7", terminal="TILL-1")
    assert listed(books, terminal="TILL-1") == [("P-1", Event.REGISTERED)]
    assert listed(books, replace(ALL_DAYS, terminal="ATM-1"), terminal="TILL-1") == []
    assert sorted(listed(books)) == sorted(listed(books, terminal="ATM-2")) == sorted(SIX)
    report = books.call(get_financial_report, TOTALS, "TILL-1")
    assert [(line.key.terminal, line.registered_minor) for line in report.lines] == [("TILL-1", 7_00)]
    assert [balance.moved.registered_minor for balance in report.balances] == [7_00]


# Cursors


@pytest.fixture
def first_page(books: Books, forged: object) -> tuple[GetTransactionReport, str]:
    six_events(books)
    asked = replace(ALL_DAYS, page_rows=2)
    found = books.call(get_transaction_report, asked).next_cursor
    assert found is not None
    return asked, found


def refused(books: Books, asked: GetTransactionReport, given: str, terminal: str = "ATM-1") -> bool:
    answer = books.call(get_transaction_report, replace(asked, cursor=given), terminal)
    assert answer.result is ResultCode.OK or answer == TransactionReport(ResultCode.CURSOR_NOT_ACCEPTED)
    return answer.result is not ResultCode.OK


def test_a_cursor_belongs_to_its_question_and_dealer(
    books: Books, first_page: tuple[GetTransactionReport, str]
) -> None:
    asked, given = first_page
    others: list[dict[str, Any]] = [
        {"first_on": on(-4)},
        {"last_on": on(4)},
        {"terminal": "ATM-1"},
        {"currency": "RUB"},
        {"events": frozenset({Event.REGISTERED})},
    ]
    for other in others:
        assert refused(books, replace(asked, **other), given), other
    assert refused(books, asked, given, "TILL-1")
    assert not refused(books, replace(asked, page_rows=500), given), "the size of a page is no part of the question"
    assert not refused(books, asked, given, "ATM-2"), "neither is who asks for the dealer"


def test_a_damaged_or_senseless_cursor_is_refused(
    books: Books, first_page: tuple[GetTransactionReport, str], forged: Callable[..., str]
) -> None:
    """Any one character another one, one less or one more; content that no report ever had."""
    asked, given = first_page
    damaged = [given[:place] + ("B" if each == "A" else "A") + given[place + 1 :] for place, each in enumerate(given)]
    damaged += [given[:-1], given[1:], given + "A", given + "AAAA", "A", "AAAA", "_" * 400]
    damaged += [
        forged(*parts) for parts in ((), ("2026-03-01",), ("2026-02-30", "X"), ("X" * 9, "X"), ("", ""), ("", "", ""))
    ]
    assert [each for each in damaged if not refused(books, asked, each)] == []
    assert not refused(books, asked, given)


def test_a_cursor_of_another_operation_is_refused(
    books: Books, first_page: tuple[GetTransactionReport, str], forged: Callable[..., str]
) -> None:
    asked, given = first_page
    totals = replace(TOTALS, page_rows=1)
    other = books.call(get_financial_report, totals).next_cursor
    assert other is not None
    wrong = [given, other[:-1], forged("2026-03-01"), forged("2026-03-01", "ATM-1", "NO SCHEME", "RUB")]
    wrong.append(forged("2026-13-01", "ATM-1", "CREDIT_ADJUSTMENT", "RUB"))
    for each in wrong:
        answer = books.call(get_financial_report, replace(totals, cursor=each))
        assert answer == FinancialReport(ResultCode.CURSOR_NOT_ACCEPTED)
    other_dealer = books.call(get_financial_report, replace(totals, cursor=other), "TILL-1")
    assert other_dealer.result is ResultCode.CURSOR_NOT_ACCEPTED
    assert refused(books, asked, other)


# Periods


def test_a_period_goes_forward_and_is_a_year_at_most(books: Books) -> None:
    for days, result in (
        (-1, ResultCode.PERIOD_NOT_ACCEPTED),
        (0, ResultCode.OK),
        (366, ResultCode.OK),
        (367, ResultCode.PERIOD_NOT_ACCEPTED),
    ):
        last_on = DAY + timedelta(days=days)
        assert books.call(get_transaction_report, GetTransactionReport(DAY, last_on)).result is result
        assert books.call(get_financial_report, GetFinancialReport(DAY, last_on)).result is result


# GetFinancialReport


def test_lines_of_all_pages_make_up_the_balances_that_every_page_shows(books: Books) -> None:
    six_events(books)
    assert_pages_tie(books, None)
    for day in (0, 2):
        closing.close(books.store, "BANK", on(day), books.now)
        assert_pages_tie(books, on(day))


def assert_pages_tie(books: Books, closed_through_on: date | None) -> None:
    answers = list(pages(books, get_financial_report, replace(TOTALS, page_rows=1)))
    assert {answer.balances for answer in answers} == {answers[0].balances}
    assert {answer.closed_through_on for answer in answers} == {closed_through_on}
    lines = [line for answer in answers for line in answer.lines]
    assert [(line.key.business_on, line.key.terminal) for line in lines] == [
        (on(0), "ATM-1"),
        (on(0), "ATM-2"),
        (on(1), "ATM-1"),
        (on(2), "ATM-1"),
    ]
    assert lines == list(books.call(get_financial_report, TOTALS).lines)
    (balance,) = answers[0].balances
    assert balance.moved.registered_minor == sum(line.registered_minor for line in lines) == 300_00
    assert balance.moved.cancelled_minor == sum(line.cancelled_minor for line in lines) == 100_00
    assert (balance.opening_minor, balance.closing_minor) == (0, -200_00)
    with_opening = books.call(get_financial_report, GetFinancialReport(on(1), on(1)))
    assert [(each.opening_minor, each.closing_minor) for each in with_opening.balances] == [(-200_00, -100_00)]


# SubmitRegister


def part(
    rows: Sequence[RegisterRow],
    number: int = 1,
    *,
    of: int = 1,
    whole: Sequence[RegisterRow] | None = None,
    reference: str = "R-1",
    day: int = 0,
) -> SubmitRegister:
    """One part of a register that is `whole`; without it, these rows are all of them."""
    totals = totals_of(rows if whole is None else whole)
    return SubmitRegister(reference, on(day), totals.row_count, totals.hash_total, number, of, rows)


def submitted(books: Books, asked: SubmitRegister, terminal: str = "ATM-1") -> RegisterSubmission:
    return books.call(submit_register, asked, terminal)


def test_parts_come_in_any_order_and_the_last_one_is_answered_with_the_result(books: Books) -> None:
    for reference in ("A", "B", "C"):
        pay(books, reference)
    rows = [row("A"), row("B", CANCELLED), row("X", amount="7.5"), row("C")]
    cut = {1: rows[:2], 2: [], 3: rows[2:]}
    for count, number in enumerate((3, 1, 2), 1):
        done = submitted(books, part(cut[number], number, of=3, whole=rows))
        assert (done.result, done.replayed, done.parts_received) == (ResultCode.OK, False, count)
        if count < 3:
            assert (done.status, done.reconciliation) == (RegisterStatus.INCOMPLETE, None)
    assert done.status is RegisterStatus.RECONCILED
    assert done.counted == totals_of(rows)
    assert done.reconciliation is not None
    assert done.reconciliation.matched == 2
    report = books.call(get_reconciliation, GetReconciliation("R-1"))
    assert [(each.row_number, each.kind, each.reference) for each in report.differences] == [
        (2, DifferenceKind.STATUS_DIFFERS, "B"),
        (3, DifferenceKind.MISSING_HERE, "X"),
    ]


def test_a_repeated_part_changes_nothing_and_gets_the_result_again(books: Books) -> None:
    pay(books, "A")
    rows = [row("A"), row("X")]
    first, second = part(rows[:1], 1, of=2, whole=rows), part(rows[1:], 2, of=2, whole=rows)
    submitted(books, first)
    again = submitted(books, first)
    assert (again.result, again.replayed, again.status) == (ResultCode.OK, True, RegisterStatus.INCOMPLETE)
    assert (again.parts_received, again.counted) == (1, totals_of(rows[:1]))
    done = submitted(books, second)
    pay(books, "X")  # what came later is for another run to find
    for each in (first, second):
        again = submitted(books, each)
        assert again == replace(done, replayed=True)
    assert again.reconciliation is not None
    assert again.reconciliation.run == 1


def test_what_contradicts_what_is_kept_is_a_conflict_and_changes_nothing(books: Books) -> None:
    rows = [row("A"), row("B")]
    done = submitted(books, part(rows))
    for conflict in (
        part([row("A", amount="99.99"), row("B", amount="100.01")]),
        part([row("B"), row("A")]),
        part([row("A", CANCELLED), row("B")]),
        part([row("A")], 1, of=2, whole=rows),
        part(rows, day=-1),
        part([*rows, row("C")]),
        part(rows, 2, of=1),
    ):
        assert submitted(books, conflict) == RegisterSubmission(ResultCode.REGISTER_CONFLICT), conflict
        assert submitted(books, part(rows)) == replace(done, replayed=True)


def test_a_dealer_names_its_registers_without_regard_to_others(books: Books) -> None:
    submitted(books, part([row("A")]))
    assert submitted(books, part([row("B")]), "TILL-1").result is ResultCode.OK
    report = books.call(get_reconciliation, GetReconciliation("R-1"), "TILL-1")
    assert [each.reference for each in report.differences] == ["B"]
    submitted(books, part([row("A")], reference="R-2"))
    unknown = books.call(get_reconciliation, GetReconciliation("R-2"), "TILL-1")
    assert unknown == ReconciliationReport(ResultCode.REGISTER_NOT_FOUND)


def test_a_register_that_is_not_what_was_announced_is_rejected(books: Books) -> None:
    good = part([row("A"), row("B")])
    for number, (row_count, hash_total) in enumerate([(1, "200"), (3, "200"), (2, "200.01"), (2, "2")]):
        announced = replace(good, reference=f"R-{number}", row_count=row_count, hash_total=Decimal(hash_total))
        done = submitted(books, announced)
        assert done == RegisterSubmission(
            ResultCode.REGISTER_TOTALS_DIFFER, False, RegisterStatus.REJECTED, 1, totals_of(good.rows)
        )
        assert submitted(books, announced) == replace(done, replayed=True)
        report = books.call(get_reconciliation, GetReconciliation(announced.reference))
        assert report == ReconciliationReport(ResultCode.OK, RegisterStatus.REJECTED)
    assert reconciliation.reconcile_pending(books.store, books.now) == 0
    assert submitted(books, replace(good, reference="CORRECTED")).status is RegisterStatus.RECONCILED


def test_a_register_that_its_parts_cannot_hold_is_not_kept(books: Books) -> None:
    good = part([row("A")])
    refused = submitted(books, replace(good, row_count=PART_ROWS_MAX + 1))
    assert refused == RegisterSubmission(ResultCode.REGISTER_TOTALS_DIFFER)
    assert submitted(books, good).status is RegisterStatus.RECONCILED


def test_an_empty_register_of_a_day_with_payments_lacks_them(books: Books) -> None:
    pay(books, "A")
    done = submitted(books, part([]))
    assert done.reconciliation is not None
    assert (done.status, done.reconciliation.matched) == (RegisterStatus.RECONCILED, 0)
    assert done.reconciliation.counts[DifferenceKind.MISSING_THERE] == 1


def test_a_day_to_come_has_no_register(books: Books) -> None:
    """Today is the dealer's first open business day, in its own zone."""
    refused = RegisterSubmission(ResultCode.PERIOD_NOT_ACCEPTED)
    assert submitted(books, part([row("A")], day=1)) == refused
    books.now = START.replace(hour=21, minute=30)  # past midnight in Moscow
    assert submitted(books, part([row("A")], day=1)).status is RegisterStatus.RECONCILED
    closing.close(books.store, "BANK", on(1), books.now)
    assert submitted(books, part([row("A")], day=2, reference="R-2")).status is RegisterStatus.RECONCILED
    assert submitted(books, part([row("A")], day=3, reference="R-3")) == refused


def test_a_large_register_is_pending_until_the_worker_comes(books: Books) -> None:
    pay(books, "P-0")
    rows = [row(f"P-{number}") for number in range(reconciliation.ROWS_WITHIN_MAX + 1)]
    cut = [rows[first : first + PART_ROWS_MAX] for first in range(0, len(rows), PART_ROWS_MAX)]
    asked = [part(some, number, of=len(cut), whole=rows) for number, some in enumerate(cut, 1)]
    done = [submitted(books, each) for each in asked]
    assert [each.status for each in done] == [RegisterStatus.INCOMPLETE] * 2 + [RegisterStatus.PENDING]
    assert submitted(books, asked[-1]) == replace(done[-1], replayed=True)
    report = books.call(get_reconciliation, GetReconciliation("R-1"))
    assert report == ReconciliationReport(ResultCode.OK, RegisterStatus.PENDING)
    assert reconciliation.reconcile_pending(books.store, books.now) == 1
    last = submitted(books, asked[0])
    assert (last.result, last.replayed, last.status) == (ResultCode.OK, True, RegisterStatus.RECONCILED)
    answers = list(pages(books, get_reconciliation, GetReconciliation("R-1", page_rows=500)))
    assert {answer.reconciliation and answer.reconciliation.id for answer in answers} == {
        last.reconciliation and last.reconciliation.id
    }
    assert [each.number for answer in answers for each in answer.differences] == list(range(1, 2001))


# GetReconciliation


def test_all_pages_are_of_one_run_though_another_one_comes_between(books: Books) -> None:
    done = submitted(books, part([row(f"X-{number}") for number in range(5)]))
    assert done.reconciliation is not None
    asked = GetReconciliation("R-1", page_rows=2)
    found: list[tuple[int, str]] = []
    for number, answer in enumerate(pages(books, get_reconciliation, asked)):
        assert answer.reconciliation == done.reconciliation
        found += [(each.number, each.reference) for each in answer.differences]
        pay(books, f"X-{4 - number}")
        reconciliation.reconcile(books.store, done.reconciliation.register.id, books.now)
    assert found == [(number + 1, f"X-{number}") for number in range(5)]
    newest = books.call(get_reconciliation, asked)
    assert newest.reconciliation is not None
    assert (newest.reconciliation.run, newest.reconciliation.matched) == (4, 3)
    assert [each.reference for each in newest.differences] == ["X-0", "X-1"]
    assert newest.next_cursor is None


def test_a_cursor_of_another_register_or_run_is_refused(books: Books, forged: Callable[..., str]) -> None:
    rows = [row("X-1"), row("X-2")]
    submitted(books, part(rows))
    other = submitted(books, part(rows), "TILL-1")
    submitted(books, part(rows, reference="R-2"))
    assert other.reconciliation is not None
    asked = GetReconciliation("R-1", page_rows=1)
    answer = books.call(get_reconciliation, asked)
    given = answer.next_cursor
    assert answer.reconciliation is not None
    assert given is not None
    own = answer.reconciliation.id
    senseless = ((own, "X"), (own, "9" * 200), (own, "-1"), (own,), (str(ULID()), "1"), (other.reconciliation.id, "0"))
    wrong = [(asked, forged(*parts)) for parts in senseless]
    wrong += [(replace(asked, reference="R-2"), given), (asked, given[:-2])]
    for question, each in wrong:
        refused = books.call(get_reconciliation, replace(question, cursor=each))
        assert refused == ReconciliationReport(ResultCode.CURSOR_NOT_ACCEPTED)
    other_dealer = books.call(get_reconciliation, replace(asked, cursor=given), "TILL-1")
    assert other_dealer.result is ResultCode.CURSOR_NOT_ACCEPTED


# Closing while payments come

THREADS = 4
PAYMENTS = 40
"""Of each thread."""


def with_payers(books: Books) -> None:
    """A customer for each thread, so that no two wait for one balance."""
    for number in range(100, 100 + THREADS):
        books.store.write(
            lambda connection, number=number: customers.add_customer(  # type: ignore[misc]
                connection,
                customer_number=f"C{number}",
                name="Ivan Petrov",
                account_number=f"A{number}",
                currency="RUB",
                msisdns=(by_phone(number).value,),
                now=books.now,
                business_on=books.now.date(),
            )
        )


def test_every_payment_is_counted_on_one_day_whenever_days_are_closed(books: Books) -> None:
    """Threads pay and cancel while another lets day after day come and closes each of them at once."""
    cancel_always(books)
    with_payers(books)
    pay(books, "FIRST")
    days = [on(0)]
    is_over = threading.Event()

    def perform(operation: Callable[[Call, Any], Any], asked: Any, terminal: str) -> None:
        now = START + (days[-1] - DAY)

        def admitted(connection: Any) -> Any:
            known = terminals.find_terminal(connection, terminal)
            assert known is not None
            account = replace(books.terminals[terminal], closed_through_on=known.closed_through_on)
            return operation(Call(connection, account, now, "en", str(ULID())), asked)

        assert books.store.write(admitted).result is ResultCode.OK

    def payer(number: int) -> None:
        for n in range(PAYMENTS):
            reference, terminal = f"R-{number}-{n}", f"ATM-{n % 2 + 1}"
            perform(register_payment, RegisterPayment(reference, by_phone(100 + number), rub("10"), START), terminal)
            if n % 5 == 0:
                perform(cancel_payment, CancelPayment(rub("10"), CancelReason.OTHER, reference=reference), terminal)

    def closer() -> None:
        while not is_over.is_set():
            closing.close(books.store, "BANK", days[-1], START + (days[-1] - DAY))
            days.append(days[-1] + timedelta(days=1))

    with ThreadPoolExecutor(THREADS + 1) as threads:
        closings = threads.submit(closer)
        try:
            for each in [threads.submit(payer, number) for number in range(THREADS)]:
                each.result(timeout=120)
        finally:
            is_over.set()
        closings.result(timeout=120)
    closing.close(books.store, "BANK", days[-1], START + (days[-1] - DAY))
    assert len(days) > 5
    assert_closed_days_hold(books, days[0], days[-1] + timedelta(days=1))
    booked = 1 + THREADS * PAYMENTS
    with books.store.read() as connection:
        report = list(financial.lines(connection, books.terminals["ATM-1"].dealer_id, days[0], days[-1]))
    assert sum(line.registered_count for line in report) == booked
    assert sum(line.cancelled_count for line in report) == THREADS * PAYMENTS // 5


def assert_closed_days_hold(books: Books, first_on: date, last_on: date) -> None:
    """What is kept of each closed day is what its events add up to now, and the ledger moved as much."""
    dealer_id = books.terminals["ATM-1"].dealer_id
    with books.store.read() as connection:
        counted: Counter[str] = Counter()
        for day in (first_on + timedelta(days=n) for n in range((last_on - first_on).days + 1)):
            kept = list(financial.lines(connection, dealer_id, day, day))
            assert kept == financial.worked_out_lines(connection, dealer_id, day, day)
            financial.assert_agree(kept, financial.balances(connection, dealer_id, "BANK", day, day))
            for events in (payments, cancellations):
                found = select(events.c.id).where(events.c.dealer_id == dealer_id, events.c.business_on == day)
                counted.update(connection.execute(found).scalars())
        assert set(counted.values()) == {1}
        whole = financial.balances(connection, dealer_id, "BANK", first_on, last_on)
        financial.assert_agree(financial.lines(connection, dealer_id, first_on, last_on), whole)
        ledger = [each.closing_minor for each in whole]
        (standing,) = financial.dealer_accounts(connection, "BANK")
        moved = financial.booked(connection, standing, 0, first_on, last_on)
        assert ledger == [moved.balance_minor]


def test_a_sheet_that_is_made_while_payments_commit_in_another_order_loses_none(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers of postings are given when they are written, and seen when they are committed."""
    if books.store.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    with_payers(books)
    pay(books, "FIRST")
    with monkeypatch.context() as patch:
        patch.setattr(closing, "keep_sheets", lambda *_: None)
        closing.close(books.store, "BANK", on(0), books.now)

    def paid(connection: Any, reference: str, number: int) -> None:
        account = terminals.find_terminal(connection, "ATM-1")
        assert account is not None
        asked = RegisterPayment(reference, by_phone(number), rub("10"), books.now)
        call = Call(connection, account, books.now, "en", str(ULID()))
        assert register_payment(call, asked).result is ResultCode.OK

    with books.store.engine.begin() as slow:
        paid(slow, "SLOW", 100)
        books.store.write(lambda connection: paid(connection, "QUICK", 101))
        closing.keep_sheets(books.store, "BANK")
    books.now = at(1)
    closing.close(books.store, "BANK", on(1), books.now)
    assert_closed_days_hold(books, on(0), on(1))
