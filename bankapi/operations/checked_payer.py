"""Finding a payer for an operation that shows something about it: checks are counted against number harvesting."""

from bankapi.billing import customers, harvesting
from bankapi.billing.customers import Account
from bankapi.billing.payers import PayerKey
from bankapi.operations.call import Call
from bankapi.refusals import ResultCode


def checked_payer(call: Call, payer: PayerKey) -> Account | ResultCode:
    """The payer's account, or why it is not shown: LIMIT_EXCEEDED before PAYER_NOT_FOUND."""
    if harvesting.too_many_misses(call.connection, call.terminal, call.now):
        return ResultCode.LIMIT_EXCEEDED
    account = customers.find_account(call.connection, payer)
    if account is None:
        harvesting.count_miss(call.connection, call.terminal, call.now)
        return ResultCode.PAYER_NOT_FOUND
    return account
