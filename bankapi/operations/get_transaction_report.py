"""GetTransactionReport: what happened to the dealer's payments, event by event and page by page."""

from dataclasses import dataclass
from datetime import date

from bankapi.operations.call import Call
from bankapi.operations.reporting import PAGE_ROWS, is_period, page
from bankapi.refusals import ResultCode
from bankapi.reports.cursors import key_of
from bankapi.reports.transactions import Event, Position, Selection, Transaction, transactions


@dataclass(frozen=True, slots=True)
class GetTransactionReport:
    """The question: business days of the asking dealer, both included. `events` empty means all of them."""

    first_on: date
    last_on: date
    terminal: str | None = None
    events: frozenset[Event] = frozenset()
    currency: str | None = None
    page_rows: int | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class TransactionReport:
    """The answer: one page, and the cursor to the next one when there is one."""

    result: ResultCode
    transactions: tuple[Transaction, ...] = ()
    next_cursor: str | None = None


def get_transaction_report(call: Call, asked: GetTransactionReport) -> TransactionReport:
    """A dealer sees its own. Everything that was booked before the first page is on exactly one page."""
    if not is_period(asked.first_on, asked.last_on):
        return TransactionReport(ResultCode.PERIOD_NOT_ACCEPTED)
    question = _question(call, asked)
    after = None
    if asked.cursor is not None:
        try:
            business_on, event_id = key_of(question, asked.cursor, parts=2)
            after = Position(date.fromisoformat(business_on), event_id)
        except ValueError:
            return TransactionReport(ResultCode.CURSOR_NOT_ACCEPTED)
    selection = Selection(
        call.terminal.dealer_id,
        asked.first_on,
        asked.last_on,
        terminal=asked.terminal,
        currency=asked.currency,
        events=asked.events or frozenset(Event),
    )
    most = (asked.page_rows or PAGE_ROWS) + 1
    found = transactions(call.connection, selection, after=after, most=most)
    rows, next_cursor = page(found, asked.page_rows, question, _key)
    return TransactionReport(ResultCode.OK, rows, next_cursor)


def _question(call: Call, asked: GetTransactionReport) -> str:
    """Everything but the page: the rows a cursor may be used for."""
    events = ",".join(sorted(asked.events))
    words = ("transactions", call.terminal.dealer_id, asked.first_on, asked.last_on, asked.terminal, events)
    return "\n".join(map(str, (*words, asked.currency)))


def _key(transaction: Transaction) -> tuple[str, str]:
    return transaction.position.business_on.isoformat(), transaction.position.event_id
