"""A sandbox's database with two dealers, of each kind, and requests to it as the gateway hands them over."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from ulid import ULID

from bankapi import clock
from bankapi.billing import ledger, rates, terminals
from bankapi.billing.terminals import Scheme
from bankapi.cli.documents import Amount, Fields, answer_fields, request_element
from bankapi.operations.call import Call
from bankapi.sandbox import accounts, installation, tries
from bankapi.sandbox.contract import Aftermath, SandboxContract
from bankapi.storage import schema
from bankapi.storage.engine import Store
from tests.postgres import Postgres, postgres  # noqa: F401


@dataclass(frozen=True)
class Answered:
    """What a request came to, and what remains to be done about it."""

    fields: dict[str, Any]
    element: etree._Element
    aftermath: Aftermath

    @property
    def code(self) -> str:
        return str(self.fields["code"])


@dataclass
class Sandbox:
    """A sandbox's database, asked without signatures and HTTP."""

    store: Store
    room: int = 1
    """How many answers may be held back."""

    def ask(self, operation: str, fields: Fields, terminal: str = "ATM-1", language: str = "en") -> Answered:
        """One request in a transaction of its own, by a contract of its own: no two share anything but the database."""
        contract = SandboxContract(lambda: self.room > 0)

        def perform(connection: Any) -> dict[str, Any]:
            known = terminals.find_terminal(connection, terminal)
            assert known is not None
            call = Call(connection, known, datetime.now(UTC), language, str(ULID()))
            return {"done": contract.dispatch(request_element(operation, fields), call)}

        try:
            done = self.store.write(perform)["done"]
        finally:
            failed = contract.aftermath.failed
            if failed is not None:
                self.store.write(lambda connection: tries.record(connection, failed, datetime.now(UTC)))
        fields_of_answer = answer_fields(done.answer)
        assert fields_of_answer["code"] == done.result
        return Answered(fields_of_answer, done.answer, contract.aftermath)

    def assert_sound(self) -> None:
        with self.store.read() as connection:
            assert set(ledger.trial_balance(connection).values()) <= {0}
            assert ledger.balances_that_differ(connection) == []


def about(number: str, kind: str = "Msisdn", amount: str = "100.00", currency: str = "RUB") -> list[Any]:
    return [("Payer", [(kind, number)]), ("Amount", Amount(amount, currency))]


def paid(reference: str, number: str, **how: str) -> list[Any]:
    return [("Reference", reference), *about(number, **how), ("PaidAt", "2026-03-01T12:00:00+03:00")]


def cancelled(reference: str, amount: str = "100.00", currency: str = "RUB") -> list[Any]:
    return [("Reference", reference), ("Amount", Amount(amount, currency)), ("Reason", "TIMEOUT")]


@contextmanager
def sandbox_url(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """A database that was made a sandbox's a moment ago."""
    if kind == "sqlite":
        url = f"sqlite:///{folder / 'sandbox.db'}"
        store = Store(url)
        schema.create(store)
        installation.mark(store, clock.utc_now())
        store.close()
        yield url
        return
    with request.getfixturevalue("postgres").database() as url:
        store = Store(url)
        installation.mark(store, clock.utc_now())
        store.close()
        yield url


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def sandbox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One for all tests: nothing that is asked of it changes what it answers."""
    with sandbox_url(request.param, request, tmp_path_factory.mktemp("sandbox")) as url:
        store = Store(url)

        def add(connection: Any) -> None:
            for dealer, scheme, terminal in (
                ("BANK", Scheme.CREDIT_ADJUSTMENT, "ATM-1"),
                ("SHOP", Scheme.DEBIT_ADJUSTMENT, "TILL-1"),
            ):
                dealer_id = terminals.add_dealer(
                    connection,
                    name=dealer,
                    scheme=scheme,
                    time_zone="Europe/Moscow",
                    language="en",
                    currencies=accounts.CURRENCIES,
                )
                terminals.add_terminal(connection, dealer_id=dealer_id, name=terminal)
            rates.add_rate(connection, "EUR", "RUB", Decimal("90.25"), clock.utc_now())
            accounts.add(connection, ["SHOP"], clock.utc_now())

        store.write(add)
        made = Sandbox(store)
        yield made
        made.assert_sound()
        store.close()
