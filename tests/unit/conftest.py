"""A real database with one dealer, one terminal and a few customers, for the parts that need no network."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection
from ulid import ULID

from bankapi.billing import customers, dealers, ledger, terminals
from bankapi.billing.ledger import TransactionKind
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, PayerKind, ServiceStatus
from bankapi.billing.terminals import Scheme, Terminal
from bankapi.evidence import tables as _evidence  # noqa: F401
from bankapi.operations.call import Call
from bankapi.reports import register_tables as _registers  # noqa: F401
from bankapi.reports import tables as _reports  # noqa: F401
from bankapi.storage import schema
from bankapi.storage.engine import Store
from tests.postgres import postgres  # noqa: F401

T = TypeVar("T")
START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def rub(amount: str) -> Money:
    return Money.from_decimal(Decimal(amount), "RUB")


def by_phone(number: int) -> PayerKey:
    return PayerKey(PayerKind.MSISDN, f"7916000{number:04d}")


@dataclass
class Books:
    """A store with accounts in it, and the only thing that is fake: the clock."""

    store: Store
    terminals: dict[str, Terminal] = field(default_factory=dict)
    now: datetime = START

    def call(self, operation: Callable[[Call, Any], T], asked: Any, terminal: str = "ATM-1") -> T:
        """One operation in a transaction of its own, as the gateway runs it."""
        self.now += timedelta(milliseconds=1)

        def admitted(connection: Connection) -> T:
            known = terminals.find_terminal(connection, terminal)
            assert known is not None
            account = replace(self.terminals[terminal], closed_through_on=known.closed_through_on)
            return operation(Call(connection, account, self.now, "en", str(ULID())), asked)

        return self.store.write(admitted)

    def balance(self, payer: PayerKey) -> Money:
        with self.store.read() as connection:
            account = customers.find_account(connection, payer)
            assert account is not None
            return account.balance

    def assert_sound(self) -> None:
        with self.store.read() as connection:
            assert set(ledger.trial_balance(connection).values()) <= {0}
            assert ledger.balances_that_differ(connection) == []


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database with all tables, once of each kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'books.db'}"
        store = Store(url)
        schema.create(store)
        store.close()
        yield url
    else:
        with request.getfixturevalue("postgres").database() as url:
            yield url


@pytest.fixture
def books(database_url: str) -> Iterator[Books]:
    store = Store(database_url)
    books = Books(store)
    with_accounts(books)
    yield books
    books.assert_sound()
    store.close()


def with_accounts(books: Books) -> None:
    """BANK (credit adjustment) with ATM-1 and ATM-2, SHOP (debit adjustment, 500.00 deposit) with TILL-1."""

    def add(connection: Any) -> None:
        for dealer, scheme, names in (
            ("BANK", Scheme.CREDIT_ADJUSTMENT, ("ATM-1", "ATM-2")),
            ("SHOP", Scheme.DEBIT_ADJUSTMENT, ("TILL-1",)),
        ):
            dealer_id = terminals.add_dealer(
                connection,
                name=dealer,
                scheme=scheme,
                time_zone="Europe/Moscow",
                language="en",
                currencies=("RUB", "EUR"),
            )
            for name in names:
                terminals.add_terminal(connection, dealer_id=dealer_id, name=name)
                terminal = terminals.find_terminal(connection, name)
                assert terminal is not None
                books.terminals[name] = terminal
        dealers.pay_in(
            connection,
            TransactionKind.DEPOSIT,
            dealer="SHOP",
            amount=rub("500"),
            now=books.now,
        )
        for number, status, opening in (
            (1, ServiceStatus.ACTIVE, 0),
            (2, ServiceStatus.SUSPENDED, -10_000),
            (3, ServiceStatus.BLOCKED, 0),
            (4, ServiceStatus.TERMINATED, -5_000),
        ):
            customers.add_customer(
                connection,
                customer_number=f"C{number}",
                name="Ivan Petrov",
                account_number=f"A{number}",
                currency="RUB",
                msisdns=(by_phone(number).value,),
                now=books.now,
                business_on=books.now.date(),
                service_status=status,
                opening_balance_minor=opening,
            )

    books.store.write(add)
