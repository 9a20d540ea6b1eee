"""What became of a payment, read from a request and its answer: what the operator counts.

Repetitions are not counted, and neither are answers that decide nothing: each payment is registered or declined once.
"""

from decimal import Decimal
from typing import Final

from lxml import etree

from bankapi.billing.money import Money
from bankapi.billing.terminals import Terminal
from bankapi.contract.types import expanded
from bankapi.monitoring.watch import Happening, PaymentEvent
from bankapi.operations.get_payment_status import PaymentState
from bankapi.refusals import ResultCode

_AMOUNT: Final = expanded("Amount")
_REPLAYED: Final = expanded("Replayed")
_STATUS: Final = expanded("Status")
_NOT_DECIDED: Final = frozenset(
    {
        ResultCode.OPERATION_NOT_ALLOWED,
        ResultCode.TEMPORARILY_UNAVAILABLE,
        ResultCode.REFERENCE_CONFLICT,
        ResultCode.REFERENCE_VOIDED,
        ResultCode.ALREADY_CANCELLED,
    }
)
"""To a RegisterPayment: the reference is settled otherwise, or not at all."""
_OF_CANCELLATION: Final = {
    PaymentState.CANCELLED: Happening.CANCELLED,
    PaymentState.VOIDED: Happening.VOIDED,
}


def event_of(
    operation: str | None, request: etree._Element, answer: etree._Element, result: ResultCode, terminal: Terminal
) -> PaymentEvent | None:
    """What a SOAP request changed; None when it did not register, decline, cancel or void a payment."""
    if operation not in ("RegisterPayment", "CancelPayment") or answer.findtext(_REPLAYED) == "true":
        return None
    amount = request.find(_AMOUNT)
    if amount is None or not amount.text:
        return None
    money = Money.from_decimal(Decimal(amount.text.strip()), amount.get("currency", ""))
    status = answer.findtext(_STATUS)
    return event(operation, result, PaymentState(status) if status else None, money, terminal)


def event(
    operation: str, result: ResultCode, state: PaymentState | None, amount: Money, terminal: Terminal
) -> PaymentEvent | None:
    """As `event_of`, from an answer that was not given before. `state` is a cancellation's."""
    if operation == "RegisterPayment":
        declined = None if result in _NOT_DECIDED else Happening.DECLINED
        happening = Happening.REGISTERED if result is ResultCode.OK else declined
    else:
        is_new = result is ResultCode.OK and state is not None
        happening = _OF_CANCELLATION.get(state) if is_new and state is not None else None
    if happening is None:
        return None
    return PaymentEvent(happening, terminal.dealer_name, amount, amount.currency in terminal.currencies)
