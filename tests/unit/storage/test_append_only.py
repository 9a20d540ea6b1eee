"""Facts stay: the database refuses to change them, whoever asks."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Table, text
from sqlalchemy.exc import DBAPIError
from ulid import ULID

from bankapi.billing import rates
from bankapi.billing.payers import ServiceStatus
from bankapi.evidence import exchanges
from bankapi.evidence.exchanges import Exchange, SignedRequest
from bankapi.operations.cancel_payment import CancelPayment, CancelReason, cancel_payment
from bankapi.operations.get_balance import GetBalance, get_balance
from bankapi.operations.register_payment import RegisterPayment, register_payment
from bankapi.operations.validate_payment import ValidatePayment, validate_payment
from bankapi.storage.columns import metadata
from tests.unit.conftest import START, Books, by_phone, rub

FACTS = sorted(table.name for table in metadata.tables.values() if table.info.get("append_only"))
KEPT_HERE = (
    "billing_transactions",
    "cancellations",
    "exchanges",
    "ledger_accounts",
    "misses",
    "payments",
    "postings",
    "rates",
    "service_changes",
    "validations",
)


@pytest.fixture
def history(books: Books) -> Books:
    """Books with at least one row in each of the tables above."""
    payment = RegisterPayment("R1", by_phone(2), rub("150"), START)
    books.call(validate_payment, ValidatePayment(by_phone(1), rub("10")))
    books.call(get_balance, GetBalance(by_phone(999)))
    books.call(register_payment, payment)
    books.call(cancel_payment, CancelPayment(rub("150"), CancelReason.OTHER, reference="R1"))
    books.store.write(lambda connection: rates.add_rate(connection, "EUR", "RUB", rub("90").to_decimal(), START))
    books.store.write(lambda connection: exchanges.append(connection, _exchange()))
    return books


def test_the_facts_are_the_tables_that_must_never_change() -> None:
    assert set(KEPT_HERE) <= set(FACTS)


@pytest.mark.parametrize("change", ["DELETE FROM {table}", "UPDATE {table} SET {column} = {column}"])
def test_every_fact_is_refused_a_change(history: Books, change: str) -> None:
    for name in FACTS:
        statement = change.format(table=name, column=metadata.tables[name].columns.keys()[1])
        if name not in KEPT_HERE and not _rows(history, name):
            continue
        with pytest.raises(DBAPIError, match=f"{name} is append-only"):
            history.store.write(lambda connection, statement=statement: connection.execute(text(statement)))
    assert all(_rows(history, name) for name in KEPT_HERE)


def test_no_fact_can_be_replaced(history: Books) -> None:
    """What an INSERT may do to the row it collides with: REPLACE deletes it, ON CONFLICT updates it."""
    is_sqlite = history.store.engine.dialect.name == "sqlite"
    for name in KEPT_HERE:
        table = metadata.tables[name]
        change = (
            f"INSERT OR REPLACE INTO {name} SELECT * FROM {name}"
            if is_sqlite
            else f"INSERT INTO {name} SELECT * FROM {name} ON CONFLICT ({_key(table)}) "
            f"DO UPDATE SET {table.columns.keys()[1]} = excluded.{table.columns.keys()[1]}"
        )
        with pytest.raises(DBAPIError, match=f"{name} is append-only"):
            history.store.write(lambda connection, change=change: connection.execute(text(change)))


def test_no_fact_can_be_truncated(history: Books) -> None:
    if history.store.engine.dialect.name == "sqlite":
        return  # it has no TRUNCATE
    for name in FACTS:
        with pytest.raises(DBAPIError, match="is append-only"):
            history.store.write(lambda connection, name=name: connection.execute(text(f"TRUNCATE {name} CASCADE")))


def test_what_is_not_a_fact_can_change(history: Books) -> None:
    changed = text("UPDATE accounts SET service_status = :status")
    status = {"status": ServiceStatus.BLOCKED}
    assert history.store.write(lambda connection: connection.execute(changed, status).rowcount) == 4


def _rows(books: Books, table: str) -> int:
    with books.store.read() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def _key(table: Table) -> str:
    return ", ".join(column.name for column in table.primary_key.columns)


def _exchange() -> Exchange:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    known: dict[str, Any] = {"operation": "Ping", "outcome": "OK", "rule": None, "terminal_id": 1}
    return Exchange(
        exchange_id=str(ULID()),
        received_at=now,
        answered_at=now,
        tls_fingerprint=b"1" * 32,
        signed=SignedRequest(b"2" * 32, now, b"3" * 32),
        request=b"<request/>",
        answer=b"<answer/>",
        **known,
    )
