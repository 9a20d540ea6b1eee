"""What an operation costs with many payments stored, against few: it should not depend on how many there are."""

import random
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from ulid import ULID

from bankapi.billing import customers, ledger, terminals
from bankapi.billing.ledger import LedgerAccountKind
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, PayerKind
from bankapi.billing.payments import fingerprint
from bankapi.billing.terminals import Scheme, Terminal
from bankapi.evidence import tables as _evidence  # noqa: F401
from bankapi.operations.call import Call
from bankapi.operations.get_balance import GetBalance, get_balance
from bankapi.operations.get_mini_statement import GetMiniStatement, get_mini_statement
from bankapi.operations.register_payment import RegisterPayment, register_payment
from bankapi.storage import schema
from bankapi.storage.engine import Store

ACCOUNTS = 500  # so that every one has more than a statement full of lines already among the few
WARM_UP = 100
_BEGUN = datetime(2025, 1, 1, tzinfo=UTC)
_APART = timedelta(seconds=20)
_BATCH = 20_000
_MINOR = 10_00


@dataclass
class Stocked:
    """A store that has had so many payments."""

    store: Store
    terminal: Terminal
    now: datetime

    def time(self, operation: Callable[[Call, Any], Any], asked: Any) -> float:
        """Seconds of one call, committed."""
        self.now += timedelta(milliseconds=1)

        def work(connection: Connection) -> Any:
            return operation(Call(connection, self.terminal, self.now, "en", str(ULID())), asked)

        begun = time.perf_counter()
        answer = self.store.write(work)
        took = time.perf_counter() - begun
        assert answer.result == "OK", answer
        return took


def measure(folder: Path, sizes: Sequence[int], calls: int) -> dict[str, list[float]]:
    """Median microseconds per operation for each size. The sizes take turns, so that a noisy machine is so for all."""
    stocked = [_stock(folder / f"{size}.db", size) for size in sizes]
    chosen = random.Random(1)
    costs: dict[str, list[float]] = {}
    for name, operation, ask in _OPERATIONS:
        times: list[list[float]] = [[] for _ in sizes]
        for n in range(WARM_UP + calls):
            asked = ask(_payer(chosen.randrange(ACCOUNTS)), chosen)
            for each, taken in zip(stocked, times, strict=True):
                took = each.time(operation, asked)
                if n >= WARM_UP:
                    taken.append(took)
        costs[name] = [statistics.median(taken) * 1e6 for taken in times]
    for each in stocked:
        each.store.close()
    return costs


_OPERATIONS: tuple[tuple[str, Callable[[Call, Any], Any], Callable[[PayerKey, random.Random], Any]], ...] = (
    (
        "RegisterPayment",
        register_payment,
        lambda payer, chosen: RegisterPayment(_reference(chosen), payer, Money(_MINOR, "RUB"), _BEGUN),
    ),
    ("GetBalance", get_balance, lambda payer, _: GetBalance(payer)),
    ("GetMiniStatement", get_mini_statement, lambda payer, _: GetMiniStatement(payer)),
)


def _stock(file: Path, size: int) -> Stocked:
    """A database with `size` booked payments, as registering them would have left it."""
    store = Store(f"sqlite:///{file}")
    schema.create(store)
    terminal, accounts, receivable = store.write(_open)
    chosen = random.Random(size)
    balances = [0] * len(accounts)
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA synchronous=OFF")
        rows = _rows(size, terminal, accounts, receivable, balances, chosen)
        while batch := list(islice(rows, _BATCH)):
            for table, places in (("payments", 0), ("billing_transactions", 1), ("postings", 2), ("postings", 3)):
                insert(database, table, [each[places] for each in batch])
            database.commit()
        database.executemany(
            "UPDATE balances SET balance_minor = ? WHERE ledger_account_id = ?",
            [(balance, account.ledger_account.id) for balance, account in zip(balances, accounts, strict=True)],
        )
    with store.read() as connection:
        assert ledger.trial_balance(connection) == {"RUB": 0}
        assert ledger.balances_that_differ(connection) == []
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Stocked(store, terminal, _BEGUN + size * _APART)


def _rows(
    size: int,
    terminal: Terminal,
    accounts: Sequence[customers.Account],
    receivable: int,
    balances: list[int],
    chosen: random.Random,
) -> Iterator[tuple[dict[str, Any], ...]]:
    """One payment, its transaction and its two postings, again and again, keeping the balances they leave."""
    amount = Money(_MINOR, "RUB")
    for n in range(1, size + 1):
        at = _BEGUN + n * _APART
        which = chosen.randrange(len(accounts))
        balances[which] += _MINOR
        payer, payment_id = _payer(which), str(ULID.from_datetime(at))
        instant = at.strftime("%Y-%m-%d %H:%M:%S.%f")
        yield (
            {
                "id": payment_id,
                "dealer_id": terminal.dealer_id,
                "terminal_id": terminal.id,
                "scheme": terminal.scheme,
                "reference": _reference(chosen),
                "disposition": "REGISTERED",
                "result": "OK",
                "decided_at": instant,
                "business_on": str(at.date()),
                "exchange_id": payment_id,
                "fingerprint": fingerprint(payer, amount),
                "payer_kind": payer.kind,
                "payer_value": payer.value,
                "account_id": accounts[which].id,
                "amount_minor": _MINOR,
                "currency": "RUB",
                "credited_minor": _MINOR,
                "credited_currency": "RUB",
                "paid_at": instant,
            },
            {
                "id": n,
                "kind": "PAYMENT",
                "occurred_at": instant,
                "business_on": str(at.date()),
                "payment_id": payment_id,
            },
            {
                "id": 2 * n - 1,
                "billing_transaction_id": n,
                "ledger_account_id": receivable,
                "amount_minor": -_MINOR,
                "currency": "RUB",
            },
            {
                "id": 2 * n,
                "billing_transaction_id": n,
                "ledger_account_id": accounts[which].ledger_account.id,
                "amount_minor": _MINOR,
                "currency": "RUB",
                "balance_after_minor": balances[which],
            },
        )


def insert(database: sqlite3.Connection, table: str, rows: Sequence[dict[str, Any]]) -> None:
    """Rows that have the same columns, as they are."""
    names = list(rows[0])
    statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"
    database.executemany(statement, rows)


def _open(connection: Connection) -> tuple[Terminal, list[customers.Account], int]:
    """One dealer on credit adjustment, its terminal, and customers; and where the dealer's side is booked."""
    dealer_id = terminals.add_dealer(
        connection,
        name="BANK",
        scheme=Scheme.CREDIT_ADJUSTMENT,
        time_zone="Europe/Moscow",
        language="en",
        currencies=("RUB",),
    )
    terminals.add_terminal(connection, dealer_id=dealer_id, name="ATM-1")
    terminal = terminals.find_terminal(connection, "ATM-1")
    assert terminal is not None
    for n in range(ACCOUNTS):
        customers.add_customer(
            connection,
            customer_number=f"C{n}",
            name="Ivan Petrov",
            account_number=f"A{n}",
            currency="RUB",
            msisdns=(_payer(n).value,),
            now=_BEGUN,
            business_on=_BEGUN.date(),
        )
    found = [customers.find_account(connection, _payer(n)) for n in range(ACCOUNTS)]
    receivable = ledger.open_account(connection, LedgerAccountKind.DEALER_RECEIVABLE, "BANK", "RUB")
    return terminal, [account for account in found if account is not None], receivable.id


def _payer(number: int) -> PayerKey:
    return PayerKey(PayerKind.MSISDN, f"7916{number:07d}")


def _reference(chosen: random.Random) -> str:
    """Without an order, as a bank may make them: the worst for the unique index."""
    return f"{chosen.getrandbits(80):020x}"
