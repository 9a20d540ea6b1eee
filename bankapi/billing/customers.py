"""Customers, their billing accounts and subscriptions: who is paid for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, Select, bindparam, select, update

from bankapi.billing import ledger
from bankapi.billing.ledger import Entry, LedgerAccount, LedgerAccountKind, TransactionKind
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, PayerKind, ServiceStatus
from bankapi.billing.tables import accounts, balances, customers, payments, service_changes, subscriptions
from bankapi.storage.rows import insert


@dataclass(frozen=True, slots=True)
class Account:
    """A billing account as a payment sees it."""

    id: int
    account_number: str
    ledger_account: LedgerAccount
    currency: str
    service_status: ServiceStatus
    balance: Money
    credit_limit: Money
    customer_name: str
    customer_language: str | None

    @property
    def available(self) -> Money:
        """What the customer can still use: balance and credit limit, and nothing below zero."""
        return Money(max(0, self.balance.minor + self.credit_limit.minor), self.currency)

    @property
    def due(self) -> Money:
        """What the customer owes."""
        return Money(max(0, -self.balance.minor), self.currency)


_COLUMNS: Final = (
    accounts.c.id,
    accounts.c.account_number,
    accounts.c.ledger_account_id,
    accounts.c.currency,
    accounts.c.service_status,
    balances.c.balance_minor,
    accounts.c.credit_limit_minor,
    customers.c.name,
    customers.c.language,
)
_BY_ACCOUNT: Final = (
    select(*_COLUMNS)
    .join_from(accounts, customers)
    .join(balances, balances.c.ledger_account_id == accounts.c.ledger_account_id)
)


def _locked(query: Select[Any]) -> Select[Any]:
    """Status and balance as they stay until this transaction ends; the row's key is left to those who refer to it."""
    return query.with_for_update(key_share=True, of=(accounts, balances))


_VALUE: Final[BindParameter[str]] = bindparam("value")
_FIND: Final = {
    PayerKind.MSISDN: _BY_ACCOUNT.join(subscriptions, subscriptions.c.account_id == accounts.c.id).where(
        subscriptions.c.msisdn == _VALUE
    ),
    PayerKind.ACCOUNT_NUMBER: _BY_ACCOUNT.where(accounts.c.account_number == _VALUE),
    # A customer with several accounts is paid on the first opened one.
    PayerKind.CUSTOMER_NUMBER: _BY_ACCOUNT.where(customers.c.customer_number == _VALUE)
    .order_by(accounts.c.id)
    .limit(1),
}


_LOCK: Final = {kind: _locked(find) for kind, find in _FIND.items()}
_LOCK_OF_PAYMENT: Final = _locked(
    _BY_ACCOUNT.join(payments, payments.c.account_id == accounts.c.id).where(payments.c.id == bindparam("payment_id"))
)
_LAST_CHANGE: Final = (
    select(service_changes.c.service_status, service_changes.c.changed_at)
    .where(service_changes.c.account_id == bindparam("account_id"))
    .order_by(service_changes.c.id.desc())
    .limit(1)
)


def find_account(connection: Connection, payer: PayerKey) -> Account | None:
    """The billing account a payer identifier leads to."""
    row = connection.execute(_FIND[payer.kind], {"value": payer.value}).first()
    return None if row is None else _account(row)


def lock_account(connection: Connection, payer: PayerKey) -> Account | None:
    """As `find_account`; nobody else can change its status or move its balance until this transaction ends."""
    row = connection.execute(_LOCK[payer.kind], {"value": payer.value}).first()
    return None if row is None else _account(row)


def _account(row: Any) -> Account:
    return Account(
        id=row.id,
        account_number=row.account_number,
        ledger_account=LedgerAccount(row.ledger_account_id, LedgerAccountKind.CUSTOMER),
        currency=row.currency,
        service_status=ServiceStatus(row.service_status),
        balance=Money(row.balance_minor, row.currency),
        credit_limit=Money(row.credit_limit_minor, row.currency),
        customer_name=row.name,
        customer_language=row.language,
    )


def lock_account_of_payment(connection: Connection, payment_id: str) -> Account:
    """The billing account a registered payment was credited to, locked as by `lock_account`."""
    row = connection.execute(_LOCK_OF_PAYMENT, {"payment_id": payment_id}).one()
    return _account(row)


def lift_suspension(
    connection: Connection, account: Account, balance_minor: int, payment_id: str, now: datetime
) -> None:
    """A payment that restores the balance lifts a suspension for debt."""
    if account.service_status is ServiceStatus.SUSPENDED and _is_restored(account, balance_minor):
        _change_service(connection, account, ServiceStatus.ACTIVE, payment_id, now)


def bring_back_suspension(
    connection: Connection,
    account: Account,
    balance_minor: int,
    payment_id: str,
    registered_at: datetime,
    now: datetime,
) -> None:
    """Cancelling a payment undoes the lifting it had a part in, whichever payment was the last of them."""
    if account.service_status is not ServiceStatus.ACTIVE or _is_restored(account, balance_minor):
        return
    last = connection.execute(_LAST_CHANGE, {"account_id": account.id}).first()
    if last is not None and last.service_status == ServiceStatus.ACTIVE and registered_at <= last.changed_at:
        _change_service(connection, account, ServiceStatus.SUSPENDED, payment_id, now)


def _is_restored(account: Account, balance_minor: int) -> bool:
    return balance_minor + account.credit_limit.minor >= 0


def _change_service(
    connection: Connection, account: Account, status: ServiceStatus, payment_id: str, now: datetime
) -> None:
    connection.execute(update(accounts).where(accounts.c.id == account.id).values(service_status=status))
    connection.execute(
        service_changes.insert(),
        {"account_id": account.id, "payment_id": payment_id, "service_status": status, "changed_at": now},
    )


def charge(connection: Connection, account: Account, amount: Money, *, now: datetime, business_on: date) -> None:
    """Take from a customer's balance for service used."""
    revenue = ledger.open_account(connection, LedgerAccountKind.OPERATOR_REVENUE, "", amount.currency)
    ledger.post(
        connection,
        TransactionKind.CHARGE,
        [Entry(account.ledger_account, -amount), Entry(revenue, amount)],
        occurred_at=now,
        business_on=business_on,
    )


def set_service_status(connection: Connection, account_number: str, status: ServiceStatus) -> bool:
    """Set by the operator's staff or billing; False when there is no such account."""
    changed = connection.execute(
        update(accounts).where(accounts.c.account_number == account_number).values(service_status=status)
    )
    return changed.rowcount == 1


def masked_name(name: str) -> str:
    """A name a stranger may see: first name as its initial and stars, the others as initials (`I*** P.`)."""
    return " ".join(f"{part[0]}." if place else f"{part[0]}***" for place, part in enumerate(name.split()))


def add_customer(
    connection: Connection,
    *,
    customer_number: str,
    name: str,
    account_number: str,
    currency: str,
    msisdns: Sequence[str],
    now: datetime,
    business_on: date,
    service_status: ServiceStatus = ServiceStatus.ACTIVE,
    opening_balance_minor: int = 0,
    credit_limit_minor: int = 0,
    language: str | None = None,
) -> int:
    """A customer with one billing account and its subscriptions; returns the account's id."""
    customer_id = insert(
        connection, customers.insert(), {"customer_number": customer_number, "name": name, "language": language}
    )
    own = ledger.open_account(connection, LedgerAccountKind.CUSTOMER, account_number, currency)
    account_id = insert(
        connection,
        accounts.insert(),
        {
            "customer_id": customer_id,
            "account_number": account_number,
            "ledger_account_id": own.id,
            "currency": currency,
            "service_status": service_status,
            "credit_limit_minor": credit_limit_minor,
        },
    )
    for msisdn in msisdns:
        connection.execute(subscriptions.insert(), {"account_id": account_id, "msisdn": msisdn})
    if opening_balance_minor:
        opening = Money(opening_balance_minor, currency)
        cash = ledger.open_account(connection, LedgerAccountKind.OPERATOR_CASH, "", currency)
        ledger.post(
            connection,
            TransactionKind.OPENING,
            [Entry(own, opening), Entry(cash, -opening)],
            occurred_at=now,
            business_on=business_on,
        )
    return account_id


@dataclass(frozen=True, slots=True)
class CustomerSheet:
    """A customer as the operator's staff see one: with all accounts, each with its phone numbers."""

    customer_number: str
    name: str
    language: str | None
    accounts: tuple[tuple[Account, tuple[str, ...]], ...]


def find_customer(connection: Connection, customer_number: str) -> CustomerSheet | None:
    """A customer by number."""
    known = connection.execute(select(customers).where(customers.c.customer_number == customer_number)).first()
    if known is None:
        return None
    opened = connection.execute(_BY_ACCOUNT.where(customers.c.id == known.id).order_by(accounts.c.id))
    sheet = tuple((_account(row), _msisdns(connection, row.id)) for row in opened.all())
    return CustomerSheet(known.customer_number, known.name, known.language, sheet)


def list_customers(connection: Connection, *, after: str, most: int) -> list[CustomerSheet]:
    """Some customers in the order of their numbers, beginning behind `after`."""
    numbers = (
        select(customers.c.customer_number)
        .where(customers.c.customer_number > after)
        .order_by(customers.c.customer_number)
        .limit(most)
    )
    found = [find_customer(connection, number) for number in connection.execute(numbers).scalars().all()]
    return [sheet for sheet in found if sheet is not None]


def _msisdns(connection: Connection, account_id: int) -> tuple[str, ...]:
    of_account = select(subscriptions.c.msisdn).where(subscriptions.c.account_id == account_id)
    return tuple(connection.execute(of_account.order_by(subscriptions.c.id)).scalars())
