"""GetPaymentStatus: what became of a reference or payment, after a lost answer."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bankapi.billing.money import Money
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
    raise NotImplementedError
