"""The transaction report as a document."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection

from bankapi.billing.money import Money
from bankapi.languages.texts import Texts
from bankapi.reports import financial
from bankapi.reports.charts import volumes
from bankapi.reports.document import Bar, Chart, Column, Document, Row, Table, Unit
from bankapi.reports.headings import EVENTS, Heading, filters
from bankapi.reports.transactions import Event, Selection, Transaction, event_counts, transactions


def transaction_document(connection: Connection, heading: Heading, selection: Selection) -> Document:
    """Every event, with totals by currency. The rows are read while they are written."""
    gettext = heading.texts.gettext
    totals = _Totals(heading.texts)
    table = Table(
        "transactions",
        gettext("Transactions"),
        (
            Column("business_on", gettext("Business day"), Unit.DAY),
            Column("occurred_at", gettext("Time"), Unit.INSTANT),
            Column("event", gettext("Event"), Unit.CODE),
            Column("reference", gettext("Reference"), Unit.CODE),
            Column("payment_id", gettext("Payment"), Unit.CODE),
            Column("terminal", gettext("Terminal"), Unit.CODE),
            Column("payer", gettext("Payer"), Unit.CODE),
            Column("amount", gettext("Amount"), Unit.MONEY, "currency", gettext("Currency")),
            Column("credited", gettext("Credited"), Unit.MONEY, "credited_currency", gettext("Currency")),
            Column("fee", gettext("Fee"), Unit.MONEY, "fee_currency", gettext("Currency")),
            Column("reason", gettext("Reason"), Unit.CODE),
            Column("rrn", "RRN", Unit.CODE),
        ),
        (_row(each) for each in totals.counting(transactions(connection, selection))),
        totals.rows,
    )
    lines = [line for line in financial.lines_of(connection, selection) if financial.is_selected(line, selection)]
    counts = event_counts(connection, selection)
    outcomes = [(gettext(EVENTS[event]), counts[event]) for event in Event if event in counts]
    return Document(
        gettext("Transaction report"),
        heading.facts(selection.first_on, selection.last_on, *filters(heading.texts, selection)),
        (table,),
        heading.texts.language,
        heading.zone,
        charts=(
            *volumes(heading.texts, lines, selection.first_on, selection.last_on),
            Chart(gettext("By outcome"), [Bar(name, count, heading.texts.number(count)) for name, count in outcomes]),
        ),
    )


def _row(transaction: Transaction) -> Row:
    reason = transaction.cancel_reason
    if transaction.event is Event.DECLINED:
        reason = transaction.result
    return (
        transaction.position.business_on,
        transaction.occurred_at,
        transaction.event.value,
        transaction.reference,
        transaction.payment_id,
        transaction.terminal,
        transaction.payer,
        transaction.amount,
        transaction.credited,
        transaction.fee,
        reason,
        transaction.rrn,
    )


class _Totals:
    """Counts and sums of the events that went by."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._counts: Counter[tuple[str, Event]] = Counter()
        self._sums: Counter[tuple[str, Event]] = Counter()

    def counting(self, found: Iterable[Transaction]) -> Iterator[Transaction]:
        for each in found:
            if each.amount is not None:
                key = (each.amount.currency, each.event)
                self._counts[key] += 1
                self._sums[key] += each.amount.minor
            yield each

    def rows(self) -> Sequence[Row]:
        """A line for each currency and event: how many, in the column of the reference, and their sum."""
        order = list(Event)
        return [
            (
                None,
                None,
                self._texts.gettext(EVENTS[event]),
                self._texts.number(self._counts[currency, event]),
                *(None,) * 3,
                Money(self._sums[currency, event], currency),
                *(None,) * 4,
            )
            for currency, event in sorted(self._counts, key=lambda key: (key[0], order.index(key[1])))
        ]
