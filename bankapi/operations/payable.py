"""The one question ValidatePayment and RegisterPayment share: may this payment be made, and if not, why not?

The refusals have a fixed precedence (design section 3): who pays is settled before how much.
"""

from dataclasses import dataclass

from bankapi.billing import customers, dealers, limits
from bankapi.billing.customers import Account
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, PayerKind, ServiceStatus
from bankapi.operations.call import Call
from bankapi.refusals import ResultCode


@dataclass(frozen=True, slots=True)
class Payable:
    """The verdict. `account` is known from PAYER_BLOCKED on; `credited` only when `result` is OK."""

    result: ResultCode
    account: Account | None = None
    credited: Money | None = None


def payable(call: Call, payer: PayerKey, amount: Money) -> Payable:
    """Check in order: the payer is known, not blocked, not terminated; the currency; the amount; the dealer's funds."""
    account = customers.find_account(call.connection, payer)
    if account is None:
        return Payable(ResultCode.PAYER_NOT_FOUND)
    refused = _service_refusal(account, payer) or _currency_refusal(account, amount) or _amount_refusal(amount)
    if refused is not None:
        return Payable(refused, account)
    if not dealers.funds_suffice(call.connection, call.terminal, amount):
        return Payable(ResultCode.DEALER_FUNDS_INSUFFICIENT, account)
    return Payable(ResultCode.OK, account, amount)


def _service_refusal(account: Account, payer: PayerKey) -> ResultCode | None:
    if account.service_status is ServiceStatus.BLOCKED:
        return ResultCode.PAYER_BLOCKED
    # The number may be somebody else's tomorrow; the debt stays with the account.
    settles_debt = payer.kind is not PayerKind.MSISDN and account.balance.minor < 0
    if account.service_status is ServiceStatus.TERMINATED and not settles_debt:
        return ResultCode.SERVICE_TERMINATED
    return None


def _currency_refusal(account: Account, amount: Money) -> ResultCode | None:
    return None if amount.currency == account.currency else ResultCode.CURRENCY_NOT_ACCEPTED


def _amount_refusal(amount: Money) -> ResultCode | None:
    if amount < limits.amount_min(amount.currency):
        return ResultCode.AMOUNT_TOO_SMALL
    if limits.amount_max(amount.currency) < amount:
        return ResultCode.AMOUNT_TOO_LARGE
    return None
