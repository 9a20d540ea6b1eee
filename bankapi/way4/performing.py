"""A request of Way4 at the operations, and what comes of it. The operations are those that SOAP calls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from lxml import etree

from bankapi.billing import payments
from bankapi.billing.payers import PayerKey
from bankapi.billing.payments import Payment
from bankapi.evidence.claims import Answered, Asked
from bankapi.operations.call import Call
from bankapi.operations.cancel_payment import CancelPayment, CancelReason, PaymentCancellation, cancel_payment
from bankapi.operations.get_balance import GetBalance, get_balance
from bankapi.operations.get_mini_statement import GetMiniStatement, get_mini_statement
from bankapi.operations.get_payment_status import GetPaymentStatus, PaymentState, get_payment_status
from bankapi.operations.register_payment import RegisterPayment, register_payment
from bankapi.operations.validate_payment import ValidatePayment, validate_payment
from bankapi.refusals import Failure, FaultCode, ResultCode
from bankapi.way4 import showing
from bankapi.way4.configuration import Operation
from bankapi.way4.reading import UfxRequest

CANCEL_REASON: Final = CancelReason.OTHER
"""UFX as public code shows it has no place for a reason."""
_SHOWN: Final = {
    PaymentState.NEVER_SEEN: ResultCode.PAYMENT_NOT_FOUND,
    PaymentState.REGISTERED: ResultCode.OK,
    PaymentState.CANCELLED: ResultCode.ALREADY_CANCELLED,
    PaymentState.VOIDED: ResultCode.REFERENCE_VOIDED,
}
"""What a question for a payment answers: only a payment that stands is a success. A decline shows its reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What an operation came to: the outcome for the journal, the code to show, and what the answer adds."""

    result: ResultCode
    shown: ResultCode
    is_posted: bool = False
    """Whether a payment stands because of this request, or stood before it."""
    validation_id: str | None = None
    data: tuple[etree._Element, ...] = ()
    """What goes into DataRs."""
    answered: Mapping[str, Any]
    """The facts that the receipt tells of the answer, as `Answered` names them."""

    @property
    def payment_id(self) -> str | None:
        return self.answered.get("payment_id")


def perform(call: Call, asked: UfxRequest, zone: ZoneInfo) -> Done:
    """Call the operation, if the terminal may. `zone` is that of the request's local times."""
    if not call.terminal.may_call(asked.operation):
        return _done(ResultCode.OPERATION_NOT_ALLOWED)
    match asked.operation:
        case Operation.REGISTER:
            return _register(call, asked, zone)
        case Operation.STATEMENT:
            return _statement(call, asked, zone)
        case operation:
            return _PERFORMED[operation](call, asked)


def claim_of_request(asked: UfxRequest, zone: ZoneInfo) -> Asked:
    """How the request was understood, as the receipt tells it."""
    return Asked(
        operation=asked.operation,
        reference=asked.reference,
        reference_before=asked.references[1] if len(asked.references) > 1 else None,
        payment_id=None,
        payer=None if asked.payer is None else (asked.payer.kind, asked.payer.value),
        amount=asked.amount,
        fee=asked.fee,
        paid_at=_paid_at(asked, zone) if asked.operation is Operation.REGISTER else None,
        reason=CANCEL_REASON if asked.operation is Operation.CANCEL else None,
        texts={
            "validation_id": asked.validation_id,
            "card_bin": asked.card_bin,
            "card_last_four": asked.card_last_four,
            "rrn": asked.rrn,
            "authorization_code": asked.authorization_code,
        },
    )


def claim_of_answer(code: str, is_fault: bool, facts: Mapping[str, Any], exchange_id: str, digest: bytes) -> Answered:
    """What was answered, as the receipt tells it."""
    known: dict[str, Any] = dict.fromkeys(
        ("replayed", "status", "payment_id", "registered_at", "cancelled_at", "credited", "rate")
    )
    known |= facts
    return Answered(
        code=code, is_fault=is_fault, exchange_id=exchange_id, request_digest=digest, checkpoint=None, **known
    )


def _validate(call: Call, asked: UfxRequest) -> Done:
    assert asked.amount is not None
    answer = validate_payment(call, ValidatePayment(_payer(asked), asked.amount))
    if answer.service_status is None:
        return _done(answer.result)
    currency = (answer.credited or asked.amount).currency
    return _done(
        answer.result,
        validation_id=answer.validation_id,
        data=(showing.contract(currency, answer.service_status, name=answer.payer_name),),
        credited=answer.credited,
        rate=answer.rate,
    )


def _register(call: Call, asked: UfxRequest, zone: ZoneInfo) -> Done:
    assert asked.reference is not None
    assert asked.amount is not None
    answer = register_payment(
        call,
        RegisterPayment(
            reference=asked.reference,
            payer=_payer(asked),
            amount=asked.amount,
            paid_at=_paid_at(asked, zone),
            validation_id=asked.validation_id,
            card_bin=asked.card_bin,
            card_last_four=asked.card_last_four,
            rrn=asked.rrn,
            authorization_code=asked.authorization_code,
            fee=asked.fee,
        ),
    )
    return _done(
        answer.result,
        is_posted=answer.result is ResultCode.OK,
        replayed=answer.replayed,
        payment_id=answer.payment_id,
        registered_at=_milliseconds(answer.registered_at),
        credited=answer.credited,
        rate=answer.rate,
    )


def _cancel(call: Call, asked: UfxRequest) -> Done:
    """Cancel the payment of the reversal's own day or of the day before; settle both references when there is none.

    Were only one of them settled, the payment could still come, dated the other day, after its reversal.
    """
    known = [payment for payment in _found(call, asked) if payment is not None]
    if known:
        meant = next((each for each in known if _is_meant(each, asked)), known[0])
        answer = cancel_payment(call, _cancellation(asked, meant.reference))
    else:
        answers = [cancel_payment(call, _cancellation(asked, reference)) for reference in asked.references]
        answer = answers[0]
        if any(each.state is not PaymentState.VOIDED for each in answers):
            # The payment came between the look and the settling: nothing is decided, and the repetition finds it.
            raise Failure(FaultCode.OVERLOADED, "a reversal and its payment at once")
    return _cancelled(answer)


def _cancelled(answer: PaymentCancellation) -> Done:
    return _done(
        answer.result,
        replayed=answer.replayed,
        status=answer.state,
        payment_id=answer.payment_id,
        cancelled_at=_milliseconds(answer.cancelled_at),
    )


def _status(call: Call, asked: UfxRequest) -> Done:
    known = [payment.reference for payment in _found(call, asked) if payment is not None]
    answer = get_payment_status(call, GetPaymentStatus(reference=known[0] if known else asked.reference))
    shown = answer.decline_code or _SHOWN[answer.state]
    return _done(
        answer.result,
        shown=shown,
        is_posted=answer.state is PaymentState.REGISTERED,
        status=answer.state,
        payment_id=answer.payment_id,
        registered_at=_milliseconds(answer.registered_at),
        cancelled_at=_milliseconds(answer.cancelled_at),
    )


def _balance(call: Call, asked: UfxRequest) -> Done:
    answer = get_balance(call, GetBalance(_payer(asked)))
    if answer.balance is None or answer.service_status is None:
        return _done(answer.result)
    balances = {
        "AVAILABLE": answer.available,
        "BALANCE": answer.balance,
        "CREDIT_LIMIT": answer.credit_limit,
        "DUE": answer.due,
    }
    return _done(
        answer.result, data=(showing.contract(answer.balance.currency, answer.service_status, balances=balances),)
    )


def _statement(call: Call, asked: UfxRequest, zone: ZoneInfo) -> Done:
    answer = get_mini_statement(call, GetMiniStatement(_payer(asked)))
    if answer.balance is None:
        return _done(answer.result)
    return _done(answer.result, data=(showing.statement(answer.balance, answer.lines, asked.statement, zone),))


_PERFORMED: Final[Mapping[Operation, Callable[[Call, UfxRequest], Done]]] = {
    Operation.VALIDATE: _validate,
    Operation.CANCEL: _cancel,
    Operation.STATUS: _status,
    Operation.BALANCE: _balance,
}


def _done(
    result: ResultCode,
    *,
    shown: ResultCode | None = None,
    is_posted: bool = False,
    validation_id: str | None = None,
    data: tuple[etree._Element, ...] = (),
    **facts: Any,
) -> Done:
    return Done(
        result=result,
        shown=shown or result,
        is_posted=is_posted,
        validation_id=validation_id,
        data=data,
        answered=facts,
    )


def _found(call: Call, asked: UfxRequest) -> list[Payment | None]:
    dealer_id = call.terminal.dealer_id
    return [payments.find_by_reference(call.connection, dealer_id, reference) for reference in asked.references]


def _is_meant(payment: Payment, asked: UfxRequest) -> bool:
    """Numbers that begin anew every day make two payments of one: the amount and the payer tell them apart."""
    return payment.amount == asked.amount and (asked.payer is None or payment.payer == asked.payer.value)


def _cancellation(asked: UfxRequest, reference: str) -> CancelPayment:
    assert asked.amount is not None
    return CancelPayment(amount=asked.amount, reason=CANCEL_REASON, reference=reference)


def _payer(asked: UfxRequest) -> PayerKey:
    assert asked.payer is not None
    return asked.payer


def _paid_at(asked: UfxRequest, zone: ZoneInfo) -> datetime:
    """The instant of the local time; of an hour that a clock shows twice in autumn it is the first."""
    assert asked.local_at is not None
    return asked.local_at.replace(tzinfo=zone).astimezone(UTC)


def _milliseconds(at: datetime | None) -> datetime | None:
    """As the contract writes it, over SOAP and so here."""
    return None if at is None else at.replace(microsecond=at.microsecond // 1000 * 1000)
