"""GetMiniStatement: a customer's last ten transactions."""

from dataclasses import dataclass
from datetime import datetime

from bankapi.billing import statements
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey
from bankapi.billing.statements import StatementLine
from bankapi.operations.call import Call
from bankapi.operations.checked_payer import checked_payer
from bankapi.refusals import ResultCode


@dataclass(frozen=True, slots=True)
class GetMiniStatement:
    """The question."""

    payer: PayerKey


@dataclass(frozen=True, slots=True)
class MiniStatement:
    """The answer: the newest line first, each with the balance right after it; `balance` is the present one."""

    result: ResultCode
    balance: Money | None = None
    as_of: datetime | None = None
    lines: tuple[StatementLine, ...] = ()


def get_mini_statement(call: Call, asked: GetMiniStatement) -> MiniStatement:
    """Everything that moved the balance counts: payments, cancellations, charges, the opening balance."""
    account = checked_payer(call, asked.payer)
    if isinstance(account, ResultCode):
        return MiniStatement(account)
    lines = statements.last_transactions(call.connection, account)
    return MiniStatement(ResultCode.OK, account.balance, call.now, lines)
