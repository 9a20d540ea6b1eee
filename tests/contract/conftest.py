"""What the contract tests share: the compiled XSD, a call that needs no database, and good messages."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest
import xmlschema
from lxml import etree
from sqlalchemy import Connection

from bankapi.billing.terminals import CancelRule, Scheme, Terminal
from bankapi.contract import publication
from bankapi.contract.application import Contract
from bankapi.operations.call import Call

NOW = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@pytest.fixture(scope="session")
def schema_file() -> str:
    return str(publication.published_paths()[publication.SCHEMA_FILE])


@pytest.fixture(scope="session")
def libxml2(schema_file: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(schema_file, etree.XMLParser(no_network=True)))


@pytest.fixture(scope="session")
def pure_python(schema_file: str) -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(schema_file)


@pytest.fixture(scope="session")
def contract() -> Contract:
    return Contract()


@pytest.fixture
def call() -> Call:
    terminal = Terminal(
        id=1,
        name="ATM-0001",
        dealer_id=1,
        dealer_name="DEMO-BANK",
        scheme=Scheme.CREDIT_ADJUSTMENT,
        time_zone="Europe/Moscow",
        language=None,
        dealer_language="en",
        names_unmasked=False,
        overdraft_minor=0,
        currencies=frozenset({"RUB"}),
        cancel_rule=CancelRule.ALWAYS,
        cancel_minutes=0,
        misses_max=30,
        operations=None,
        closed_through_on=None,
    )
    return Call(cast(Connection, None), terminal, NOW, "en", ULID)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str, Any], list[Any]]:
    """Put an operation that answers (or raises) what it is told in place of a module's; returns what it is asked."""

    def put(module: Any, function: str, answer: Any) -> list[Any]:
        seen: list[Any] = []

        def operation(_: Call, question: Any = None) -> Any:
            seen.append(question)
            if isinstance(answer, BaseException):
                raise answer
            return answer

        monkeypatch.setattr(module, function, operation)
        return seen

    return put


def element(operation: str, content: str = "") -> etree._Element:
    """A request element, as it stands in a Body."""
    return etree.fromstring(f'<b:{operation}Request xmlns:b="urn:bankapi:v1">{content}</b:{operation}Request>')


def children(**members: Any) -> str:
    """Elements of the contract in the given order; a value is text, (text, currency) or ready-made markup."""
    written = []
    for name, value in members.items():
        if isinstance(value, tuple):
            written.append(f'<b:{name} currency="{value[1]}">{value[0]}</b:{name}>')
        else:
            written.append(f"<b:{name}>{value}</b:{name}>")
    return "".join(written)


def text(answer: etree._Element, path: str) -> str | None:
    return answer.findtext("/".join(f"{{urn:bankapi:v1}}{name}" for name in path.split("/")))


def payer(**identifier: str) -> str:
    return children(**identifier or {"Msisdn": "79160000001"})


def cancellation(**changes: Any) -> etree._Element:
    """A good CancelPaymentRequest by reference; None takes a member away."""
    members: dict[str, Any] = {"Reference": "R-1", "Amount": ("100.00", "RUB"), "Reason": "TIMEOUT"}
    if "PaymentId" in changes:
        members = {"PaymentId": None} | members
    members |= changes
    return element("CancelPayment", children(**{name: value for name, value in members.items() if value is not None}))


def registration(**changes: Any) -> etree._Element:
    """A good RegisterPaymentRequest with every member; None takes a member away."""
    members: dict[str, Any] = {
        "Language": "ru",
        "Reference": "ATM-0001/20261123/1",
        "Payer": payer(),
        "Amount": ("100.00", "RUB"),
        "PaidAt": "2026-11-23T15:00:00.5+03:00",
        "ValidationId": ULID,
        "CardBin": "220012",
        "CardLastFour": "1234",
        "Rrn": "123456789012",
        "AuthorizationCode": "A1B2C3",
        "Fee": ("0.00", "RUB"),
    }
    members |= changes
    return element("RegisterPayment", children(**{name: value for name, value in members.items() if value is not None}))
