"""The verdict of `make crash` finds what it looks for: every promise is broken here once."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from bankapi import clock
from bankapi.billing import ledger
from bankapi.billing.ledger import Entry, LedgerAccountKind, TransactionKind
from bankapi.billing.money import Money
from bankapi.operations.get_payment_status import PaymentState
from tests import journals
from tests.conftest import copy_home
from tests.faults import books
from tests.faults.books import Verdict
from tests.faults.terminals import Attempt, Told
from tests.journals import Journal

PAID, CANCELLED, UNDECIDED = range(3)


class Run:
    """Three references, as a terminal wrote them down: paid, paid and cancelled, and one given up that was booked."""

    def __init__(self, journal: Journal) -> None:
        self.store = journal.gateway.store
        self.told = [Told(f"R-{number}", "ATM-0001", "79160000003", 100 + number, tries=1) for number in range(3)]
        for told in self.told:
            fields = journals.registration(told.reference, told.amount.value, told.msisdn)
            told.hear_registration(journal.ask("ATM-0001", "RegisterPayment", fields))
        cancelled = self.told[CANCELLED]
        journal.ask("ATM-0001", "CancelPayment", journals.cancellation(cancelled.reference, cancelled.amount.value))
        cancelled.hear(PaymentState.CANCELLED)
        self.told[UNDECIDED].state = self.told[UNDECIDED].payment_id = None
        digests = [hashlib.sha256(each.answer).digest() for each in journal.answers]
        self.attempts = [Attempt("any", 0.0, 1.0, "OK", True, digest) for digest in digests]

    def verdict(self) -> Verdict:
        with self.store.read() as connection:
            return books.compare(connection, self.told, self.attempts)


@pytest.fixture
def run(demo_home: Path, tmp_path: Path) -> Iterator[Run]:
    with journals.opened(copy_home(demo_home, tmp_path / "var")) as journal:
        yield Run(journal)


def test_books_that_are_as_they_were_acknowledged_are_sound(run: Run) -> None:
    verdict = run.verdict()
    assert (verdict, verdict.is_sound) == (Verdict(undecided_booked=1), True)


def _forgets_a_payment(run: Run) -> None:
    run.told.append(Told("R-LOST", "ATM-0001", "79160000003", 100, PaymentState.REGISTERED, "01J" + "0" * 23))


def _forgets_a_cancellation(run: Run) -> None:
    run.told[PAID].hear(PaymentState.CANCELLED)


def _revives_a_cancelled_payment(run: Run) -> None:
    run.told[CANCELLED].state = PaymentState.REGISTERED


@pytest.mark.parametrize("break_it", [_forgets_a_payment, _forgets_a_cancellation, _revives_a_cancelled_payment])
def test_what_was_acknowledged_and_is_not_there_is_lost(run: Run, break_it: Callable[[Run], None]) -> None:
    break_it(run)
    assert run.verdict().lost


def test_what_is_posted_twice_is_doubled(run: Run) -> None:
    told = run.told[PAID]

    def post_again(connection: Connection) -> None:
        customer = ledger.open_account(connection, LedgerAccountKind.CUSTOMER, "100000003", "RUB")
        dealer = ledger.open_account(connection, LedgerAccountKind.DEALER_RECEIVABLE, "DEMO-BANK", "RUB")
        amount = told.amount_minor
        ledger.post(
            connection,
            TransactionKind.PAYMENT,
            [Entry(customer, Money(amount, "RUB")), Entry(dealer, Money(-amount, "RUB"))],
            occurred_at=clock.utc_now(),
            business_on=clock.utc_now().date(),
            payment_id=told.payment_id,
        )

    run.store.write(post_again)
    verdict = run.verdict()
    assert any(told.reference in each for each in verdict.doubled)
    assert any(told.msisdn in each for each in verdict.doubled), "the customer's sum says so, too"
    assert verdict.unsound, "and so does the financial report"


@pytest.mark.parametrize("other", [{"amount_minor": 999}, {"msisdn": "79160000004"}, {"terminal": "ATM-0002"}])
def test_what_is_there_otherwise_than_asked_for_differs(run: Run, other: dict[str, Any]) -> None:
    for which in (PAID, UNDECIDED):
        run.told[which] = replace(run.told[which], **other)
    assert len(run.verdict().differing) == 2


def test_what_nobody_asked_for_differs(run: Run) -> None:
    run.told.pop(UNDECIDED)
    assert run.verdict().differing


def test_a_balance_that_was_moved_by_hand_is_unsound(run: Run) -> None:
    run.store.write(
        lambda connection: connection.execute(text("UPDATE balances SET balance_minor = balance_minor + 1"))
    )
    assert run.verdict().unsound


def test_an_answer_without_evidence_is_counted(run: Run) -> None:
    run.attempts.append(Attempt("Ping", 0.0, 1.0, "OK", True, b"no such answer"))
    assert run.verdict().unwitnessed == 1


def test_contradictory_answers_are_written_down() -> None:
    for first, second in (
        (PaymentState.REGISTERED, PaymentState.NEVER_SEEN),
        (PaymentState.CANCELLED, PaymentState.REGISTERED),
        (PaymentState.VOIDED, PaymentState.REGISTERED),
        (PaymentState.DECLINED, PaymentState.REGISTERED),
    ):
        told = Told("R", "ATM-0001", "79160000003", 100)
        told.hear(first)
        assert told.contradictions == []
        told.hear(second)
        assert told.contradictions
    told = Told("R", "ATM-0001", "79160000003", 100)
    told.hear(PaymentState.REGISTERED, "one id")
    told.hear(PaymentState.REGISTERED, "another one")
    assert told.contradictions
