"""GetPaymentStatus: what became of a reference or payment, after a lost answer."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bankapi.billing import payments
from bankapi.billing.money import Money
from bankapi.billing.payments import Disposition, Payment
from bankapi.operations.call import Call
from bankapi.refusals import ResultCode


class PaymentState(StrEnum):
    """What became of a reference."""

    NEVER_SEEN = "NEVER_SEEN"
    REGISTERED = "REGISTERED"
    DECLINED = "DECLINED"
    CANCELLED = "CANCELLED"
    VOIDED = "VOIDED"


@dataclass(frozen=True, slots=True)
class GetPaymentStatus:
    """The question: exactly one of the two is given."""

    reference: str | None = None
    payment_id: str | None = None


@dataclass(frozen=True, slots=True)
class PaymentStatus:
    """The answer. `decline_code` is why a DECLINED payment was refused."""

    result: ResultCode
    state: PaymentState
    reference: str | None = None
    payment_id: str | None = None
    amount: Money | None = None
    registered_at: datetime | None = None
    declined_at: datetime | None = None
    decline_code: ResultCode | None = None
    cancelled_at: datetime | None = None
    voided_at: datetime | None = None


def get_payment_status(call: Call, asked: GetPaymentStatus) -> PaymentStatus:
    """A dealer sees its own payments only; another dealer's are NEVER_SEEN for it."""
    dealer_id = call.terminal.dealer_id
    if asked.reference is not None:
        payment = payments.find_by_reference(call.connection, dealer_id, asked.reference)
    else:
        assert asked.payment_id is not None
        payment = payments.find_by_id(call.connection, dealer_id, asked.payment_id)
    if payment is None:
        return PaymentStatus(
            ResultCode.OK, PaymentState.NEVER_SEEN, reference=asked.reference, payment_id=asked.payment_id
        )
    return _status(payment)


def _status(payment: Payment) -> PaymentStatus:
    if payment.disposition is Disposition.VOIDED:
        return PaymentStatus(
            ResultCode.OK, PaymentState.VOIDED, reference=payment.reference, voided_at=payment.decided_at
        )
    if payment.disposition is Disposition.DECLINED:
        return PaymentStatus(
            ResultCode.OK,
            PaymentState.DECLINED,
            reference=payment.reference,
            amount=payment.amount,
            declined_at=payment.decided_at,
            decline_code=payment.result,
        )
    return PaymentStatus(
        ResultCode.OK,
        PaymentState.REGISTERED if payment.cancelled_at is None else PaymentState.CANCELLED,
        reference=payment.reference,
        payment_id=payment.id,
        amount=payment.amount,
        registered_at=payment.decided_at,
        cancelled_at=payment.cancelled_at,
    )
