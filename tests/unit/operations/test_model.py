"""Any sequence of requests, compared step by step with the model; after each step the books must be sound.

`make test` runs a small share. More: `BANKAPI_MODEL_EXAMPLES=2000 pytest tests/unit/operations/test_model.py`.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import func, make_url, select
from ulid import ULID

from bankapi.billing import customers, dealers, ledger, limits, rates, statements, terminals
from bankapi.billing.ledger import LedgerAccountKind, TransactionKind
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, PayerKind, ServiceStatus
from bankapi.billing.tables import (
    accounts,
    balances,
    billing_transactions,
    cancellations,
    ledger_accounts,
    payments,
    postings,
)
from bankapi.billing.tables import dealers as dealer_rows
from bankapi.billing.terminals import CancelRule, Scheme, Terminal
from bankapi.operations.call import Call
from bankapi.operations.cancel_payment import CancelPayment, CancelReason, cancel_payment
from bankapi.operations.get_balance import GetBalance, get_balance
from bankapi.operations.get_mini_statement import GetMiniStatement, get_mini_statement
from bankapi.operations.get_payment_status import GetPaymentStatus, get_payment_status
from bankapi.operations.register_payment import RegisterPayment, register_payment
from bankapi.operations.validate_payment import ValidatePayment, validate_payment
from bankapi.storage import schema
from bankapi.storage.engine import Store
from tests.postgres import Postgres
from tests.unit.operations.model import (
    EXPONENT,
    HOME,
    PROMISE,
    Account,
    Amount,
    Books,
    Dealer,
    Limit,
    Payer,
    Promise,
    Settled,
)

EXAMPLES = int(os.environ.get("BANKAPI_MODEL_EXAMPLES", "0"))
START = datetime(2026, 3, 1, 20, 30, tzinfo=UTC)

DEALERS = {
    "ATM-1": Dealer("ALWAYS", ("RUB", "EUR", "JPY", "KWD"), zone="Europe/Moscow"),
    "ATM-2": Dealer("ALWAYS", ("RUB", "EUR", "JPY", "KWD"), zone="Europe/Moscow"),
    "NEVER-1": Dealer("NEVER", ("RUB", "EUR"), cancel_rule="NEVER", misses_max=2),
    "DAY-1": Dealer("DAY", ("RUB", "JPY"), zone="Asia/Tokyo", cancel_rule="SAME_BUSINESS_DAY"),
    "MINUTES-1": Dealer("MINUTES", ("RUB", "KWD"), cancel_rule="MINUTES", cancel_minutes=30),
    "DEBIT-1": Dealer("DEBIT", ("RUB", "EUR"), zone="America/New_York", is_debit=True, overdraft=50_00),
}
OPENED = {
    "A1": Account(),
    "A2": Account("SUSPENDED", -120_00),
    "A3": Account("ACTIVE", 15_00, credit_limit=40_00),
    "A4": Account("TERMINATED", -70_00),
}
DEPOSIT = 300_00

PAYERS = [
    *(Payer("Msisdn", f"7916000000{number}", f"A{number}") for number in range(1, 5)),
    *(Payer("AccountNumber", f"A{number}", f"A{number}") for number in range(1, 5)),
    *(Payer("CustomerNumber", f"C{number}", f"A{number}") for number in range(1, 5)),
    Payer("Msisdn", "79169999999", None),
]
MINORS = [1, 99, 1_00, 50_00, 70_00, 120_00, 333_33, 15_000_00, 15_000_01]
RATES = ["90.25", "0.005", "0.015", "0.5", "1.0005", "245.123456789012", "0.000001"]

terminal_names = st.sampled_from(sorted(DEALERS))
amounts = st.builds(Amount, st.sampled_from(MINORS), st.sampled_from(["RUB", "RUB", "RUB", "EUR", "JPY", "KWD"]))
payers = st.sampled_from(PAYERS)
account_numbers = st.sampled_from(sorted(OPENED))
moments = st.integers(0, 10**6)
limits_set = st.builds(
    Limit,
    st.none() | st.sampled_from([50, 5_00]),
    st.none() | st.sampled_from([100_00, 20_000_00]),
    st.none() | st.integers(0, 3),
    st.none() | st.sampled_from([60_00, 200_00]),
)


class Machine(RuleBasedStateMachine):
    """The operations on a real database beside the model."""

    def __init__(self, opened: Callable[[], AbstractContextManager[str]]) -> None:
        super().__init__()
        self._database = opened()
        self.store = Store(self._database.__enter__())
        with self.store.read() as connection:
            self.terminals = {name: _terminal(connection, name) for name in DEALERS}
        self.model = Books(dict(DEALERS), {number: _copy(account) for number, account in OPENED.items()})
        self.model.deposits["DEBIT", "RUB"] = DEPOSIT
        self.now = START
        self.numbers = count(1)
        self.sent: list[tuple[str, RegisterPayment, Payer, Amount, Promise | None]] = []
        self.promises: list[tuple[str, Promise]] = []
        self.ids: dict[tuple[str, str], str] = {}

    def teardown(self) -> None:
        self.store.close()
        self._database.__exit__(None, None, None)

    def do(self, terminal: str, operation: Callable[[Call, Any], Any], asked: Any) -> Any:
        self.now += timedelta(milliseconds=1)
        return self.store.write(
            lambda connection: operation(Call(connection, self.terminals[terminal], self.now, "en", str(ULID())), asked)
        )

    # What a bank asks

    @rule(terminal=terminal_names, payer=payers, amount=amounts)
    def validate(self, terminal: str, payer: Payer, amount: Amount) -> None:
        answer = self.do(terminal, validate_payment, ValidatePayment(_key(payer), _money(amount)))
        known = self.model.check_payer(terminal, payer, self.now)
        verdict = self.model.judge(terminal, payer, amount, self.now)
        assert answer.result == (verdict.result if known == "OK" else known)
        if answer.result == "OK":
            assert answer.credited == Money(verdict.credited, HOME)
            promise = Promise(DEALERS[terminal].name, (payer, amount), verdict.rate, self.now + PROMISE)
            assert answer.valid_until == promise.until
            self.promises.append((answer.validation_id, promise))
        else:
            assert (answer.validation_id, answer.credited) == (None, None)

    @rule(terminal=terminal_names, payer=payers, amount=amounts)
    def register(self, terminal: str, payer: Payer, amount: Amount) -> None:
        self._register(terminal, self._fresh(payer, amount), payer, amount)

    @rule(terminal=terminal_names, payer=st.sampled_from(PAYERS[:11]), tens=st.integers(4, 9))
    def register_what_is_taken(self, terminal: str, payer: Payer, tens: int) -> None:
        """A payment that seldom fails, so that there is something to repeat and cancel."""
        amount = Amount(tens * 10_00, HOME)
        self._register(terminal, self._fresh(payer, amount), payer, amount)

    @rule(terminal=st.sampled_from(["ATM-1", "NEVER-1", "DAY-1", "MINUTES-1", "DEBIT-1"]), payer=payers)
    def register_foreign(self, terminal: str, payer: Payer) -> None:
        currency = DEALERS[terminal].currencies[1]
        amount = Amount(3 * 10 ** EXPONENT[currency], currency)
        self._register(terminal, self._fresh(payer, amount), payer, amount)

    @precondition(lambda self: self.promises)
    @rule(which=moments, other=terminal_names, is_own=st.booleans(), late=st.sampled_from([None, 0, 1]))
    def register_as_validated(self, which: int, other: str, is_own: bool, late: int | None) -> None:
        """At once, or so many milliseconds after the last instant of the promise."""
        validation_id, promise = self.promises[-1 - which % len(self.promises)]
        own = next(name for name, dealer in DEALERS.items() if dealer.name == promise.dealer)
        payer, amount = promise.content
        if late is not None:
            self.now = max(self.now, promise.until + timedelta(milliseconds=late - 1))
        asked = self._fresh(payer, amount, validation_id)
        self._register(own if is_own else other, asked, payer, amount, promise)

    @precondition(lambda self: self.sent)
    @rule(which=moments)
    def register_again(self, which: int) -> None:
        terminal, asked, payer, amount, promise = self.sent[-1 - which % len(self.sent)]
        self._register(terminal, asked, payer, amount, promise)

    @precondition(lambda self: self.sent)
    @rule(which=moments, terminal=terminal_names, payer=payers, amount=amounts)
    def register_something_else(self, which: int, terminal: str, payer: Payer, amount: Amount) -> None:
        """The same reference by any dealer with any content: a conflict, a repetition or another dealer's own."""
        reference = self.sent[-1 - which % len(self.sent)][1].reference
        asked = RegisterPayment(reference, _key(payer), _money(amount), self.now)
        self._register(terminal, asked, payer, amount)

    @precondition(lambda self: self.model.references)
    @rule(which=moments, is_right=st.sampled_from([True, True, True, False]), by_id=st.booleans(), amount=amounts)
    def cancel(self, which: int, is_right: bool, by_id: bool, amount: Amount) -> None:
        known = sorted(self.model.references)
        dealer, reference = known[-1 - which % len(known)]
        settled = self.model.references[dealer, reference]
        if is_right and settled.content:
            amount = settled.content[1]
        terminal = next(name for name in DEALERS if DEALERS[name].name == dealer)
        self._cancel(terminal, reference, amount, self.ids.get((dealer, reference)) if by_id else None)

    @precondition(lambda self: self.ids)
    @rule(which=moments)
    def cancel_what_was_paid(self, which: int) -> None:
        """The newest first, whatever became of it since."""
        dealer, reference = list(self.ids)[-1 - which % len(self.ids)]
        settled = self.model.references[dealer, reference]
        assert settled.content is not None
        terminal = next(name for name in DEALERS if DEALERS[name].name == dealer)
        self._cancel(terminal, reference, settled.content[1], None)

    @precondition(lambda self: self.ids)
    @rule(which=moments, minor=st.sampled_from([100_00, 200_00]))
    def charge_who_paid_and_cancel(self, which: int, minor: int) -> None:
        dealer, reference = list(self.ids)[-1 - which % len(self.ids)]
        self._charge(self.model.references[dealer, reference].account, minor)
        self.cancel_what_was_paid(which)

    @rule(terminal=terminal_names, payer=payers, amount=amounts)
    def cancel_before_it_comes(self, terminal: str, payer: Payer, amount: Amount) -> None:
        asked = self._fresh(payer, amount)
        self._cancel(terminal, asked.reference, amount, None)
        self.sent.append((terminal, asked, payer, amount, None))

    @precondition(lambda self: self.ids)
    @rule(which=moments, terminal=terminal_names)
    def cancel_another_dealers(self, which: int, terminal: str) -> None:
        owner, reference = sorted(self.ids)[which % len(self.ids)]
        if DEALERS[terminal].name == owner:
            return
        settled = self.model.references[owner, reference]
        assert settled.content is not None
        asked = CancelPayment(_money(settled.content[1]), CancelReason.OTHER, payment_id=self.ids[owner, reference])
        assert self.do(terminal, cancel_payment, asked).result == "PAYMENT_NOT_FOUND"

    @precondition(lambda self: self.model.references)
    @rule(which=moments)
    def ask_status(self, which: int) -> None:
        dealer, reference = sorted(self.model.references)[which % len(self.model.references)]
        settled = self.model.references[dealer, reference]
        terminal = next(name for name in DEALERS if DEALERS[name].name == dealer)
        answer = self.do(terminal, get_payment_status, GetPaymentStatus(reference=reference))
        assert (answer.state, answer.cancelled_at) == (settled.state, settled.cancelled_at)
        assert answer.registered_at == (settled.at if settled.state in ("REGISTERED", "CANCELLED") else None)
        assert answer.decline_code == (settled.result if settled.state == "DECLINED" else None)

    @rule(payer=st.sampled_from(PAYERS[:12]), minutes=st.sampled_from([0, 6]))
    def try_numbers_out(self, payer: Payer, minutes: int) -> None:
        """One more than the dealer may miss, and then a number that exists."""
        for each in (*PAYERS[-1:] * 2, payer):
            self.ask_balance_and_statement("NEVER-1", each)
            self.now += timedelta(minutes=minutes)

    @rule(terminal=terminal_names, payer=payers)
    def ask_balance_and_statement(self, terminal: str, payer: Payer) -> None:
        sheet = self.do(terminal, get_balance, GetBalance(_key(payer)))
        known = self.model.check_payer(terminal, payer, self.now)
        assert sheet.result == known
        answer = self.do(terminal, get_mini_statement, GetMiniStatement(_key(payer)))
        assert answer.result == self.model.check_payer(terminal, payer, self.now)
        if known == "OK":
            account = self.model.accounts[payer.account or ""]
            assert sheet.balance.minor == account.balance
            assert sheet.available.minor == max(0, account.balance + account.credit_limit)
            assert sheet.due.minor == max(0, -account.balance)
            assert sheet.service_status == account.status
            lines = [(line.kind, line.amount.minor, line.balance.minor) for line in answer.lines]
            assert lines == account.lines[:-11:-1]

    # What the operator and time do

    @rule(minor=st.sampled_from([10_00, 500_00]), currency=st.sampled_from(["RUB", "EUR"]), is_settlement=st.booleans())
    def dealer_pays_in(self, minor: int, currency: str, is_settlement: bool) -> None:
        dealer, kind = ("ALWAYS", TransactionKind.SETTLEMENT) if is_settlement else ("DEBIT", TransactionKind.DEPOSIT)
        self.store.write(
            lambda connection: dealers.pay_in(
                connection,
                kind,
                dealer=dealer,
                amount=Money(minor, currency),
                now=self.now,
            )
        )
        if not is_settlement:
            self.model.deposits[dealer, currency] += minor

    @rule(number=account_numbers, minor=st.sampled_from([1, 30_00, 100_00]))
    def charge(self, number: str, minor: int) -> None:
        self._charge(number, minor)

    def _charge(self, number: str, minor: int) -> None:
        self.now += timedelta(milliseconds=1)

        def work(connection: Any) -> None:
            account = customers.find_account(connection, PayerKey(PayerKind.ACCOUNT_NUMBER, number))
            assert account is not None
            customers.charge(connection, account, Money(minor, HOME), now=self.now, business_on=self.now.date())

        self.store.write(work)
        self.model.charge(number, minor)

    @rule(number=account_numbers, status=st.sampled_from([*ServiceStatus, ServiceStatus.ACTIVE]))
    def set_status(self, number: str, status: ServiceStatus) -> None:
        self.store.write(lambda connection: customers.set_service_status(connection, number, status))
        self.model.accounts[number].status = status.value

    @rule(passes=st.sampled_from([timedelta(seconds=30), timedelta(minutes=11), timedelta(hours=5), timedelta(days=2)]))
    def time_passes(self, passes: timedelta) -> None:
        self.now += passes

    @rule(minutes=st.sampled_from([10, 30]))
    def time_passes_to_the_edge(self, minutes: int) -> None:
        """To the last instant of the newest promise, or of a window for cancelling."""
        since = [promise.until - PROMISE for _, promise in self.promises[-1:]]
        since += [settled.at for settled in list(self.model.references.values())[-1:]]
        edge = max(since, default=self.now) + timedelta(minutes=minutes) - timedelta(milliseconds=1)
        self.now = max(self.now, edge)

    @rule(base=st.sampled_from(["EUR", "JPY", "KWD"]), rate=st.sampled_from(RATES))
    def set_rate(self, base: str, rate: str) -> None:
        self.now += timedelta(milliseconds=1)
        self.store.write(lambda connection: rates.add_rate(connection, base, HOME, Decimal(rate), self.now))
        self.model.rates[base].append(Fraction(rate))

    @rule(scope=st.sampled_from(limits.Scope), terminal=terminal_names, limit=limits_set)
    def set_limit(self, scope: limits.Scope, terminal: str, limit: Limit) -> None:
        owner = {"TERMINAL": terminal, "DEALER": DEALERS[terminal].name, "PAYER": ""}[scope]
        self.store.write(
            lambda connection: limits.set_limit(
                connection, limits.Limit(scope, owner, HOME, limit.least, limit.most, limit.day_count, limit.day_amount)
            )
        )
        self.model.limits[scope.value, owner, HOME] = limit

    # What always holds

    @invariant()
    def books_are_sound(self) -> None:
        with self.store.read() as connection:
            assert set(ledger.trial_balance(connection).values()) <= {0}
            assert ledger.balances_that_differ(connection) == []
            self._balances_are_the_models(connection)
            self._references_are_the_models(connection)
            self._statements_end_in_the_balance(connection)

    def _balances_are_the_models(self, connection: Any) -> None:
        found = connection.execute(
            select(accounts.c.account_number, accounts.c.service_status, balances.c.balance_minor).join_from(
                accounts, balances, balances.c.ledger_account_id == accounts.c.ledger_account_id
            )
        )
        assert {number: (status, balance) for number, status, balance in found} == {
            number: (account.status, account.balance) for number, account in self.model.accounts.items()
        }
        deposits = connection.execute(
            select(ledger_accounts.c.owner, ledger_accounts.c.currency, balances.c.balance_minor)
            .join_from(ledger_accounts, balances)
            .where(ledger_accounts.c.kind == LedgerAccountKind.DEALER_DEPOSIT)
        )
        kept = {(owner, currency): balance for owner, currency, balance in deposits}
        assert {key: kept.get(key, 0) for key in self.model.deposits | kept} == {
            key: self.model.deposits[key] for key in self.model.deposits | kept
        }
        assert all(balance >= -50_00 for balance in kept.values())

    def _references_are_the_models(self, connection: Any) -> None:
        """Each reference in its one state, booked once if it was paid, and back at nothing if it was cancelled."""
        booked = (
            select(
                billing_transactions.c.payment_id,
                func.count(func.distinct(billing_transactions.c.id)).label("transactions"),
                func.sum(postings.c.amount_minor).label("total"),
            )
            .join_from(billing_transactions, postings)
            .join(ledger_accounts)
            .where(ledger_accounts.c.kind == LedgerAccountKind.CUSTOMER)
            .group_by(billing_transactions.c.payment_id)
            .subquery()
        )
        found = connection.execute(
            select(
                dealer_rows.c.name,
                payments.c.reference,
                payments.c.disposition,
                cancellations.c.cancelled_at.is_not(None),
                booked.c.transactions,
                booked.c.total,
            )
            .join_from(payments, dealer_rows)
            .outerjoin(cancellations, cancellations.c.payment_id == payments.c.id)
            .outerjoin(booked, booked.c.payment_id == payments.c.id)
        )
        assert {
            (dealer, reference): (disposition, bool(is_cancelled), transactions, total)
            for dealer, reference, disposition, is_cancelled, transactions, total in found
        } == {key: _booked(settled) for key, settled in self.model.references.items()}

    def _statements_end_in_the_balance(self, connection: Any) -> None:
        for number, account in self.model.accounts.items():
            found = customers.find_account(connection, PayerKey(PayerKind.ACCOUNT_NUMBER, number))
            assert found is not None
            newest = statements.last_transactions(connection, found)[:1]
            assert [line.balance.minor for line in newest] == [account.balance][: len(account.lines)]

    def _fresh(self, payer: Payer, amount: Amount, validation_id: str | None = None) -> RegisterPayment:
        reference = f"R{next(self.numbers):04d}"
        return RegisterPayment(reference, _key(payer), _money(amount), self.now, validation_id)

    def _register(
        self, terminal: str, asked: RegisterPayment, payer: Payer, amount: Amount, promise: Promise | None = None
    ) -> None:
        answer = self.do(terminal, register_payment, asked)
        result, replayed, settled = self.model.register(terminal, asked.reference, payer, amount, self.now, promise)
        assert (answer.result, answer.replayed) == (result, replayed)
        key = (DEALERS[terminal].name, asked.reference)
        if result == "OK":
            assert settled is not None
            assert self.ids.setdefault(key, answer.payment_id) == answer.payment_id
            assert (answer.credited, answer.registered_at) == (Money(settled.credited, HOME), settled.at)
        else:
            assert (answer.credited, answer.registered_at) == (None, None)
        self.sent.append((terminal, asked, payer, amount, promise))

    def _cancel(self, terminal: str, reference: str, amount: Amount, payment_id: str | None) -> None:
        named = {"reference": reference} if payment_id is None else {"payment_id": payment_id}
        answer = self.do(terminal, cancel_payment, CancelPayment(_money(amount), CancelReason.OTHER, **named))
        result, replayed, settled = self.model.cancel(terminal, reference, amount, self.now)
        assert (answer.result, answer.replayed) == (result, replayed)
        if result == "OK":
            assert answer.state == settled.state
            assert answer.cancelled_at == (settled.at if settled.state == "VOIDED" else settled.cancelled_at)


def _booked(settled: Settled) -> tuple[str, bool, int | None, int | None]:
    if settled.state == "CANCELLED":
        return "REGISTERED", True, 2, 0
    is_paid = settled.state == "REGISTERED"
    return settled.state, False, 1 if is_paid else None, settled.credited if is_paid else None


def _key(payer: Payer) -> PayerKey:
    return PayerKey(PayerKind(payer.kind), payer.value)


def _money(amount: Amount) -> Money:
    return Money(amount.minor, amount.currency)


def _copy(account: Account) -> Account:
    lines = [("OPENING", account.balance, account.balance)] if account.balance else []
    return Account(account.status, account.balance, account.credit_limit, lines)


def _terminal(connection: Any, name: str) -> Terminal:
    found = terminals.find_terminal(connection, name)
    assert found is not None
    return found


def _open(connection: Any) -> None:
    """Dealers, terminals and customers as the model starts with."""
    ids: dict[str, int] = {}
    for name, dealer in DEALERS.items():
        if dealer.name not in ids:
            ids[dealer.name] = terminals.add_dealer(
                connection,
                name=dealer.name,
                scheme=Scheme.DEBIT_ADJUSTMENT if dealer.is_debit else Scheme.CREDIT_ADJUSTMENT,
                time_zone=dealer.zone,
                language="en",
                currencies=dealer.currencies,
                overdraft_minor=dealer.overdraft,
                cancel_rule=CancelRule(dealer.cancel_rule),
                cancel_minutes=dealer.cancel_minutes,
                misses_max=dealer.misses_max,
            )
        terminals.add_terminal(connection, dealer_id=ids[dealer.name], name=name)
    for number, account in OPENED.items():
        customers.add_customer(
            connection,
            customer_number=number.replace("A", "C"),
            name="Ivan Petrov",
            account_number=number,
            currency=HOME,
            msisdns=(number.replace("A", "7916000000"),),
            now=START,
            business_on=START.date(),
            service_status=ServiceStatus(account.status),
            opening_balance_minor=account.balance,
            credit_limit_minor=account.credit_limit,
        )
    dealers.pay_in(
        connection,
        TransactionKind.DEPOSIT,
        dealer="DEBIT",
        amount=Money(DEPOSIT, HOME),
        now=START,
    )


def _run(opened: Callable[[], AbstractContextManager[str]], examples: int) -> None:
    run_state_machine_as_test(
        lambda: Machine(opened),
        settings=settings(
            max_examples=EXAMPLES or examples,
            stateful_step_count=100,
            deadline=None,
            database=None,
            derandomize=not EXAMPLES,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        ),
    )


def test_every_sequence_of_requests_is_what_the_model_says(tmp_path: Path) -> None:
    pristine = tmp_path / "pristine.db"
    store = Store(f"sqlite:///{pristine}")
    schema.create(store)
    store.write(_open)
    store.close()
    numbers = count(1)

    @contextmanager
    def opened() -> Iterator[str]:
        own = tmp_path / f"{next(numbers)}.db"
        shutil.copy(pristine, own)
        yield f"sqlite:///{own}"
        for left in tmp_path.glob(f"{own.name}*"):
            left.unlink()

    _run(opened, 40)


def test_the_same_on_postgresql(postgres: Postgres) -> None:
    with postgres.database() as url:
        store = Store(url)
        store.write(_open)
        store.close()
        _run(lambda: postgres.database(template=make_url(url).database or ""), 6)
