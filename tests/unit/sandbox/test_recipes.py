"""What the table says of codes that need no number, done step by step."""

from datetime import UTC, datetime, timedelta
from typing import Any

from ulid import ULID

from bankapi.cli.documents import Amount
from bankapi.sandbox.numbers import Behaviour, number_of, recipes
from tests.unit.sandbox.conftest import Sandbox, cancelled, paid

PAYS = number_of(Behaviour.PAYS)
TODAY = datetime.now(UTC).date()


def register(reference: str, day: str, amount: str, hash_total: str) -> list[Any]:
    row = [("Reference", "ROW"), ("Status", "REGISTERED"), ("Amount", Amount(amount, "RUB"))]
    return [
        ("RegisterReference", reference),
        ("BusinessDay", day),
        ("RowCount", "1"),
        ("HashTotal", hash_total),
        ("Part", "1"),
        ("Parts", "1"),
        ("Row", row),
    ]


def test_every_recipe_gives_its_code(sandbox: Sandbox) -> None:
    codes = []

    def ask(operation: str, fields: list[Any]) -> dict[str, Any]:
        answered = sandbox.ask(operation, fields)
        codes.append(answered.code)
        return answered.fields

    def new() -> str:
        return str(ULID())

    yesterday, tomorrow = (str(TODAY + timedelta(days=days)) for days in (-2, 2))
    ask("RegisterPayment", paid(new(), PAYS, amount="0.99"))
    ask("RegisterPayment", paid(new(), PAYS, amount="15000.01"))
    ask("RegisterPayment", paid(new(), PAYS, currency="CHF"))
    own, voided = new(), new()
    ask("RegisterPayment", paid(own, PAYS))
    ask("RegisterPayment", paid(own, PAYS, amount="99.00"))
    ask("CancelPayment", cancelled(voided))
    ask("RegisterPayment", paid(voided, PAYS))
    ask("CancelPayment", cancelled(own, amount="99.00"))
    ask("CancelPayment", cancelled(own))
    ask("RegisterPayment", paid(own, PAYS))
    ask("CancelPayment", [("PaymentId", "01ARZ3NDEKTSV4RRFFQ69G5FAV"), *cancelled("-")[1:]])
    ask("GetTransactionReport", [("From", tomorrow), ("To", yesterday)])
    page = ask("GetTransactionReport", [("From", yesterday), ("To", tomorrow), ("PageSize", "1")])
    other = [("From", str(TODAY)), ("To", tomorrow), ("PageSize", "1"), ("Cursor", page["next_cursor"])]
    ask("GetTransactionReport", other)
    ask("SubmitRegister", register(new(), tomorrow, "1.00", "1.00"))
    ask("GetReconciliation", [("RegisterReference", new())])
    sent = new()
    ask("SubmitRegister", register(sent, yesterday, "1.00", "1.00"))
    ask("SubmitRegister", register(sent, yesterday, "2.00", "2.00"))
    ask("SubmitRegister", register(new(), yesterday, "1.00", "7.00"))
    assert {code for code in codes if code != "OK"} == {code for code, _ in recipes()}
