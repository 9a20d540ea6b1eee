"""ValidatePayment: is this payer payable with this amount, and what would be credited?"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from ulid import ULID

from bankapi.billing import customers, limits, payments
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, ServiceStatus
from bankapi.billing.tables import validations
from bankapi.operations.call import Call
from bankapi.operations.payable import payable
from bankapi.refusals import ResultCode

VALIDATION_LIFE: Final = timedelta(minutes=10)
"""How long the figures of a validation stand; a registration checks everything again anyway."""


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
    verdict = payable(call, asked.payer, asked.amount)
    validation_id = str(ULID())
    valid_until = call.now + VALIDATION_LIFE
    call.connection.execute(
        validations.insert(),
        {
            "id": validation_id,
            "terminal_id": call.terminal.id,
            "fingerprint": payments.fingerprint(asked.payer, asked.amount),
            "result": verdict.result,
            "validated_at": call.now,
            "valid_until": valid_until,
        },
    )
    if verdict.account is None:
        return PaymentValidation(verdict.result)
    account = verdict.account
    known = PaymentValidation(
        verdict.result,
        payer_name=account.customer_name
        if call.terminal.names_unmasked
        else customers.masked_name(account.customer_name),
        service_status=account.service_status,
        amount_min=limits.amount_min(account.currency),
        amount_max=limits.amount_max(account.currency),
    )
    if verdict.credited is None:
        return known
    return replace(known, validation_id=validation_id, valid_until=valid_until, credited=verdict.credited)
