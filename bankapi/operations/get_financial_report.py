"""GetFinancialReport: what the dealer's business days came to, and what they did to its balances."""

from dataclasses import dataclass
from datetime import date
from itertools import dropwhile

from bankapi.billing.terminals import Scheme
from bankapi.operations.call import Call
from bankapi.operations.reporting import is_period, page
from bankapi.refusals import ResultCode
from bankapi.reports import financial
from bankapi.reports.cursors import key_of
from bankapi.reports.financial import Balance, Line, LineKey


@dataclass(frozen=True, slots=True)
class GetFinancialReport:
    """The question: business days of the asking dealer, both included."""

    first_on: date
    last_on: date
    page_rows: int | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class FinancialReport:
    """The answer: the balances over the whole period on every page, the lines page by page.

    `closed_through_on` is the dealer's last closed day: lines through it never change.
    """

    result: ResultCode
    balances: tuple[Balance, ...] = ()
    lines: tuple[Line, ...] = ()
    closed_through_on: date | None = None
    next_cursor: str | None = None


def get_financial_report(call: Call, asked: GetFinancialReport) -> FinancialReport:
    """A dealer sees its own. The lines of all pages add up to the balances to the minor unit."""
    if not is_period(asked.first_on, asked.last_on):
        return FinancialReport(ResultCode.PERIOD_NOT_ACCEPTED)
    dealer_id = call.terminal.dealer_id
    question = "\n".join(map(str, ("financial", dealer_id, asked.first_on, asked.last_on)))
    first_on, after = asked.first_on, None
    if asked.cursor is not None:
        try:
            business_on, terminal, scheme, currency = key_of(question, asked.cursor, parts=4)
            after = LineKey(date.fromisoformat(business_on), terminal, Scheme(scheme), currency)
        except ValueError:
            return FinancialReport(ResultCode.CURSOR_NOT_ACCEPTED)
        first_on = after.business_on
    lines = financial.lines(call.connection, dealer_id, first_on, asked.last_on)
    if after is not None:
        lines = dropwhile(lambda line: line.key <= after, lines)
    rows, next_cursor = page(lines, asked.page_rows, question, _key)
    balances = financial.balances(call.connection, dealer_id, call.terminal.dealer_name, asked.first_on, asked.last_on)
    return FinancialReport(ResultCode.OK, tuple(balances), rows, call.terminal.closed_through_on, next_cursor)


def _key(line: Line) -> tuple[str, ...]:
    business_on, *names = line.key
    return business_on.isoformat(), *names
