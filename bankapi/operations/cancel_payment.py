"""CancelPayment: make sure that nothing of a payment stands."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bankapi.billing import customers, dealers, ledger, limits, payments
from bankapi.billing.money import Money
from bankapi.billing.payments import Disposition, Payment
from bankapi.notices.outbox import Event
from bankapi.operations.call import Call
from bankapi.operations.get_payment_status import PaymentState
from bankapi.refusals import ResultCode


class CancelReason(StrEnum):
    """Why a payment is cancelled, as the caller says."""

    CUSTOMER_REQUEST = "CUSTOMER_REQUEST"
    TERMINAL_FAULT = "TERMINAL_FAULT"
    TIMEOUT = "TIMEOUT"
    DUPLICATE = "DUPLICATE"
    FRAUD_SUSPECTED = "FRAUD_SUSPECTED"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class CancelPayment:
    """The request: exactly one of `reference` and `payment_id` is given. `amount` is the payment's, as a check."""

    amount: Money
    reason: CancelReason
    reference: str | None = None
    payment_id: str | None = None


@dataclass(frozen=True, slots=True)
class PaymentCancellation:
    """The answer. OK means that nothing of the payment stands: `state` says whether it was CANCELLED now or before,
    VOIDED before it ever came, or DECLINED in the first place. `replayed` marks the repetition of an answer."""

    result: ResultCode
    state: PaymentState | None = None
    replayed: bool = False
    reference: str | None = None
    payment_id: str | None = None
    amount: Money | None = None
    cancelled_at: datetime | None = None


def cancel_payment(call: Call, asked: CancelPayment) -> PaymentCancellation:
    """Refuse in this order: unknown payment id, other amount, window closed, funds used.

    A reference never seen is voided, so that a registration still under way finds it settled. Repeating a
    cancellation gives the first answer again, however late.
    """
    payment = _find(call, asked)
    if payment is None and asked.reference is not None:
        if payments.record(call.connection, _tombstone(call, asked.reference)):
            return _voided(asked.reference, call.now)
        payment = _find(call, asked)
    if payment is None:
        return PaymentCancellation(ResultCode.PAYMENT_NOT_FOUND)
    if payment.disposition is Disposition.VOIDED:
        return _voided(payment.reference, payment.decided_at, replayed=True)
    if payment.disposition is Disposition.DECLINED:
        return PaymentCancellation(ResultCode.OK, PaymentState.DECLINED, reference=payment.reference)
    if payment.amount != asked.amount:
        return PaymentCancellation(ResultCode.AMOUNT_MISMATCH)
    if payment.cancelled_at is not None:
        return _cancelled(payment, payment.cancelled_at, replayed=True)
    return _cancel(call, asked, payment)


def _cancel(call: Call, asked: CancelPayment, payment: Payment) -> PaymentCancellation:
    if not dealers.may_cancel(call.terminal, payment.decided_at, payment.business_on, call.now):
        return PaymentCancellation(ResultCode.CANCEL_WINDOW_CLOSED)
    account = customers.lock_account_of_payment(call.connection, payment.id)
    # Somebody else's cancellation of it may have ended while this one waited for the account.
    first = payments.find_by_id(call.connection, call.terminal.dealer_id, payment.id)
    assert first is not None
    if first.cancelled_at is not None:
        return _cancelled(first, first.cancelled_at, replayed=True)
    if _funds_used(call, payment, account):
        return PaymentCancellation(ResultCode.FUNDS_ALREADY_USED)
    # Nothing below this line refuses.
    payments.record_cancellation(
        call.connection,
        payment_id=payment.id,
        terminal=call.terminal,
        reason=asked.reason,
        cancelled_at=call.now,
        business_on=call.business_on,
        exchange_id=call.exchange_id,
    )
    # Day totals before deposits, as a registration locks them: neither waits for what the other holds.
    limits.give_back(
        call.connection,
        payment.counted,
        terminal=payment.terminal,
        dealer=call.terminal.dealer_name,
        account_number=account.account_number,
        amount=asked.amount,
        business_on=payment.business_on,
    )
    moved = ledger.reverse(
        call.connection,
        payment.id,
        occurred_at=call.now,
        business_on=call.business_on,
    )
    balance = moved[account.ledger_account.id]
    customers.bring_back_suspension(call.connection, account, balance, payment.id, payment.decided_at, call.now)
    if call.outbox is not None and payment.credited is not None:
        call.outbox.queue(
            call.connection,
            Event.PAYMENT_CANCELLED,
            payment_id=payment.id,
            payer=payment.payer,
            account_id=account.id,
            amount=payment.credited,
            dealer=call.terminal.dealer_name,
            now=call.now,
        )
    return _cancelled(payment, call.now)


def _funds_used(call: Call, payment: Payment, account: customers.Account) -> bool:
    """Whether taking the credit back would leave less than there was before it, and less than the credit limit."""
    assert payment.credited is not None
    left = account.balance.minor - payment.credited.minor
    if left >= -account.credit_limit.minor:
        return False
    return left < ledger.balance_before(call.connection, payment.id, account.ledger_account)


def _find(call: Call, asked: CancelPayment) -> Payment | None:
    if asked.reference is not None:
        return payments.find_by_reference(call.connection, call.terminal.dealer_id, asked.reference)
    assert asked.payment_id is not None
    return payments.find_by_id(call.connection, call.terminal.dealer_id, asked.payment_id)


def _tombstone(call: Call, reference: str) -> dict[str, object]:
    return {
        "id": payments.new_id(),
        "dealer_id": call.terminal.dealer_id,
        "terminal_id": call.terminal.id,
        "scheme": call.terminal.scheme,
        "reference": reference,
        "disposition": Disposition.VOIDED,
        "result": ResultCode.REFERENCE_VOIDED,
        "decided_at": call.now,
        "business_on": call.business_on,
        "exchange_id": call.exchange_id,
    }


def _voided(reference: str, voided_at: datetime, *, replayed: bool = False) -> PaymentCancellation:
    return PaymentCancellation(ResultCode.OK, PaymentState.VOIDED, replayed, reference, cancelled_at=voided_at)


def _cancelled(payment: Payment, cancelled_at: datetime, *, replayed: bool = False) -> PaymentCancellation:
    return PaymentCancellation(
        ResultCode.OK,
        PaymentState.CANCELLED,
        replayed,
        payment.reference,
        payment.id,
        payment.amount,
        cancelled_at,
    )
