"""RegisterPayment: book one payment, exactly once for (dealer, reference)."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey
from bankapi.operations.call import Call
from bankapi.refusals import ResultCode


@dataclass(frozen=True, slots=True)
class RegisterPayment:
    """The request. `paid_at` is when the payer paid, by the terminal's clock."""

    reference: str
    payer: PayerKey
    amount: Money
    paid_at: datetime
    validation_id: str | None = None
    card_bin: str | None = None
    card_last_four: str | None = None
    rrn: str | None = None
    authorization_code: str | None = None
    fee: Money | None = None


@dataclass(frozen=True, slots=True)
class PaymentRegistration:
    """The answer: the first outcome of this reference, `replayed` when it was given before."""

    result: ResultCode
    replayed: bool = False
    payment_id: str | None = None
    registered_at: datetime | None = None
    credited: Money | None = None
    rate: Decimal | None = None
    receipt_lines: tuple[str, ...] = ()


def register_payment(call: Call, asked: RegisterPayment) -> PaymentRegistration:
    raise NotImplementedError
