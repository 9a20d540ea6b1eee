"""The financial report: what a dealer's business days came to, and what they did to its balances.

Two sources that must agree to the minor unit: lines are added up from payments and cancellations, balances from the
ledger. A closed day's are worked out once and kept (`closing`); an open day's are worked out when they are asked for.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, FromClause, Select, Table, bindparam, func, select

from bankapi.billing.dealers import BOOKED_AGAINST
from bankapi.billing.ledger import TransactionKind
from bankapi.billing.payments import Disposition
from bankapi.billing.tables import (
    billing_transactions,
    cancellations,
    ledger_accounts,
    payments,
    postings,
    terminals,
)
from bankapi.billing.terminals import Scheme
from bankapi.reports.tables import day_sheet_balances, day_sheet_lines, day_sheets
from bankapi.reports.transactions import Selection
from bankapi.storage.rows import stream

_A_DAY: Final = timedelta(days=1)
_SCHEME_OF: Final = {kind: scheme for scheme, kind in BOOKED_AGAINST.items()}


class LineKey(NamedTuple):
    """What a line counts; lines sort by it."""

    business_on: date
    terminal: str
    """Where it happened, by name."""
    scheme: Scheme
    currency: str


@dataclass(slots=True)
class Line:
    """What happened on a day at a terminal, by one scheme, in one currency. Amounts are in minor units."""

    key: LineKey
    registered_count: int = 0
    registered_minor: int = 0
    cancelled_count: int = 0
    cancelled_minor: int = 0
    fees_minor: int = 0
    """The dealer's own fees on what was registered, less those on what was cancelled. They are never booked here."""

    @property
    def net_minor(self) -> int:
        return self.registered_minor - self.cancelled_minor


@dataclass(frozen=True, slots=True)
class Moved:
    """What was booked on one of a dealer's ledger accounts, by its cause, in minor units."""

    registered_minor: int = 0
    cancelled_minor: int = 0
    paid_in_minor: int = 0
    """Deposits and settlements."""
    corrected_minor: int = 0

    @property
    def balance_minor(self) -> int:
        """Credit-positive: what is negative the dealer owes."""
        return self.cancelled_minor + self.paid_in_minor + self.corrected_minor - self.registered_minor

    def __sub__(self, other: "Moved") -> "Moved":
        return Moved(*(mine - its for mine, its in zip(self.parts, other.parts, strict=True)))

    def __add__(self, other: "Moved") -> "Moved":
        return Moved(*(mine + its for mine, its in zip(self.parts, other.parts, strict=True)))

    @property
    def parts(self) -> tuple[int, int, int, int]:
        return self.registered_minor, self.cancelled_minor, self.paid_in_minor, self.corrected_minor


@dataclass(frozen=True, slots=True)
class DealerAccount:
    """One of a dealer's ledger accounts."""

    id: int
    scheme: Scheme
    currency: str


@dataclass(frozen=True, slots=True)
class Balance:
    """A ledger account over a period: opening and what moved it make the closing balance."""

    account: DealerAccount
    opening_minor: int
    moved: Moved

    @property
    def closing_minor(self) -> int:
        return self.opening_minor + self.moved.balance_minor


@dataclass(frozen=True, slots=True)
class Standing:
    """What was ever booked on an account through a day, and the first posting that may belong to a later one."""

    moved: Moved
    next_posting_id: int


class BooksDisagree(Exception):
    """What payments add up to is not what the ledger moved: our own mistake, or somebody's hand in the database."""


def lines(connection: Connection, dealer_id: int, first_on: date, last_on: date) -> Iterator[Line]:
    """The lines of a period in order, a day at a time; both days are included."""
    kept_through_on = _last_sheet_on(connection, dealer_id)
    open_from_on = first_on if kept_through_on is None else max(first_on, kept_through_on + _A_DAY)
    if first_on < open_from_on:
        yield from _kept_lines(connection, dealer_id, first_on, min(last_on, open_from_on - _A_DAY))
    if open_from_on <= last_on:
        yield from worked_out_lines(connection, dealer_id, open_from_on, last_on)


def lines_of(connection: Connection, selection: Selection) -> Iterator[Line]:
    """The lines of a selection's dealer and period, selected or not."""
    return lines(connection, selection.dealer_id, selection.first_on, selection.last_on)


def is_selected(line: Line, selection: Selection) -> bool:
    """Whether a line is of the selected terminal, scheme and currency."""
    wanted = (selection.terminal, selection.scheme, selection.currency)
    return all(each in (None, it) for each, it in zip(wanted, line.key[1:], strict=True))


def balances(connection: Connection, dealer_id: int, dealer: str, first_on: date, last_on: date) -> list[Balance]:
    """What a period did to each of the dealer's ledger accounts, by currency."""
    found = []
    for account in dealer_accounts(connection, dealer):
        before = booked_through(connection, dealer_id, account, first_on - _A_DAY)
        through = booked_through(connection, dealer_id, account, last_on)
        found.append(Balance(account, before.balance_minor, through - before))
    return found


def assert_agree(lines: Iterable[Line], balances: Iterable[Balance]) -> None:
    """BooksDisagree unless the lines of a period add up to what the ledger moved in it."""
    counted: dict[tuple[Scheme, str], list[int]] = {}
    for line in lines:
        sums = counted.setdefault((line.key.scheme, line.key.currency), [0, 0])
        sums[0] += line.registered_minor
        sums[1] += line.cancelled_minor
    for balance in balances:
        sums = counted.pop((balance.account.scheme, balance.account.currency), [0, 0])
        if sums != [balance.moved.registered_minor, balance.moved.cancelled_minor]:
            raise BooksDisagree(f"{balance.account.scheme} in {balance.account.currency}")
    for (scheme, currency), sums in counted.items():
        if any(sums):
            raise BooksDisagree(f"{scheme} in {currency}: the ledger has no account")


# Lines


def _counted(happened: Table, currency: Column[Any], minor: ColumnElement[Any]) -> Select[Any]:
    """Count and sum of what happened in a period, line by line; `happened` is payments or cancellations."""
    events: FromClause = payments
    if happened is cancellations:
        events = cancellations.join(payments, payments.c.id == cancellations.c.payment_id)
    key = (happened.c.business_on, terminals.c.name, payments.c.scheme, currency)
    return (
        select(*key, func.count(), func.sum(minor))
        .select_from(events)
        .join(terminals, terminals.c.id == happened.c.terminal_id)
        .where(
            happened.c.dealer_id == bindparam("dealer_id"),
            happened.c.business_on.between(bindparam("first_on"), bindparam("last_on")),
            payments.c.disposition == Disposition.REGISTERED,
            currency.is_not(None),
        )
        .group_by(*key)
    )


_amount, _fee = payments.c.amount_minor, payments.c.fee_minor
_currency, _fee_currency = payments.c.currency, payments.c.fee_currency
_COUNTED: Final = (
    (_counted(payments, _currency, _amount), "registered_count", "registered_minor"),
    (_counted(cancellations, _currency, _amount), "cancelled_count", "cancelled_minor"),
    (_counted(payments, _fee_currency, _fee), None, "fees_minor"),
    (_counted(cancellations, _fee_currency, -_fee), None, "fees_minor"),
)
"""Each question with the counter and the sum of a line that its answer is added to."""


def worked_out_lines(connection: Connection, dealer_id: int, first_on: date, last_on: date) -> list[Line]:
    """The lines of a period from its events themselves, whether they are kept or not."""
    found: dict[LineKey, Line] = {}
    asked = {"dealer_id": dealer_id, "first_on": first_on, "last_on": last_on}
    for query, counter, total in _COUNTED:
        for *key, count, minor in connection.execute(query, asked):
            line = _line(key)
            line = found.setdefault(line.key, line)
            if counter is not None:
                setattr(line, counter, count)
            setattr(line, total, getattr(line, total) + int(minor))
    return [found[key] for key in sorted(found)]


def _kept_lines(connection: Connection, dealer_id: int, first_on: date, last_on: date) -> Iterator[Line]:
    query = (
        select(*(column for column in day_sheet_lines.columns if column.name != "dealer_id"))
        .where(
            day_sheet_lines.c.dealer_id == dealer_id,
            day_sheet_lines.c.business_on.between(first_on, last_on),
        )
        .order_by(day_sheet_lines.c.business_on)
    )
    for _, rows in groupby(stream(connection, query), attrgetter("business_on")):
        # Sorted here: databases differ in how they sort names.
        yield from sorted((_line(row[:4], *row[4:]) for row in rows), key=attrgetter("key"))


def _line(key: Sequence[Any], *sums: int) -> Line:
    business_on, terminal, scheme, currency = key
    return Line(LineKey(business_on, terminal, Scheme(scheme), currency), *sums)


# Balances


def dealer_accounts(connection: Connection, dealer: str) -> list[DealerAccount]:
    """The ledger accounts a dealer has, by currency."""
    query = (
        select(ledger_accounts.c.id, ledger_accounts.c.kind, ledger_accounts.c.currency)
        .where(ledger_accounts.c.owner == dealer, ledger_accounts.c.kind.in_(list(_SCHEME_OF)))
        .order_by(ledger_accounts.c.currency, ledger_accounts.c.kind)
    )
    return [DealerAccount(row.id, _SCHEME_OF[row.kind], row.currency) for row in connection.execute(query)]


def booked_through(connection: Connection, dealer_id: int, account: DealerAccount, through_on: date) -> Moved:
    """What was ever booked on an account on business days through this one: what is kept, and what came since."""
    sheet_on = _last_sheet_on(connection, dealer_id, through_on)
    if sheet_on is None and _last_sheet_on(connection, dealer_id) is not None:
        return Moved()  # The first closed day is the day of the first event.
    kept = kept_standing(connection, dealer_id, account, sheet_on)
    if sheet_on == through_on:
        return kept.moved
    first_on = date.min if sheet_on is None else sheet_on + _A_DAY
    return kept.moved + booked(connection, account, kept.next_posting_id, first_on, through_on)


def booked(
    connection: Connection, account: DealerAccount, first_posting_id: int, first_on: date, last_on: date
) -> Moved:
    """What was booked on an account on these days, by postings from this one on."""
    asked = {"account": account.id, "posting": first_posting_id, "first_on": first_on, "last_on": last_on}
    return _moved({cause: int(minor) for cause, minor in connection.execute(_BOOKED, asked)})


def booked_by_day(
    connection: Connection, account: DealerAccount, first_posting_id: int, first_on: date, last_on: date
) -> dict[date, Moved]:
    """As `booked`, for each day that has any, in one pass over the postings."""
    asked = {"account": account.id, "posting": first_posting_id, "first_on": first_on, "last_on": last_on}
    sums: dict[date, dict[str, int]] = {}
    for day, cause, minor in connection.execute(_BOOKED_BY_DAY, asked):
        sums.setdefault(day, {})[cause] = int(minor)
    return {day: _moved(causes) for day, causes in sums.items()}


def _moved(sums: dict[str, int]) -> Moved:
    found = Moved(
        registered_minor=-sums.pop(TransactionKind.PAYMENT, 0),
        cancelled_minor=sums.pop(TransactionKind.CANCELLATION, 0),
        paid_in_minor=sums.pop(TransactionKind.DEPOSIT, 0) + sums.pop(TransactionKind.SETTLEMENT, 0),
        corrected_minor=sums.pop(TransactionKind.CORRECTION, 0),
    )
    assert not sums, "a dealer's balance moved for a reason that no report knows"
    return found


def first_posting_after(connection: Connection, account: DealerAccount, first_posting_id: int, day: date) -> int:
    """From which posting on, of this one and those after it, they may belong to a later day than a closed one.

    It is the one after the last of the closed day, not the first of a later day that can be seen: postings of later
    days with lower numbers may still be uncommitted. None of the closed day is, so all of those come after its last.
    """
    asked = {"account": account.id, "posting": first_posting_id, "last_on": day}
    later = connection.execute(_LATER, asked).scalar()
    query = _NEWEST if later is None else _NEWEST.where(postings.c.id < later)
    newest = connection.execute(query, asked).scalar()
    return first_posting_id if newest is None else int(newest) + 1


def kept_standing(connection: Connection, dealer_id: int, account: DealerAccount, sheet_on: date | None) -> Standing:
    """How an account stood by the kept sheet of a day; an account that is not in it had not been used."""
    query = select(day_sheet_balances).where(
        day_sheet_balances.c.dealer_id == dealer_id,
        day_sheet_balances.c.business_on == sheet_on,
        day_sheet_balances.c.ledger_account_id == account.id,
    )
    row = connection.execute(query).first()
    if row is None:
        return Standing(Moved(), 0)
    moved = Moved(row.registered_minor, row.cancelled_minor, row.paid_in_minor, row.corrected_minor)
    return Standing(moved, row.next_posting_id)


_OF_ACCOUNT: Final = (
    postings.c.ledger_account_id == bindparam("account"),
    postings.c.id >= bindparam("posting"),
)
_BOOKED: Final = (
    select(billing_transactions.c.kind, func.sum(postings.c.amount_minor))
    .join_from(postings, billing_transactions)
    .where(*_OF_ACCOUNT, billing_transactions.c.business_on.between(bindparam("first_on"), bindparam("last_on")))
    .group_by(billing_transactions.c.kind)
)
_BOOKED_BY_DAY: Final = _BOOKED.with_only_columns(
    billing_transactions.c.business_on, billing_transactions.c.kind, func.sum(postings.c.amount_minor)
).group_by(billing_transactions.c.business_on)
_LATER: Final = (
    select(postings.c.id)
    .join_from(postings, billing_transactions)
    .where(*_OF_ACCOUNT, billing_transactions.c.business_on > bindparam("last_on"))
    .order_by(postings.c.id)
    .limit(1)
)
_NEWEST: Final = select(func.max(postings.c.id)).where(*_OF_ACCOUNT)


def _last_sheet_on(connection: Connection, dealer_id: int, through_on: date | None = None) -> date | None:
    """The last day whose sheet is kept, of all or of those through a day."""
    query = select(func.max(day_sheets.c.business_on)).where(day_sheets.c.dealer_id == dealer_id)
    if through_on is not None:
        query = query.where(day_sheets.c.business_on <= through_on)
    found: date | None = connection.execute(query).scalar()
    return found
