"""What holds when many do it at once: threads and processes over one database, on SQLite and PostgreSQL."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from bankapi.billing import customers, limits, rates
from bankapi.billing.ledger import LedgerAccountKind
from bankapi.billing.limits import Limit, Scope
from bankapi.billing.money import Money
from bankapi.billing.payers import ServiceStatus
from bankapi.billing.tables import ledger_accounts, postings
from bankapi.operations.cancel_payment import CancelPayment, CancelReason, PaymentCancellation, cancel_payment
from bankapi.operations.get_payment_status import GetPaymentStatus, PaymentState, get_payment_status
from bankapi.operations.register_payment import PaymentRegistration, RegisterPayment, register_payment
from bankapi.refusals import ResultCode
from tests.unit.conftest import START, Books, by_phone, rub
from tests.unit.operations.racing import Job, Track

ASKED = RegisterPayment("R1", by_phone(1), rub("100"), START)
CANCEL = CancelPayment(rub("100"), CancelReason.TIMEOUT, reference="R1")


@pytest.fixture(scope="module")
def track() -> Iterator[Track]:
    track = Track()
    yield track
    track.close()


def pay(reference: str, number: int = 1, amount: str = "100", terminal: str = "ATM-1", at_ms: int = 0) -> Job:
    asked = RegisterPayment(reference, by_phone(number), rub(amount), START)
    return Job(register_payment, asked, START + timedelta(milliseconds=at_ms), terminal)


def cancel(reference: str, amount: str = "100", terminal: str = "ATM-1", at_ms: int = 0) -> Job:
    asked = CancelPayment(rub(amount), CancelReason.TIMEOUT, reference=reference)
    return Job(cancel_payment, asked, START + timedelta(milliseconds=at_ms), terminal)


def test_copies_of_one_registration_pay_once(books: Books, database_url: str, track: Track) -> None:
    answers = track.race(database_url, [pay("R1", at_ms=n, terminal=f"ATM-{n % 2 + 1}") for n in range(48)])
    assert {(answer.result, answer.payment_id, answer.registered_at) for answer in answers} == {
        (ResultCode.OK, answers[0].payment_id, answers[0].registered_at)
    }
    assert sum(not answer.replayed for answer in answers) == 1
    assert books.balance(by_phone(1)) == rub("100")


def test_of_two_payments_under_one_reference_one_is_a_conflict(books: Books, database_url: str, track: Track) -> None:
    references = [f"R{n}" for n in range(12)]
    jobs = [pay(reference, amount=amount) for reference in references for amount in ("100", "70", "100", "70")]
    answers = track.race(database_url, jobs)
    total = 0
    for reference in references:
        mine = [(job.asked.amount, a) for job, a in zip(jobs, answers, strict=True) if job.asked.reference == reference]
        (first,) = [
            (amount, answer) for amount, answer in mine if answer.result is ResultCode.OK and not answer.replayed
        ]
        total += first[0].minor
        for amount, answer in mine:
            assert answer.result is (ResultCode.OK if amount == first[0] else ResultCode.REFERENCE_CONFLICT)
    assert books.balance(by_phone(1)).minor == total


def test_a_cancellation_that_says_ok_leaves_nothing_of_the_payment(
    books: Books, database_url: str, track: Track
) -> None:
    references = [f"R{n}" for n in range(24)]
    jobs = [
        make(reference, at_ms=n, terminal=f"ATM-{n % 2 + 1}")
        for n, reference in enumerate(references * 2)
        for make in ((pay, cancel) if n % 2 else (cancel, pay))
    ]
    answers = track.race(database_url, jobs)
    for reference in references:
        mine = [answer for job, answer in zip(jobs, answers, strict=True) if job.asked.reference == reference]
        registered = [answer for answer in mine if isinstance(answer, PaymentRegistration)]
        cancelled = [answer for answer in mine if isinstance(answer, PaymentCancellation)]
        (state,) = {answer.state for answer in cancelled}
        assert {answer.result for answer in cancelled} == {ResultCode.OK}
        assert sum(not answer.replayed for answer in cancelled) == 1
        assert len({answer.cancelled_at for answer in cancelled}) == 1
        results = Counter((answer.result, answer.replayed) for answer in registered)
        if state is PaymentState.VOIDED:
            assert results == {(ResultCode.REFERENCE_VOIDED, False): 2}
        else:
            assert state is PaymentState.CANCELLED
            assert results.pop((ResultCode.OK, False)) == 1
            assert set(results) <= {(ResultCode.OK, True), (ResultCode.ALREADY_CANCELLED, True)}
        assert books.call(get_payment_status, GetPaymentStatus(reference=reference)).state is state
    assert books.balance(by_phone(1)) == rub("0")


def test_cancelling_at_once_cancels_once_and_tells_all_the_same(books: Books, database_url: str, track: Track) -> None:
    payment = books.call(register_payment, ASKED)
    jobs = [
        Job(
            cancel_payment,
            replace(CANCEL, reference=None, payment_id=payment.payment_id) if n % 2 else CANCEL,
            books.now + timedelta(milliseconds=n),
            f"ATM-{n % 2 + 1}",
        )
        for n in range(36)
    ]
    answers = track.race(database_url, jobs)
    assert {replace(answer, replayed=False) for answer in answers} == {replace(answers[0], replayed=False)}
    assert (answers[0].result, answers[0].state) == (ResultCode.OK, PaymentState.CANCELLED)
    assert sum(not answer.replayed for answer in answers) == 1
    assert books.balance(by_phone(1)) == rub("0")


def test_dealers_pay_one_customer_at_once_in_currencies_never_used_before(
    books: Books, database_url: str, track: Track
) -> None:
    books.store.write(lambda connection: rates.add_rate(connection, "EUR", "RUB", Decimal("90.5"), START))
    euro = RegisterPayment("", by_phone(1), Money(1_00, "EUR"), START)
    jobs = [pay(f"R{n}", amount="10", terminal=("ATM-1", "TILL-1")[n % 2]) for n in range(24)]
    jobs += [Job(register_payment, replace(euro, reference=f"E{n}"), START, f"ATM-{n % 2 + 1}") for n in range(12)]
    answers = track.race(database_url, random.Random(1).sample(jobs, len(jobs)))
    assert {answer.result for answer in answers} == {ResultCode.OK}
    assert books.balance(by_phone(1)) == rub("1326")  # 24 times 10.00 and 12 times 90.50


def test_a_deposit_is_never_overdrawn_and_all_of_it_can_be_spent(books: Books, database_url: str, track: Track) -> None:
    jobs = [pay(f"R{n}", number=n % 2 + 1, amount="30", terminal="TILL-1") for n in range(40)]
    jobs += [cancel(f"R{n}", amount="30", terminal="TILL-1", at_ms=1) for n in range(0, 40, 5)]
    answers = track.race(database_url, jobs)
    spent_or_void = {ResultCode.OK, ResultCode.DEALER_FUNDS_INSUFFICIENT, ResultCode.REFERENCE_VOIDED}
    assert {answer.result for answer in answers} <= spent_or_void
    with books.store.read() as connection:
        balances = connection.execute(
            select(func.min(postings.c.balance_after_minor), func.sum(postings.c.amount_minor))
            .join_from(postings, ledger_accounts)
            .where(ledger_accounts.c.kind == LedgerAccountKind.DEALER_DEPOSIT)
        ).one()
    lowest, last = map(int, balances)
    standing = sum(
        books.call(get_payment_status, GetPaymentStatus(reference=f"R{n}"), "TILL-1").state is PaymentState.REGISTERED
        for n in range(40)
    )
    assert lowest >= 0
    assert last == 500_00 - standing * 30_00
    for n in range(17):
        books.call(register_payment, pay(f"L{n}", amount="30").asked, "TILL-1")
    assert books.call(register_payment, pay("M", amount="20").asked, "TILL-1").result is ResultCode.OK


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("by_amount", [False, True], ids=["count", "amount"])
def test_a_limit_per_day_is_reached_exactly_and_never_passed(
    books: Books, database_url: str, track: Track, scope: Scope, by_amount: bool
) -> None:
    owner = {Scope.TERMINAL: "ATM-1", Scope.DEALER: "BANK", Scope.PAYER: limits.EVERY_PAYER}[scope]
    most = {"day_amount_max_minor": 7_00} if by_amount else {"day_count_max": 7}
    books.store.write(lambda connection: limits.set_limit(connection, Limit(scope, owner, "RUB", **most)))
    answers = track.race(database_url, [pay(f"R{n}", amount="1") for n in range(24)])
    assert Counter(answer.result for answer in answers) == {ResultCode.OK: 7, ResultCode.LIMIT_EXCEEDED: 17}
    assert books.balance(by_phone(1)) == rub("7")


def test_a_suspension_follows_the_balance_whoever_comes_first(books: Books, database_url: str, track: Track) -> None:
    numbers = range(100, 116)
    for number in numbers:
        _suspended(books, number)
        books.call(register_payment, pay(f"first-{number}", number).asked)
    races = [job for number in numbers for job in (cancel(f"first-{number}"), pay(f"second-{number}", number))]
    answers = track.race(database_url, [replace(job, now=books.now) for job in races])
    assert {answer.result for answer in answers} == {ResultCode.OK}
    with books.store.read() as connection:
        found = [customers.find_account(connection, by_phone(number)) for number in numbers]
    assert {(account.balance, account.service_status) for account in found if account} == {
        (rub("0"), ServiceStatus.ACTIVE)
    }


def test_everything_at_once_ends_and_balances(books: Books, database_url: str, track: Track) -> None:
    """No lock order of one operation crosses another's: PostgreSQL would need a second for every deadlock."""
    limit = Limit(Scope.DEALER, "SHOP", "RUB", day_count_max=1000)
    for each in (limit, replace(limit, scope=Scope.PAYER, owner=limits.EVERY_PAYER)):
        books.store.write(lambda connection, each=each: limits.set_limit(connection, each))
    jobs = [pay(f"R{n % 30}", number=n % 2 + 1, amount="5", terminal="TILL-1") for n in range(60)]
    jobs += [cancel(f"R{n}", amount="5", terminal="TILL-1", at_ms=1) for n in range(30)]
    answers = track.race(database_url, random.Random(2).sample(jobs, len(jobs)))
    expected = {ResultCode.OK, ResultCode.REFERENCE_VOIDED, ResultCode.ALREADY_CANCELLED}
    assert {answer.result for answer in answers} <= expected
    assert books.balance(by_phone(1)) == rub("0")
    assert books.balance(by_phone(2)) == rub("-100")


def _suspended(books: Books, number: int) -> None:
    books.store.write(
        lambda connection: customers.add_customer(
            connection,
            customer_number=f"C{number}",
            name="Ivan Petrov",
            account_number=f"A{number}",
            currency="RUB",
            msisdns=(by_phone(number).value,),
            now=START,
            business_on=START.date(),
            service_status=ServiceStatus.SUSPENDED,
            opening_balance_minor=-100_00,
        )
    )
