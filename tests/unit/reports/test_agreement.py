"""Random histories: the transaction report, the financial report, the ledger and the mini-statements tell one story."""

import itertools
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from bankapi.billing import customers, dealers, rates, statements
from bankapi.billing.dealers import BOOKED_AGAINST
from bankapi.billing.ledger import TransactionKind
from bankapi.billing.money import Money
from bankapi.billing.tables import billing_transactions, ledger_accounts, postings
from bankapi.billing.terminals import CancelRule
from bankapi.operations.cancel_payment import CancelPayment, CancelReason, cancel_payment
from bankapi.operations.get_financial_report import GetFinancialReport, get_financial_report
from bankapi.operations.get_transaction_report import GetTransactionReport, get_transaction_report
from bankapi.operations.register_payment import RegisterPayment, register_payment
from bankapi.refusals import ResultCode
from bankapi.reports import closing, financial
from bankapi.reports.financial import Line, LineKey
from bankapi.reports.transactions import Event, Selection, Transaction, transactions
from bankapi.storage import schema
from bankapi.storage.engine import Store
from tests.unit.conftest import START, Books, by_phone, rub, with_accounts

TERMINALS = {"ATM-1": "BANK", "ATM-2": "BANK", "TILL-1": "SHOP"}
FIRST = date(2026, 3, 1)
DAYS = 4

payments_made = st.tuples(
    st.just("pay"),
    st.sampled_from(sorted(TERMINALS)),
    st.integers(1, 4),  # number 3 is blocked: a decline
    st.sampled_from(["1.00", "20.50", "333.33", "1000000"]),
    st.sampled_from(["RUB", "EUR"]),
    st.sampled_from([None, "RUB", "EUR"]),
)

steps = st.one_of(
    payments_made,
    payments_made,
    payments_made,
    st.tuples(st.just("cancel"), st.sampled_from(sorted(TERMINALS)), st.integers(0, 9)),
    st.tuples(st.just("pay in"), st.sampled_from(["BANK", "SHOP"]), st.sampled_from(["5.00", "100.10"])),
    st.tuples(st.just("charge"), st.integers(1, 2)),
    st.tuples(st.just("wait"), st.sampled_from([1, 7, 20])),
    st.tuples(st.just("close"), st.sampled_from(["BANK", "SHOP"])),
)


class History:
    """What was done, through the operations themselves, and what closed days said when they were closed."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.sent: dict[str, list[tuple[str, Money]]] = {"BANK": [], "SHOP": []}
        self.count = 0
        self.closed: dict[tuple[str, date], object] = {}

    def do(self, what: str, *how: object) -> None:
        {
            "pay": self.pay,
            "cancel": self.cancel,
            "pay in": self.pay_in,
            "charge": self.charge,
            "wait": self.wait,
            "close": self.close,
        }[what](*how)  # type: ignore[operator]

    def pay(self, terminal: str, payer: int, amount: str, currency: str, fee: str | None) -> None:
        self.count += 1
        money = Money.from_decimal(Decimal(amount), currency)
        asked = RegisterPayment(
            f"R{self.count}", by_phone(payer), money, self.books.now, fee=Money(150, fee) if fee else None
        )
        self.books.call(register_payment, asked, terminal)
        self.sent[TERMINALS[terminal]].append((asked.reference, money))

    def cancel(self, terminal: str, which: int) -> None:
        sent = self.sent[TERMINALS[terminal]]
        reference, money = sent[-1 - which % len(sent)] if sent and which < 8 else (f"V{which}", rub("1"))
        self.books.call(cancel_payment, CancelPayment(money, CancelReason.OTHER, reference=reference), terminal)

    def pay_in(self, dealer: str, amount: str) -> None:
        kind = TransactionKind.SETTLEMENT if dealer == "BANK" else TransactionKind.DEPOSIT
        self.books.store.write(
            lambda connection: dealers.pay_in(connection, kind, dealer=dealer, amount=rub(amount), now=self.books.now)
        )

    def charge(self, payer: int) -> None:
        def work(connection: object) -> None:
            account = customers.lock_account(connection, by_phone(payer))  # type: ignore[arg-type]
            assert account is not None
            customers.charge(
                connection,  # type: ignore[arg-type]
                account,
                rub("0.70"),
                now=self.books.now,
                business_on=self.books.now.date(),
            )

        self.books.store.write(work)

    def wait(self, hours: int) -> None:
        if self.books.now + timedelta(hours=hours) < START + timedelta(days=DAYS - 2):
            self.books.now += timedelta(hours=hours)

    def close(self, dealer: str) -> None:
        today = dealers.calendar_day("Europe/Moscow", self.books.now)
        closing.close(self.books.store, dealer, today, self.books.now)
        for day in (FIRST + timedelta(days=n) for n in range((today - FIRST).days + 1)):
            self.closed.setdefault((dealer, day), self.told(dealer, day))

    def told(self, dealer: str, day: date) -> object:
        with self.books.store.read() as connection:
            dealer_id = self.dealer_id(dealer)
            return (
                list(transactions(connection, Selection(dealer_id, day, day))),
                list(financial.lines(connection, dealer_id, day, day)),
                [
                    (each.account.currency, each.opening_minor, each.moved, each.closing_minor)
                    for each in financial.balances(connection, dealer_id, dealer, day, day)
                    if each.opening_minor or any(each.moved.parts)
                ],
            )

    def dealer_id(self, dealer: str) -> int:
        return next(self.books.terminals[name].dealer_id for name, owner in TERMINALS.items() if owner == dealer)

    def assert_one_story(self) -> None:
        for (dealer, day), told in self.closed.items():
            assert self.told(dealer, day) == told, "the report of a closed day has changed"
        for dealer in self.sent:
            for first in range(DAYS):
                for last in range(first, DAYS):
                    self._assert_reports_agree(dealer, FIRST + timedelta(days=first), FIRST + timedelta(days=last))
        self._assert_statements_agree()
        self.books.assert_sound()

    def _assert_reports_agree(self, dealer: str, first: date, last: date) -> None:
        dealer_id = self.dealer_id(dealer)
        with self.books.store.read() as connection:
            events = list(transactions(connection, Selection(dealer_id, first, last)))
            lines = list(financial.lines(connection, dealer_id, first, last))
            balances = financial.balances(connection, dealer_id, dealer, first, last)
            assert lines == _lines_of(events)
            financial.assert_agree(lines, balances)
            for balance in balances:
                account = (ledger_accounts.c.owner == dealer) & (
                    ledger_accounts.c.kind == BOOKED_AGAINST[balance.account.scheme]
                )
                booked = (
                    select(func.coalesce(func.sum(postings.c.amount_minor), 0))
                    .join_from(postings, billing_transactions)
                    .join(ledger_accounts, ledger_accounts.c.id == postings.c.ledger_account_id)
                    .where(account, postings.c.currency == balance.account.currency)
                )
                by = billing_transactions.c.business_on
                assert balance.opening_minor == connection.execute(booked.where(by < first)).scalar_one()
                assert balance.closing_minor == connection.execute(booked.where(by <= last)).scalar_one()
        terminal = next(name for name, owner in TERMINALS.items() if owner == dealer)
        assert _paged_events(self.books, terminal, first, last) == events
        assert _paged_lines(self.books, terminal, first, last) == lines

    def _assert_statements_agree(self) -> None:
        """Each line of a mini-statement leads to the next, and those of payments are in the reports."""
        with self.books.store.read() as connection:
            reported = Counter(
                (each.payer, each.occurred_at, each.credited)
                for dealer in self.sent
                for each in transactions(
                    connection, Selection(self.dealer_id(dealer), FIRST, FIRST + timedelta(days=DAYS))
                )
                if each.event in (Event.REGISTERED, Event.CANCELLED)
            )
            for number in range(1, 5):
                account = customers.find_account(connection, by_phone(number))
                assert account is not None
                told = statements.last_transactions(connection, account)
                assert not told or told[0].balance == account.balance
                for newer, older in itertools.pairwise(told):
                    assert newer.balance - newer.amount == older.balance
                for each in told:
                    if each.kind in (TransactionKind.PAYMENT, TransactionKind.CANCELLATION):
                        amount = each.amount if each.kind is TransactionKind.PAYMENT else -each.amount
                        assert reported[by_phone(number).value, each.occurred_at, amount] == 1


def _lines_of(events: list[Transaction]) -> list[Line]:
    """What the events add up to, by the definition of a line."""
    found: dict[LineKey, Line] = {}

    def line(event: Transaction, currency: str) -> Line:
        key = LineKey(event.position.business_on, event.terminal, event.scheme, currency)
        return found.setdefault(key, Line(key))

    for event in events:
        if event.event is Event.REGISTERED:
            assert event.amount is not None
            counted = line(event, event.amount.currency)
            counted.registered_count += 1
            counted.registered_minor += event.amount.minor
        elif event.event is Event.CANCELLED:
            assert event.amount is not None
            counted = line(event, event.amount.currency)
            counted.cancelled_count += 1
            counted.cancelled_minor += event.amount.minor
        else:
            continue
        if event.fee is not None:
            sign = 1 if event.event is Event.REGISTERED else -1
            line(event, event.fee.currency).fees_minor += sign * event.fee.minor
    return [found[key] for key in sorted(found)]


def _paged_events(books: Books, terminal: str, first: date, last: date) -> list[Transaction]:
    found: list[Transaction] = []
    cursor = None
    while True:
        asked = GetTransactionReport(first, last, page_rows=3, cursor=cursor)
        page = books.call(get_transaction_report, asked, terminal)
        assert page.result is ResultCode.OK
        found += page.transactions
        if page.next_cursor is None:
            return found
        assert len(page.transactions) == 3
        cursor = page.next_cursor


def _paged_lines(books: Books, terminal: str, first: date, last: date) -> list[Line]:
    found: list[Line] = []
    cursor = None
    while True:
        page = books.call(get_financial_report, GetFinancialReport(first, last, 2, cursor), terminal)
        assert page.result is ResultCode.OK
        found += page.lines
        if page.next_cursor is None:
            return found
        cursor = page.next_cursor


def _prepare(books: Books) -> None:
    with_accounts(books)

    for name, terminal in books.terminals.items():
        books.terminals[name] = replace(terminal, cancel_rule=CancelRule.ALWAYS)

    def work(connection: object) -> None:
        rates.add_rate(connection, "EUR", "RUB", Decimal("90.25"), START)  # type: ignore[arg-type]

    books.store.write(work)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, object]]]:
    file = tmp_path_factory.mktemp("history") / "template.db"
    store = Store(f"sqlite:///{file}")
    schema.create(store)
    books = Books(store)
    _prepare(books)
    store.close()
    return file, books.terminals


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(history=st.lists(steps, min_size=30, max_size=60), number=st.uuids())
def test_every_report_of_a_history_agrees_with_the_ledger(
    template: tuple[Path, dict[str, object]], history: list[tuple[object, ...]], number: object
) -> None:
    file = template[0].with_name(f"{number}.db")
    shutil.copy(template[0], file)
    store = Store(f"sqlite:///{file}")
    try:
        told = History(Books(store, dict(template[1])))  # type: ignore[arg-type]
        for step in history:
            told.do(*step)  # type: ignore[arg-type]
        told.assert_one_story()
    finally:
        store.close()
        file.unlink()


def test_the_reports_of_a_long_history_agree_on_postgresql(postgres: object) -> None:
    with postgres.database() as url:  # type: ignore[attr-defined]
        books = Books(Store(url))
        _prepare(books)
        told = History(books)
        for n in range(40):
            told.pay(("ATM-1", "ATM-2", "TILL-1")[n % 3], 1 + n % 3, "20.50", ("RUB", "EUR")[n % 2], None)
            if n % 4 == 0:
                told.cancel("ATM-2", n % 7)
            if n % 6 == 0:
                told.close(("BANK", "SHOP")[n % 2])
            told.wait(1)
        told.assert_one_story()
        books.store.close()
