"""Every number answers as the table says, on both databases, time after time, by whichever terminal."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from ulid import ULID

from bankapi.languages.texts import LANGUAGES, texts
from bankapi.refusals import Failure, FaultCode, ResultCode
from bankapi.sandbox.contract import PING_WORDS, RECEIPT_WORDS
from bankapi.sandbox.numbers import SLOW_S, Behaviour, number_of, table
from tests.unit.sandbox.conftest import Sandbox, about, cancelled, paid

OK = ResultCode.OK
TERMINALS = ("ATM-1", "TILL-1")
DECLINED = {
    Behaviour.UNKNOWN: ResultCode.PAYER_NOT_FOUND,
    Behaviour.BLOCKED: ResultCode.PAYER_BLOCKED,
    Behaviour.TERMINATED: ResultCode.SERVICE_TERMINATED,
    Behaviour.NO_RATE: ResultCode.CURRENCY_NOT_ACCEPTED,
    Behaviour.LIMIT: ResultCode.LIMIT_EXCEEDED,
    Behaviour.NO_FUNDS: ResultCode.DEALER_FUNDS_INSUFFICIENT,
}
NOT_CANCELLED = {
    Behaviour.WINDOW_CLOSED: ResultCode.CANCEL_WINDOW_CLOSED,
    Behaviour.USES_FUNDS: ResultCode.FUNDS_ALREADY_USED,
    Behaviour.CANCEL_NOT_ALLOWED: ResultCode.OPERATION_NOT_ALLOWED,
}
ONCE = (Behaviour.UNAVAILABLE, Behaviour.OVERLOADED, Behaviour.INTERNAL)
SHOWN = {
    Behaviour.UNKNOWN: ResultCode.PAYER_NOT_FOUND,
    Behaviour.LIMIT: ResultCode.LIMIT_EXCEEDED,
    Behaviour.NOT_ALLOWED: ResultCode.OPERATION_NOT_ALLOWED,
}


def reference() -> str:
    return str(ULID())


def tried_twice(sandbox: Sandbox, operation: str, fields: list[Any], terminal: str) -> Any:
    """What a caller gets who repeats the same request after a fault, as it is told to."""
    try:
        answered = sandbox.ask(operation, fields, terminal)
    except Failure:
        return sandbox.ask(operation, fields, terminal)
    if answered.code == ResultCode.TEMPORARILY_UNAVAILABLE:
        return sandbox.ask(operation, fields, terminal)
    return answered


def test_every_number_answers_as_it_is_published_again_and_again(sandbox: Sandbox) -> None:
    for terminal in (*TERMINALS, TERMINALS[0]):
        for line in table():
            number, behaviour = line.number, line.behaviour
            own = reference()
            expected = DECLINED.get(behaviour, OK)
            if behaviour is Behaviour.NOT_ALLOWED:
                expected = ResultCode.OPERATION_NOT_ALLOWED
            assert sandbox.ask("ValidatePayment", about(number), terminal).code == expected, behaviour
            registered = tried_twice(sandbox, "RegisterPayment", paid(own, number), terminal)
            assert (registered.code, registered.fields["replayed"]) == (expected, False), behaviour
            for question in ("GetBalance", "GetMiniStatement"):
                assert sandbox.ask(question, about(number)[:1], terminal).code == SHOWN.get(behaviour, OK), behaviour
            if expected is OK:
                gone = tried_twice(sandbox, "CancelPayment", cancelled(own), terminal)
                assert gone.code == NOT_CANCELLED.get(behaviour, OK), behaviour


@pytest.mark.parametrize("behaviour", DECLINED)
def test_a_decline_is_the_outcome_of_its_reference_for_ever(sandbox: Sandbox, behaviour: Behaviour) -> None:
    own, number = reference(), number_of(behaviour)
    first, again = (sandbox.ask("RegisterPayment", paid(own, number)) for _ in range(2))
    assert (first.code, first.fields["replayed"]) == (DECLINED[behaviour], False)
    assert (again.code, again.fields["replayed"]) == (DECLINED[behaviour], True)
    status = sandbox.ask("GetPaymentStatus", [("Reference", own)]).fields
    assert (status["status"], status["decline_code"]) == ("DECLINED", DECLINED[behaviour])
    assert sandbox.ask("RegisterPayment", paid(own, number, amount="7.00")).code == ResultCode.REFERENCE_CONFLICT


def test_what_is_not_allowed_decides_nothing(sandbox: Sandbox) -> None:
    own = reference()
    assert sandbox.ask("RegisterPayment", paid(own, number_of(Behaviour.NOT_ALLOWED))).code == "OPERATION_NOT_ALLOWED"
    assert sandbox.ask("GetPaymentStatus", [("Reference", own)]).fields["status"] == "NEVER_SEEN"
    assert sandbox.ask("RegisterPayment", paid(own, number_of(Behaviour.PAYS))).code == OK


@pytest.mark.parametrize("kind", ["Msisdn", "AccountNumber", "CustomerNumber"])
def test_a_number_is_the_same_payer_by_every_name(sandbox: Sandbox, kind: str) -> None:
    for behaviour in (Behaviour.LIMIT, Behaviour.NO_FUNDS, Behaviour.BLOCKED):
        asked = paid(reference(), number_of(behaviour), kind=kind)
        assert sandbox.ask("RegisterPayment", asked).code == DECLINED[behaviour]
    own = reference()
    assert sandbox.ask("RegisterPayment", paid(own, number_of(Behaviour.USES_FUNDS), kind=kind)).code == OK
    assert sandbox.ask("CancelPayment", cancelled(own)).code == ResultCode.FUNDS_ALREADY_USED


def test_a_debt_that_remains_is_paid_by_account_number_and_remains(sandbox: Sandbox) -> None:
    for _ in range(3):
        asked = paid(reference(), number_of(Behaviour.TERMINATED), kind="AccountNumber", amount="15000.00")
        assert sandbox.ask("RegisterPayment", asked).code == OK
        shown = sandbox.ask("GetBalance", about(number_of(Behaviour.SUSPENDED))[:1]).fields
        assert shown["service_status"] == "SUSPENDED"
        assert sandbox.ask("RegisterPayment", paid(reference(), number_of(Behaviour.SUSPENDED))).code == OK


def test_used_money_leaves_the_balance_where_it_was(sandbox: Sandbox) -> None:
    payer = about(number_of(Behaviour.USES_FUNDS))[:1]
    own = reference()
    for _ in range(2):  # the second one is a repetition, for which nothing is used
        assert sandbox.ask("RegisterPayment", paid(own, number_of(Behaviour.USES_FUNDS), amount="12.34")).code == OK
        assert sandbox.ask("GetBalance", payer).fields["balance"]["amount"] == "0.00"
    lines = sandbox.ask("GetMiniStatement", payer).fields["transactions"][:2]
    assert [(line["kind"], line["amount"]["amount"]) for line in lines] == [("CHARGE", "-12.34"), ("PAYMENT", "12.34")]


@pytest.mark.parametrize("behaviour", ONCE)
@pytest.mark.parametrize("operation", ["RegisterPayment", "CancelPayment"])
def test_what_fails_once_fails_once_per_reference_and_decides_nothing(
    sandbox: Sandbox, behaviour: Behaviour, operation: str
) -> None:
    for _ in range(2):
        own = reference()
        fields = paid(own, number_of(behaviour))
        if operation == "CancelPayment":
            tried_twice(sandbox, "RegisterPayment", fields, "ATM-1")
            fields = cancelled(own)
        if behaviour is Behaviour.UNAVAILABLE:
            first = sandbox.ask(operation, fields)
            assert (first.code, first.fields["retry"]) == ("TEMPORARILY_UNAVAILABLE", "SAME_REFERENCE")
        else:
            with pytest.raises(Failure) as failed:
                sandbox.ask(operation, fields)
            assert failed.value.code == FaultCode(behaviour.name)
        status = sandbox.ask("GetPaymentStatus", [("Reference", own)]).fields["status"]
        assert status == ("REGISTERED" if operation == "CancelPayment" else "NEVER_SEEN")
        second, third = (sandbox.ask(operation, fields) for _ in range(2))
        assert [(each.code, each.fields["replayed"]) for each in (second, third)] == [(OK, False), (OK, True)]


def test_of_many_first_tries_at_once_one_fails(sandbox: Sandbox) -> None:
    fields = paid(reference(), number_of(Behaviour.UNAVAILABLE))
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: sandbox.ask("RegisterPayment", fields), range(6)))
    outcomes = Counter((each.code, each.fields["replayed"]) for each in answers)
    assert outcomes == {("TEMPORARILY_UNAVAILABLE", False): 1, ("OK", False): 1, ("OK", True): 4}


def test_another_dealers_reference_fails_anew(sandbox: Sandbox) -> None:
    fields = paid(reference(), number_of(Behaviour.UNAVAILABLE))
    codes = [sandbox.ask("RegisterPayment", fields, terminal).code for terminal in (*TERMINALS, *TERMINALS)]
    assert codes == ["TEMPORARILY_UNAVAILABLE", "TEMPORARILY_UNAVAILABLE", OK, OK]


def test_the_first_answer_of_a_decision_is_lost_and_its_repetition_is_not(sandbox: Sandbox) -> None:
    own = reference()
    for operation, fields in (
        ("RegisterPayment", paid(own, number_of(Behaviour.LOST))),
        ("CancelPayment", cancelled(own)),
    ):
        first, again = (sandbox.ask(operation, fields) for _ in range(2))
        assert [each.aftermath.is_lost for each in (first, again)] == [True, False]
        assert (again.code, again.fields["replayed"]) == (OK, True)
    assert not sandbox.ask("ValidatePayment", about(number_of(Behaviour.LOST))).aftermath.is_lost


def test_slow_answers_are_late_and_have_bounded_room(sandbox: Sandbox) -> None:
    own, number = reference(), number_of(Behaviour.SLOW)
    for operation, fields in (
        ("ValidatePayment", about(number)),
        ("RegisterPayment", paid(own, number)),
        ("GetBalance", about(number)[:1]),
        ("CancelPayment", cancelled(own)),
    ):
        assert sandbox.ask(operation, fields).aftermath.late_s == SLOW_S
    other = reference()
    with pytest.raises(Failure) as failed:
        replace(sandbox, room=0).ask("RegisterPayment", paid(other, number))
    assert failed.value.code is FaultCode.OVERLOADED
    assert sandbox.ask("GetPaymentStatus", [("Reference", other)]).fields["status"] == "NEVER_SEEN"
    assert sandbox.ask("ValidatePayment", about(number_of(Behaviour.PAYS))).aftermath.late_s == 0


def test_codes_that_need_no_number_come_from_amounts_and_currencies(sandbox: Sandbox) -> None:
    number = number_of(Behaviour.PAYS)
    for amount, currency, code in (
        ("0.99", "RUB", "AMOUNT_TOO_SMALL"),
        ("15000.01", "RUB", "AMOUNT_TOO_LARGE"),
        ("10.00", "CHF", "CURRENCY_NOT_ACCEPTED"),
    ):
        assert sandbox.ask("RegisterPayment", paid(reference(), number, amount=amount, currency=currency)).code == code


def test_asking_for_unknown_numbers_changes_no_other_answer(sandbox: Sandbox) -> None:
    for _ in range(40):  # more than an agreement allows
        assert sandbox.ask("GetBalance", about(number_of(Behaviour.UNKNOWN))[:1]).code == "PAYER_NOT_FOUND"
    assert sandbox.ask("GetBalance", about(number_of(Behaviour.PAYS))[:1]).code == OK


@pytest.mark.parametrize("language", LANGUAGES)
def test_receipts_and_ping_say_what_they_are(sandbox: Sandbox, language: str) -> None:
    if sandbox.store.engine.dialect.name != "sqlite":
        return  # words know no database
    own = reference()
    for _ in range(2):
        receipt = sandbox.ask("RegisterPayment", paid(own, number_of(Behaviour.PAYS)), language=language)
        assert receipt.fields["receipt_lines"][0] == texts(language).gettext(RECEIPT_WORDS)
        assert receipt.fields["receipt_lines"][1] == "BANK ATM-1"
    assert sandbox.ask("Ping", [], language=language).fields["message"] == texts(language).gettext(PING_WORDS)


@pytest.mark.slow
def test_ten_thousand_of_the_largest_payments_change_nothing(sandbox: Sandbox) -> None:
    """By the dealer that pays ahead; numbers whose state could drift in another way get some, too."""
    share = 1 if sandbox.store.engine.dialect.name == "sqlite" else 10  # the same sums, and slower
    for behaviour, payments in ((Behaviour.PAYS, 10_000), (Behaviour.SUSPENDED, 500), (Behaviour.USES_FUNDS, 500)):
        for _ in range(payments // share):
            asked = paid(reference(), number_of(behaviour), amount="15000.00")
            assert sandbox.ask("RegisterPayment", asked, "TILL-1").code == OK
    test_every_number_answers_as_it_is_published_again_and_again(sandbox)
