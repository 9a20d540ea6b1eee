from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from bankapi.billing.payers import PayerKey, PayerKind
from bankapi.operations.get_payment_status import GetPaymentStatus, PaymentState, get_payment_status
from bankapi.operations.register_payment import RegisterPayment, register_payment
from bankapi.refusals import ResultCode
from tests.unit.conftest import START, Books, by_phone, rub

ASKED = RegisterPayment("R1", by_phone(1), rub("100"), START)


def test_a_payment_is_credited_once_however_often_it_is_sent(books: Books) -> None:
    first = books.call(register_payment, ASKED)
    assert (first.result, first.replayed, first.credited) == (ResultCode.OK, False, rub("100"))
    for again in (books.call(register_payment, ASKED), books.call(register_payment, ASKED, "ATM-2")):
        assert replace(again, replayed=False, receipt_lines=first.receipt_lines) == first
        assert again.replayed
    assert books.balance(by_phone(1)) == rub("100")


@pytest.mark.parametrize("other", [{"amount": rub("100.01")}, {"payer": by_phone(2)}])
def test_other_content_under_a_used_reference_is_a_conflict_and_changes_nothing(
    books: Books, other: dict[str, object]
) -> None:
    books.call(register_payment, ASKED)
    assert books.call(register_payment, replace(ASKED, **other)).result is ResultCode.REFERENCE_CONFLICT
    assert books.balance(by_phone(1)) == rub("100")
    assert books.call(register_payment, ASKED).result is ResultCode.OK


def test_two_dealers_may_use_the_same_reference(books: Books) -> None:
    assert not books.call(register_payment, ASKED, "ATM-1").replayed
    assert not books.call(register_payment, ASKED, "TILL-1").replayed
    assert books.balance(by_phone(1)) == rub("200")


def test_a_decline_is_final_for_its_reference_and_seen_in_the_status(books: Books) -> None:
    blocked = replace(ASKED, payer=by_phone(3))
    assert books.call(register_payment, blocked).result is ResultCode.PAYER_BLOCKED
    again = books.call(register_payment, blocked)
    assert (again.result, again.replayed, again.payment_id) == (ResultCode.PAYER_BLOCKED, True, None)
    status = books.call(get_payment_status, GetPaymentStatus(reference="R1"))
    assert (status.state, status.decline_code) == (PaymentState.DECLINED, ResultCode.PAYER_BLOCKED)


@pytest.mark.parametrize(
    ("payer", "amount", "result"),
    [
        (by_phone(9), "100", ResultCode.PAYER_NOT_FOUND),
        (by_phone(3), "0.01", ResultCode.PAYER_BLOCKED),
        (by_phone(4), "100", ResultCode.SERVICE_TERMINATED),
        (by_phone(2), "100", ResultCode.OK),
        (PayerKey(PayerKind.ACCOUNT_NUMBER, "A4"), "50", ResultCode.OK),
        (PayerKey(PayerKind.CUSTOMER_NUMBER, "C1"), "100", ResultCode.OK),
        (by_phone(1), "0.99", ResultCode.AMOUNT_TOO_SMALL),
        (by_phone(1), "15000.01", ResultCode.AMOUNT_TOO_LARGE),
    ],
)
def test_who_and_how_much_decide_in_a_fixed_order(
    books: Books, payer: PayerKey, amount: str, result: ResultCode
) -> None:
    assert books.call(register_payment, replace(ASKED, payer=payer, amount=rub(amount))).result is result


def test_a_deposit_is_never_overdrawn(books: Books) -> None:
    results = [
        books.call(register_payment, replace(ASKED, reference=f"R{n}", amount=rub("200")), "TILL-1").result
        for n in range(3)
    ]
    assert results == [ResultCode.OK, ResultCode.OK, ResultCode.DEALER_FUNDS_INSUFFICIENT]


def test_a_dealer_does_not_see_another_dealers_payment(books: Books) -> None:
    payment = books.call(register_payment, ASKED)
    for asked in (GetPaymentStatus(reference="R1"), GetPaymentStatus(payment_id=payment.payment_id)):
        assert books.call(get_payment_status, asked, "TILL-1").state is PaymentState.NEVER_SEEN
        assert books.call(get_payment_status, asked, "ATM-2").state is PaymentState.REGISTERED


def test_concurrent_twins_register_once(books: Books) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: books.call(register_payment, ASKED), range(32)))
    assert {answer.payment_id for answer in answers} == {answers[0].payment_id}
    assert sum(not answer.replayed for answer in answers) == 1
    assert books.balance(by_phone(1)) == rub("100")
