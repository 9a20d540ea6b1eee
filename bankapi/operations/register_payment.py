"""RegisterPayment: book one payment, exactly once for (dealer, reference)."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from bankapi.billing import dealers, ledger, payments
from bankapi.billing.ledger import Entry, LedgerAccount, TransactionKind
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey
from bankapi.billing.payments import Disposition, Payment
from bankapi.operations.call import Call
from bankapi.operations.payable import Payable, payable
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
    """Decide a new reference, or give the first decision again.

    A decision is final, declines included: a bank that lost the answer and was told DECLINED by GetPaymentStatus
    may return the money, so nothing that arrives later may turn that reference into a payment. The database decides
    which of two is first; the other's verdict is thrown away.
    """
    fingerprint = payments.fingerprint(asked.payer, asked.amount)
    verdict = payable(call, asked.payer, asked.amount)
    payment_id = payments.new_id()
    if not payments.record(call.connection, _fields(call, asked, payment_id, verdict, fingerprint)):
        first = payments.find_by_reference(call.connection, call.terminal.dealer_id, asked.reference)
        assert first is not None
        return _again(call, asked, first, fingerprint)
    if verdict.account is None or verdict.credited is None:
        return PaymentRegistration(verdict.result)
    # Nothing below this line refuses.
    _post(call, asked, payment_id, verdict.account.ledger_account, verdict.credited)
    return PaymentRegistration(
        verdict.result,
        payment_id=payment_id,
        registered_at=call.now,
        credited=verdict.credited,
        receipt_lines=_receipt(call, asked, payment_id, call.now),
    )


def _again(call: Call, asked: RegisterPayment, first: Payment, fingerprint: bytes) -> PaymentRegistration:
    if first.disposition is Disposition.VOIDED:
        return PaymentRegistration(ResultCode.REFERENCE_VOIDED)
    if first.fingerprint != fingerprint:
        return PaymentRegistration(ResultCode.REFERENCE_CONFLICT)
    if first.disposition is Disposition.DECLINED:
        return PaymentRegistration(first.result, replayed=True)
    return PaymentRegistration(
        first.result,
        replayed=True,
        payment_id=first.id,
        registered_at=first.decided_at,
        credited=first.credited,
        rate=first.rate,
        receipt_lines=_receipt(call, asked, first.id, first.decided_at),
    )


def _fields(
    call: Call, asked: RegisterPayment, payment_id: str, verdict: Payable, fingerprint: bytes
) -> dict[str, object]:
    credited = verdict.credited
    return {
        "id": payment_id,
        "dealer_id": call.terminal.dealer_id,
        "terminal_id": call.terminal.id,
        "reference": asked.reference,
        "disposition": Disposition.DECLINED if credited is None else Disposition.REGISTERED,
        "result": verdict.result,
        "decided_at": call.now,
        "exchange_id": call.exchange_id,
        "fingerprint": fingerprint,
        "payer_kind": asked.payer.kind,
        "payer_value": asked.payer.value,
        "account_id": verdict.account and verdict.account.id,
        "amount_minor": asked.amount.minor,
        "currency": asked.amount.currency,
        "credited_minor": credited and credited.minor,
        "credited_currency": credited and credited.currency,
        "rate": None,
        "fee_minor": asked.fee and asked.fee.minor,
        "fee_currency": asked.fee and asked.fee.currency,
        "paid_at": asked.paid_at,
        "validation_id": asked.validation_id,
        "card_bin": asked.card_bin,
        "card_last_four": asked.card_last_four,
        "rrn": asked.rrn,
        "authorization_code": asked.authorization_code,
    }


def _post(call: Call, asked: RegisterPayment, payment_id: str, customer: LedgerAccount, credited: Money) -> None:
    dealer = dealers.ledger_account(call.connection, call.terminal, asked.amount.currency)
    ledger.post(
        call.connection,
        TransactionKind.PAYMENT,
        [Entry(dealer, -asked.amount), Entry(customer, credited)],
        occurred_at=call.now,
        business_on=dealers.business_day(call.terminal, call.now),
        payment_id=payment_id,
    )


def _receipt(call: Call, asked: RegisterPayment, payment_id: str, registered_at: datetime) -> tuple[str, ...]:
    """What the payer takes away: built from stored facts only, so that a replay prints the same receipt."""
    local = registered_at.astimezone(ZoneInfo(call.terminal.time_zone))
    return (
        f"{call.terminal.dealer_name} {call.terminal.name}",
        f"{local:%Y-%m-%d %H:%M:%S %z}",
        f"Payer: {asked.payer.value}",
        f"Amount: {asked.amount}",
        f"Reference: {asked.reference}",
        f"Payment: {payment_id}",
    )
