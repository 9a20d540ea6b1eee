"""The books against what the terminals were told: everything acknowledged is there, once, and nothing else is."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from bankapi import clock
from bankapi.billing import ledger
from bankapi.billing.ledger import LedgerAccountKind, TransactionKind
from bankapi.billing.payments import Disposition
from bankapi.billing.tables import (
    accounts,
    billing_transactions,
    cancellations,
    dealers,
    ledger_accounts,
    payments,
    postings,
    subscriptions,
    terminals,
)
from bankapi.evidence.tables import exchanges
from bankapi.operations.get_payment_status import PaymentState
from bankapi.reports import financial
from bankapi.reports.financial import BooksDisagree
from tests.faults.terminals import Attempt, Told


@dataclass
class Verdict:
    """What is wrong with the books, in sentences; empty lists are what is promised."""

    lost: list[str] = field(default_factory=list)
    """Acknowledged, and not in the books, or not in the acknowledged state."""
    doubled: list[str] = field(default_factory=list)
    """Booked or taken back more than once."""
    differing: list[str] = field(default_factory=list)
    """In the books otherwise than asked for, or never asked for."""
    unsound: list[str] = field(default_factory=list)
    """Ledger, kept balances and reports."""
    unwitnessed: int = 0
    """Acknowledged answers whose exchange is not in the journal."""
    undecided_booked: int = 0
    """References of which nothing was acknowledged that are in the books, and consistent."""

    @property
    def is_sound(self) -> bool:
        return not (self.lost or self.doubled or self.differing or self.unsound or self.unwitnessed)


class _Booked(NamedTuple):
    """A payment as the database has it, with how often it was posted and taken back."""

    id: str
    reference: str
    terminal: str
    disposition: Disposition
    payer: str | None
    amount_minor: int | None
    cancelled: int
    posted: int
    reversed: int

    @property
    def state(self) -> PaymentState:
        if self.disposition is Disposition.REGISTERED and self.cancelled:
            return PaymentState.CANCELLED
        return PaymentState(self.disposition)


def compare(connection: Connection, told: Sequence[Told], attempts: Iterable[Attempt]) -> Verdict:
    """Everything that can be compared within one snapshot."""
    verdict = Verdict()
    booked: dict[str, list[_Booked]] = {}
    for each in _booked(connection):
        booked.setdefault(each.reference, []).append(each)
    standing: Counter[str] = Counter()
    for one in told:
        found = booked.pop(one.reference, [])
        _compare(verdict, one, found)
        if found and found[0].state is PaymentState.REGISTERED:
            standing[one.msisdn] += one.amount_minor
    verdict.differing += [f"{reference}: nobody asked for it" for reference in booked]
    _compare_customers(connection, verdict, standing)
    _check_ledger(connection, verdict)
    kept = set(connection.execute(select(exchanges.c.answer_digest)).scalars())
    verdict.unwitnessed = sum(each.is_acknowledged and each.answer_digest not in kept for each in attempts)
    return verdict


def _compare(verdict: Verdict, told: Told, found: Sequence[_Booked]) -> None:
    is_acknowledged = told.state not in (None, PaymentState.NEVER_SEEN)
    if len(found) > 1:
        verdict.doubled.append(f"{told.reference}: {len(found)} payments")
    if not found:
        if is_acknowledged:
            verdict.lost.append(f"{told.reference}: {told.state}, not in the books")
        return
    payment = found[0]
    if is_acknowledged and payment.state is not told.state:
        verdict.lost.append(f"{told.reference}: {told.state}, {payment.state} in the books")
    verdict.undecided_booked += not is_acknowledged
    if payment.disposition is not Disposition.VOIDED:
        wanted = (told.terminal, told.msisdn, told.amount_minor, told.payment_id or payment.id)
        if (payment.terminal, payment.payer, payment.amount_minor, payment.id) != wanted:
            verdict.differing.append(f"{told.reference}: another terminal, payer, amount or id than acknowledged")
    is_registered = payment.disposition is Disposition.REGISTERED
    for what, count, wanted_count in (
        ("posted", payment.posted, int(is_registered)),
        ("taken back", payment.reversed, int(payment.state is PaymentState.CANCELLED)),
        ("cancelled", payment.cancelled, int(payment.state is PaymentState.CANCELLED)),
    ):
        if count != wanted_count:
            (verdict.doubled if count > wanted_count else verdict.lost).append(
                f"{told.reference}: {what} {count} times"
            )


def _booked(connection: Connection) -> Iterable[_Booked]:
    def count(kind: TransactionKind) -> Any:
        of_payment = billing_transactions.c.payment_id == payments.c.id
        return select(func.count()).where(of_payment, billing_transactions.c.kind == kind).scalar_subquery()

    cancelled = select(func.count()).where(cancellations.c.payment_id == payments.c.id).scalar_subquery()
    rows = connection.execute(
        select(
            payments.c.id,
            payments.c.reference,
            terminals.c.name,
            payments.c.disposition,
            payments.c.payer_value,
            payments.c.amount_minor,
            cancelled,
            count(TransactionKind.PAYMENT),
            count(TransactionKind.CANCELLATION),
        ).join_from(payments, terminals, terminals.c.id == payments.c.terminal_id)
    )
    for id_, reference, terminal, disposition, *rest in rows:
        yield _Booked(id_, reference, terminal, Disposition(disposition), *rest)


def _compare_customers(connection: Connection, verdict: Verdict, standing: Counter[str]) -> None:
    """What customers were credited with by payments, against what the terminals' own records add up to."""
    of_payments = (TransactionKind.PAYMENT, TransactionKind.CANCELLATION)
    credited = connection.execute(
        select(subscriptions.c.msisdn, func.sum(postings.c.amount_minor))
        .join_from(postings, billing_transactions)
        .join(accounts, accounts.c.ledger_account_id == postings.c.ledger_account_id)
        .join(subscriptions, subscriptions.c.account_id == accounts.c.id)
        .where(billing_transactions.c.kind.in_(of_payments))
        .group_by(subscriptions.c.msisdn)
    )
    sums = {msisdn: int(total) for msisdn, total in credited}
    for msisdn in sorted(sums.keys() | standing.keys()):
        surplus = sums.get(msisdn, 0) - standing[msisdn]
        if surplus:
            (verdict.doubled if surplus > 0 else verdict.lost).append(f"customer {msisdn}: {surplus} minor units")


def _check_ledger(connection: Connection, verdict: Verdict) -> None:
    for currency, total in ledger.trial_balance(connection).items():
        if total:
            verdict.unsound.append(f"the ledger's {currency} postings add up to {total} minor units")
    differing = ledger.balances_that_differ(connection)
    verdict.unsound += [f"the kept balance of {owner} is not the sum of its postings" for owner in differing]
    for dealer_id, dealer in connection.execute(select(dealers.c.id, dealers.c.name)).all():
        first_on, last_on = (clock.utc_now().date() + timedelta(days=days) for days in (-2, 2))
        found = list(financial.lines(connection, dealer_id, first_on, last_on))
        try:
            financial.assert_agree(found, financial.balances(connection, dealer_id, dealer, first_on, last_on))
        except BooksDisagree as error:
            verdict.unsound.append(f"the financial report of {dealer}: {error}")
        net = sum(line.net_minor for line in found if line.key.currency == "RUB")
        if net != (booked := _booked_against(connection, dealer)):
            verdict.unsound.append(f"the financial report of {dealer}: {net} minor units, {booked} in the ledger")


def _booked_against(connection: Connection, dealer: str) -> int:
    """What the dealer owes or has used up by payments that stand, by the ledger alone."""
    kinds = (LedgerAccountKind.DEALER_RECEIVABLE, LedgerAccountKind.DEALER_DEPOSIT)
    total = connection.execute(
        select(func.coalesce(func.sum(-postings.c.amount_minor), 0))
        .join_from(postings, billing_transactions)
        .join(ledger_accounts, ledger_accounts.c.id == postings.c.ledger_account_id)
        .where(
            ledger_accounts.c.owner == dealer,
            ledger_accounts.c.kind.in_(kinds),
            postings.c.currency == "RUB",
            billing_transactions.c.kind.in_((TransactionKind.PAYMENT, TransactionKind.CANCELLATION)),
        )
    ).scalar_one()
    return int(total)
