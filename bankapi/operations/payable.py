"""The one question ValidatePayment and RegisterPayment share: may this payment be made, and if not, why not?

The refusals have a fixed precedence (design section 3): who pays, in which currency, how much, how often, and last
whether the dealer can cover it.
"""

from dataclasses import dataclass
from decimal import Decimal

from bankapi.billing import dealers, limits, rates
from bankapi.billing.customers import Account
from bankapi.billing.limits import Limits
from bankapi.billing.money import MINOR_MAX, Money
from bankapi.billing.payers import PayerKey, PayerKind, ServiceStatus
from bankapi.billing.rates import Conversion
from bankapi.operations.call import Call
from bankapi.refusals import ResultCode


@dataclass(frozen=True, slots=True)
class Payable:
    """The verdict. `limits` are known unless the currency was refused, `conversion` only when `result` is OK."""

    result: ResultCode
    account: Account | None = None
    limits: Limits | None = None
    conversion: Conversion | None = None


def payable(
    call: Call, payer: PayerKey, account: Account | None, amount: Money, promised_rate: Decimal | None = None
) -> Payable:
    """Check, in this order, and lock what was checked until the transaction ends."""
    if account is None:
        return Payable(ResultCode.PAYER_NOT_FOUND)
    if account.service_status is ServiceStatus.BLOCKED:
        return Payable(ResultCode.PAYER_BLOCKED, account)
    if account.service_status is ServiceStatus.TERMINATED and not _settles_debt(account, payer):
        return Payable(ResultCode.SERVICE_TERMINATED, account)
    conversion = _conversion(call, account, amount, promised_rate)
    if conversion is None:
        return Payable(ResultCode.CURRENCY_NOT_ACCEPTED, account)
    held = limits.holding(
        call.connection,
        terminal=call.terminal.name,
        dealer=call.terminal.dealer_name,
        account_number=account.account_number,
        currency=amount.currency,
    )
    refused = _amount_refusal(call, held, conversion, amount)
    if refused is not None:
        return Payable(refused, account, held)
    return Payable(ResultCode.OK, account, held, conversion)


def _settles_debt(account: Account, payer: PayerKey) -> bool:
    """A number may be somebody else's tomorrow; the debt stays with the account."""
    return payer.kind is not PayerKind.MSISDN and account.balance.minor < 0


def _conversion(call: Call, account: Account, amount: Money, promised_rate: Decimal | None) -> Conversion | None:
    if amount.currency not in call.terminal.currencies:
        return None
    if amount.currency == account.currency:
        return Conversion(amount, None)
    rate = promised_rate or rates.rate_in_force(call.connection, amount.currency, account.currency, call.now)
    return None if rate is None else Conversion(rates.converted(amount, rate, account.currency), rate)


def _amount_refusal(call: Call, held: Limits, conversion: Conversion, amount: Money) -> ResultCode | None:
    if amount < held.amount_min or conversion.credited.minor <= 0:
        return ResultCode.AMOUNT_TOO_SMALL
    if held.amount_max < amount or conversion.credited.minor > MINOR_MAX:
        return ResultCode.AMOUNT_TOO_LARGE
    if limits.would_exceed(call.connection, held, amount, call.business_on):
        return ResultCode.LIMIT_EXCEEDED
    if not dealers.funds_suffice(call.connection, call.terminal, amount):
        return ResultCode.DEALER_FUNDS_INSUFFICIENT
    return None
