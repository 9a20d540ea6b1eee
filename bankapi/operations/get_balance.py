"""GetBalance: a customer's balance sheet."""

from dataclasses import dataclass
from datetime import datetime

from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, ServiceStatus
from bankapi.operations.call import Call
from bankapi.operations.checked_payer import checked_payer
from bankapi.refusals import ResultCode


@dataclass(frozen=True, slots=True)
class GetBalance:
    """The question."""

    payer: PayerKey


@dataclass(frozen=True, slots=True)
class BalanceSheet:
    """The answer; everything after `result` is None unless it is OK.

    `available` is balance and credit limit together, `due` what is owed; neither is ever negative.
    """

    result: ResultCode
    balance: Money | None = None
    credit_limit: Money | None = None
    available: Money | None = None
    due: Money | None = None
    service_status: ServiceStatus | None = None
    as_of: datetime | None = None


def get_balance(call: Call, asked: GetBalance) -> BalanceSheet:
    """Answer from the same transaction that payments are booked in: nothing is older than the answer's time."""
    account = checked_payer(call, asked.payer)
    if isinstance(account, ResultCode):
        return BalanceSheet(account)
    return BalanceSheet(
        ResultCode.OK,
        account.balance,
        account.credit_limit,
        account.available,
        account.due,
        account.service_status,
        call.now,
    )
