"""RegisterPayment: book one payment, exactly once for (dealer, reference)."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from bankapi.billing import customers, dealers, ledger, limits, payments
from bankapi.billing.customers import Account
from bankapi.billing.ledger import Entry, LedgerAccountKind, TransactionKind
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey
from bankapi.billing.payments import Disposition, Payment
from bankapi.languages.receipts import Receipt, receipt_lines
from bankapi.languages.texts import texts
from bankapi.notices.outbox import Event
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
    account = customers.lock_account(call.connection, asked.payer)
    verdict = payable(call, asked.payer, account, asked.amount, _promised_rate(call, asked, account, fingerprint))
    payment_id = payments.new_id()
    if not payments.record(call.connection, _fields(call, asked, payment_id, verdict, fingerprint)):
        first = payments.find_by_reference(call.connection, call.terminal.dealer_id, asked.reference)
        assert first is not None
        return _again(call, asked, first, fingerprint)
    if verdict.account is None or verdict.limits is None or verdict.conversion is None:
        return PaymentRegistration(verdict.result)
    # Nothing below this line refuses.
    _post(call, asked, payment_id, verdict.account, verdict.conversion.credited)
    limits.count(call.connection, verdict.limits, asked.amount, call.business_on)
    if call.outbox is not None:
        call.outbox.queue(
            call.connection,
            Event.PAYMENT_REGISTERED,
            payment_id=payment_id,
            payer=asked.payer.value,
            account_id=verdict.account.id,
            amount=verdict.conversion.credited,
            dealer=call.terminal.dealer_name,
            now=call.now,
        )
    return PaymentRegistration(
        verdict.result,
        payment_id=payment_id,
        registered_at=call.now,
        credited=verdict.conversion.credited,
        rate=verdict.conversion.rate,
        receipt_lines=_receipt(call, asked, payment_id, call.now, verdict.conversion.credited),
    )


def _promised_rate(call: Call, asked: RegisterPayment, account: Account | None, fingerprint: bytes) -> Decimal | None:
    if asked.validation_id is None or account is None:
        return None
    return payments.promised_rate(
        call.connection,
        asked.validation_id,
        dealer_id=call.terminal.dealer_id,
        fingerprint=fingerprint,
        quote=account.currency,
        now=call.now,
    )


def _again(call: Call, asked: RegisterPayment, first: Payment, fingerprint: bytes) -> PaymentRegistration:
    if first.disposition is Disposition.VOIDED:
        return PaymentRegistration(ResultCode.REFERENCE_VOIDED)
    if first.fingerprint != fingerprint:
        return PaymentRegistration(ResultCode.REFERENCE_CONFLICT)
    if first.disposition is Disposition.DECLINED:
        return PaymentRegistration(first.result, replayed=True)
    if first.cancelled_at is not None:
        # Not "OK": the caller would keep the payer's money for a payment that no longer stands.
        return PaymentRegistration(ResultCode.ALREADY_CANCELLED, replayed=True, payment_id=first.id)
    assert first.credited is not None
    return PaymentRegistration(
        first.result,
        replayed=True,
        payment_id=first.id,
        registered_at=first.decided_at,
        credited=first.credited,
        rate=first.rate,
        receipt_lines=_receipt(call, asked, first.id, first.decided_at, first.credited),
    )


def _fields(
    call: Call, asked: RegisterPayment, payment_id: str, verdict: Payable, fingerprint: bytes
) -> dict[str, object]:
    conversion = verdict.conversion
    return {
        "id": payment_id,
        "dealer_id": call.terminal.dealer_id,
        "terminal_id": call.terminal.id,
        "scheme": call.terminal.scheme,
        "reference": asked.reference,
        "disposition": Disposition.DECLINED if conversion is None else Disposition.REGISTERED,
        "result": verdict.result,
        "decided_at": call.now,
        "business_on": call.business_on,
        "exchange_id": call.exchange_id,
        "fingerprint": fingerprint,
        "payer_kind": asked.payer.kind,
        "payer_value": asked.payer.value,
        "account_id": verdict.account and verdict.account.id,
        "amount_minor": asked.amount.minor,
        "currency": asked.amount.currency,
        "credited_minor": conversion and conversion.credited.minor,
        "credited_currency": conversion and conversion.credited.currency,
        "rate": conversion and conversion.rate,
        "fee_minor": asked.fee and asked.fee.minor,
        "fee_currency": asked.fee and asked.fee.currency,
        "paid_at": asked.paid_at,
        "validation_id": asked.validation_id,
        "card_bin": asked.card_bin,
        "card_last_four": asked.card_last_four,
        "rrn": asked.rrn,
        "authorization_code": asked.authorization_code,
        "counted": conversion and verdict.limits and limits.scopes_counted(verdict.limits),
    }


def _post(call: Call, asked: RegisterPayment, payment_id: str, account: Account, credited: Money) -> None:
    """Book the payment; a second currency is entered and left through the operator's own position in both."""
    dealer = dealers.ledger_account(call.connection, call.terminal, asked.amount.currency)
    entries = [Entry(dealer, -asked.amount), Entry(account.ledger_account, credited)]
    if credited.currency != asked.amount.currency:
        for amount in (asked.amount, -credited):
            position = ledger.open_account(call.connection, LedgerAccountKind.CONVERSION, "", amount.currency)
            entries.append(Entry(position, amount))
    moved = ledger.post(
        call.connection,
        TransactionKind.PAYMENT,
        entries,
        occurred_at=call.now,
        business_on=call.business_on,
        payment_id=payment_id,
    )
    customers.lift_suspension(call.connection, account, moved[account.ledger_account.id], payment_id, call.now)


def _receipt(
    call: Call, asked: RegisterPayment, payment_id: str, registered_at: datetime, credited: Money
) -> tuple[str, ...]:
    """What the payer takes away: built from stored facts only, so that a replay prints the same receipt.

    Only its language may differ: it is the one that is asked for now.
    """
    is_converted = credited.currency != asked.amount.currency
    facts = Receipt(
        dealer=call.terminal.dealer_name,
        terminal=call.terminal.name,
        registered_at=registered_at,
        zone=ZoneInfo(call.terminal.time_zone),
        payer=asked.payer.value,
        amount=(asked.amount.to_decimal(), asked.amount.currency),
        credited=(credited.to_decimal(), credited.currency) if is_converted else None,
        reference=asked.reference,
        payment_id=payment_id,
    )
    return receipt_lines(texts(call.language), facts)
