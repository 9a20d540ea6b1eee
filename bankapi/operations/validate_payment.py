"""ValidatePayment: is this payer payable with this amount, and what would be credited?"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, ServiceStatus
from bankapi.operations.call import Call
from bankapi.refusals import ResultCode


@dataclass(frozen=True, slots=True)
class ValidatePayment:
    """The question. `amount` is what the payer hands over, in the payment's currency."""

    payer: PayerKey
    amount: Money


@dataclass(frozen=True, slots=True)
class PaymentValidation:
    """The answer; everything after `result` is None where it is unknown or not the caller's to see."""

    result: ResultCode
    validation_id: str | None = None
    valid_until: datetime | None = None
    payer_name: str | None = None
    service_status: ServiceStatus | None = None
    amount_min: Money | None = None
    amount_max: Money | None = None
    fee: Money | None = None
    credited: Money | None = None
    rate: Decimal | None = None


def validate_payment(call: Call, asked: ValidatePayment) -> PaymentValidation:
    raise NotImplementedError
