"""Customers, their billing accounts and subscriptions: who is paid for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sqlalchemy import BindParameter, Connection, bindparam, select

from bankapi.billing import ledger
from bankapi.billing.ledger import Entry, LedgerAccount, LedgerAccountKind, TransactionKind
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, PayerKind, ServiceStatus
from bankapi.billing.tables import accounts, balances, customers, subscriptions
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
    customer_name: str
    customer_language: str | None


_COLUMNS: Final = (
    accounts.c.id,
    accounts.c.account_number,
    accounts.c.ledger_account_id,
    accounts.c.currency,
    accounts.c.service_status,
    balances.c.balance_minor,
    customers.c.name,
    customers.c.language,
)
_BY_ACCOUNT: Final = (
    select(*_COLUMNS)
    .join_from(accounts, customers)
    .join(balances, balances.c.ledger_account_id == accounts.c.ledger_account_id)
)
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


def find_account(connection: Connection, payer: PayerKey) -> Account | None:
    """The billing account a payer identifier leads to."""
    row = connection.execute(_FIND[payer.kind], {"value": payer.value}).first()
    if row is None:
        return None
    return Account(
        id=row.id,
        account_number=row.account_number,
        ledger_account=LedgerAccount(row.ledger_account_id, LedgerAccountKind.CUSTOMER),
        currency=row.currency,
        service_status=ServiceStatus(row.service_status),
        balance=Money(row.balance_minor, row.currency),
        customer_name=row.name,
        customer_language=row.language,
    )


def masked_name(name: str) -> str:
    """A name a stranger may see: first name as its initial and stars, the others as initials (`I*** P.`)."""
    given, *others = name.split()
    return " ".join([f"{given[0]}***", *(f"{other[0]}." for other in others)])


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
