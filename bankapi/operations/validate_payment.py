"""ValidatePayment: is this payer payable with this amount, and what would be credited?"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from bankapi.billing import customers, payments
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, ServiceStatus
from bankapi.operations.call import Call
from bankapi.operations.checked_payer import checked_payer
from bankapi.operations.payable import payable
from bankapi.refusals import ResultCode

VALIDATION_LIFE: Final = timedelta(minutes=10)
"""How long the rate of a validation is promised; everything else is checked again at registration."""


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
    """Answer without booking anything. The name is masked unless the dealer's agreement says otherwise."""
    account = checked_payer(call, asked.payer)
    if isinstance(account, ResultCode):
        return PaymentValidation(account)
    verdict = payable(call, asked.payer, account, asked.amount)
    name = account.customer_name
    known = PaymentValidation(
        verdict.result,
        payer_name=(name if call.terminal.names_unmasked else customers.masked_name(name)) or None,
        service_status=account.service_status,
        amount_min=None if verdict.limits is None else verdict.limits.amount_min,
        amount_max=None if verdict.limits is None else verdict.limits.amount_max,
    )
    if verdict.conversion is None:
        return known
    valid_until = call.now + VALIDATION_LIFE
    validation_id = payments.record_validation(
        call.connection,
        dealer_id=call.terminal.dealer_id,
        fingerprint=payments.fingerprint(asked.payer, asked.amount),
        conversion=verdict.conversion,
        valid_until=valid_until,
    )
    return replace(
        known,
        validation_id=validation_id,
        valid_until=valid_until,
        credited=verdict.conversion.credited,
        rate=verdict.conversion.rate,
    )
