"""Customers taken over in numbers: the same rows as `customers.add_customer` makes, a thousand at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain
from typing import Any, Final

from sqlalchemy import Column, Connection, insert, select

from bankapi.billing import ledger
from bankapi.billing.ledger import Entry, LedgerAccount, LedgerAccountKind, TransactionKind
from bankapi.billing.money import Money
from bankapi.billing.payers import ServiceStatus
from bankapi.billing.tables import accounts, balances, customers, ledger_accounts, subscriptions

_VALUES_AT_ONCE: Final = 5000


@dataclass(frozen=True, slots=True)
class NewCustomer:
    """A customer with one billing account, as another system hands it over."""

    customer_number: str
    name: str
    language: str | None
    account_number: str
    currency: str
    msisdns: tuple[str, ...]
    opening_balance: Money
    credit_limit: Money
    service_status: ServiceStatus


@dataclass(frozen=True, slots=True)
class Taken:
    """The numbers that belong to somebody already."""

    customer_numbers: frozenset[str]
    account_numbers: frozenset[str]
    msisdns: frozenset[str]


def taken(connection: Connection, new: Sequence[NewCustomer]) -> Taken:
    """Which of the newcomers' numbers are in use."""
    return Taken(
        _known(connection, customers.c.customer_number, [each.customer_number for each in new]),
        _known(connection, accounts.c.account_number, [each.account_number for each in new]),
        _known(connection, subscriptions.c.msisdn, list(chain.from_iterable(each.msisdns for each in new))),
    )


def add_customers(connection: Connection, new: Sequence[NewCustomer], *, now: datetime, business_on: date) -> None:
    """Add customers with their accounts, subscriptions and opening balances. IntegrityError when a number is taken."""
    kind = LedgerAccountKind.CUSTOMER
    customer_ids = _insert_all(
        connection,
        customers.c.customer_number,
        [{"customer_number": each.customer_number, "name": each.name, "language": each.language} for each in new],
    )
    ledger_ids = _insert_all(
        connection,
        ledger_accounts.c.owner,
        [{"kind": kind, "owner": each.account_number, "currency": each.currency} for each in new],
    )
    connection.execute(
        balances.insert(), [{"ledger_account_id": own, "balance_minor": 0} for own in ledger_ids.values()]
    )
    account_ids = _insert_all(
        connection,
        accounts.c.account_number,
        [
            {
                "customer_id": customer_ids[each.customer_number],
                "account_number": each.account_number,
                "ledger_account_id": ledger_ids[each.account_number],
                "currency": each.currency,
                "service_status": each.service_status,
                "credit_limit_minor": each.credit_limit.minor,
            }
            for each in new
        ],
    )
    numbers = [
        {"account_id": account_ids[each.account_number], "msisdn": msisdn} for each in new for msisdn in each.msisdns
    ]
    if numbers:
        connection.execute(subscriptions.insert(), numbers)
    openings = [
        Entry(LedgerAccount(ledger_ids[each.account_number], kind), each.opening_balance)
        for each in new
        if each.opening_balance.minor
    ]
    if openings:
        entries = [*openings, *_from_cash(connection, openings)]
        ledger.post(connection, TransactionKind.OPENING, entries, occurred_at=now, business_on=business_on)


def _from_cash(connection: Connection, openings: Sequence[Entry]) -> Iterator[Entry]:
    """The operator's own side of all openings, one entry per currency."""
    totals: dict[str, Money] = {}
    for entry in openings:
        currency = entry.amount.currency
        totals[currency] = totals.get(currency, Money(0, currency)) + entry.amount
    for currency, total in totals.items():
        if total.minor:
            yield Entry(ledger.open_account(connection, LedgerAccountKind.OPERATOR_CASH, "", currency), -total)


def _insert_all(connection: Connection, key: Column[str], rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Insert rows into the table of `key`, which tells them apart, and return their numbers by it."""
    statement = insert(key.table).returning(key, key.table.c.id)
    return {row[0]: row[1] for row in connection.execute(statement, rows)}


def _known(connection: Connection, column: Column[str], values: Sequence[str]) -> frozenset[str]:
    known: set[str] = set()
    for start in range(0, len(values), _VALUES_AT_ONCE):
        asked = select(column).where(column.in_(values[start : start + _VALUES_AT_ONCE]))
        known.update(connection.execute(asked).scalars())
    return frozenset(known)
