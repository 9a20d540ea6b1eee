"""The financial report as a document: for people balances and lines, for scripts one flat table."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import chain

from sqlalchemy import Connection

from bankapi.billing.money import Money
from bankapi.languages.texts import Texts
from bankapi.reports import financial
from bankapi.reports.charts import volumes
from bankapi.reports.document import Cell, Column, Document, Row, Table, Unit
from bankapi.reports.financial import Balance, Line
from bankapi.reports.headings import SCHEMES, Heading, filters
from bankapi.reports.transactions import Selection


def financial_document(connection: Connection, heading: Heading, selection: Selection, dealer: str) -> Document:
    """Balances and lines. The balances are the dealer's whole ones, so a selection of terminals has none.

    BooksDisagree when the lines of a whole period do not add up to the ledger.
    """
    texts, gettext = heading.texts, heading.texts.gettext
    found = list(financial.lines_of(connection, selection))
    lines = [line for line in found if financial.is_selected(line, selection)]
    balances: list[Balance] = []
    if selection.terminal is None:
        whole = financial.balances(connection, selection.dealer_id, dealer, selection.first_on, selection.last_on)
        financial.assert_agree(found, whole)
        balances = [
            each
            for each in whole
            if selection.currency in (None, each.account.currency) and selection.scheme in (None, each.account.scheme)
        ]
    sums = _sums(lines)
    line_table = Table(
        "lines",
        gettext("By day, terminal and currency"),
        _line_columns(texts),
        (_line_row(texts, line) for line in lines),
        lambda: [(None, gettext("Total"), *cells) for cells in sums],
    )
    flat = Table("financial", gettext("Financial report"), _flat_columns(texts), _flat_rows(selection, lines, balances))
    tables: tuple[Table, ...] = (line_table,)
    if balances:
        rows = (_balance_row(texts, balance) for balance in balances)
        tables = (Table("balances", gettext("Balances"), _balance_columns(texts), rows), line_table)
    return Document(
        gettext("Financial report"),
        heading.facts(selection.first_on, selection.last_on, *filters(texts, selection)),
        tables,
        texts.language,
        heading.zone,
        charts=volumes(texts, lines, selection.first_on, selection.last_on),
        flat=flat,
    )


def _line_columns(texts: Texts) -> Sequence[Column]:
    gettext = texts.gettext
    return (
        Column("business_on", gettext("Business day"), Unit.DAY),
        Column("terminal", gettext("Terminal"), Unit.TEXT),
        Column("scheme", gettext("Scheme"), Unit.TEXT),
        Column("currency", gettext("Currency"), Unit.CODE),
        *_sum_columns(texts),
    )


def _sum_columns(texts: Texts) -> Sequence[Column]:
    gettext = texts.gettext
    return (
        Column("registered_count", gettext("Registered, number"), Unit.COUNT),
        Column("registered", gettext("Registered"), Unit.MONEY),
        Column("cancelled_count", gettext("Cancelled, number"), Unit.COUNT),
        Column("cancelled", gettext("Cancelled"), Unit.MONEY),
        Column("net", gettext("Net"), Unit.MONEY),
        Column("fees", gettext("Fees"), Unit.MONEY),
    )


def _line_row(texts: Texts, line: Line) -> Row:
    key = line.key
    return (key.business_on, key.terminal, texts.gettext(SCHEMES[key.scheme]), key.currency, *_line_sums(line))


def _line_sums(line: Line) -> Sequence[Cell]:
    def money(minor: int) -> Money:
        return Money(minor, line.key.currency)

    return (
        line.registered_count,
        money(line.registered_minor),
        line.cancelled_count,
        money(line.cancelled_minor),
        money(line.net_minor),
        money(line.fees_minor),
    )


def _sums(lines: Sequence[Line]) -> list[Row]:
    """Scheme (none), currency and sums of all lines, per currency."""
    found: list[Row] = []
    for currency in sorted({line.key.currency for line in lines}):
        of = [line for line in lines if line.key.currency == currency]
        total = Line(of[0].key)
        for line in of:
            total.registered_count += line.registered_count
            total.registered_minor += line.registered_minor
            total.cancelled_count += line.cancelled_count
            total.cancelled_minor += line.cancelled_minor
            total.fees_minor += line.fees_minor
        found.append((None, currency, *_line_sums(total)))
    return found


def _balance_columns(texts: Texts) -> Sequence[Column]:
    gettext = texts.gettext
    return (
        Column("scheme", gettext("Scheme"), Unit.TEXT),
        Column("currency", gettext("Currency"), Unit.CODE),
        Column("opening", gettext("Opening balance"), Unit.MONEY),
        Column("registered", gettext("Registered"), Unit.MONEY),
        Column("cancelled", gettext("Cancelled"), Unit.MONEY),
        Column("paid_in", gettext("Paid in"), Unit.MONEY),
        Column("corrected", gettext("Corrected"), Unit.MONEY),
        Column("closing", gettext("Closing balance"), Unit.MONEY),
    )


def _balance_row(texts: Texts, balance: Balance) -> Row:
    def money(minor: int) -> Money:
        return Money(minor, balance.account.currency)

    moved = balance.moved
    return (
        texts.gettext(SCHEMES[balance.account.scheme]),
        balance.account.currency,
        money(balance.opening_minor),
        money(-moved.registered_minor),
        money(moved.cancelled_minor),
        money(moved.paid_in_minor),
        money(moved.corrected_minor),
        money(balance.closing_minor),
    )


def _flat_columns(texts: Texts) -> Sequence[Column]:
    """Of the one table that scripts read: what a row is, and its balance where it is one."""
    gettext = texts.gettext
    return (
        Column("row", "", Unit.CODE),
        Column("business_on", gettext("Business day"), Unit.DAY),
        Column("terminal", gettext("Terminal"), Unit.CODE),
        Column("scheme", gettext("Scheme"), Unit.CODE),
        Column("currency", gettext("Currency"), Unit.CODE),
        *_sum_columns(texts),
        Column("balance", gettext("Balances"), Unit.MONEY),
    )


def _flat_rows(selection: Selection, lines: Sequence[Line], balances: Sequence[Balance]) -> Iterator[Row]:
    def of_balance(kind: str, day: date, balance: Balance, minor: int) -> Row:
        account = balance.account
        return (kind, day, None, account.scheme.value, account.currency, *(None,) * 6, Money(minor, account.currency))

    openings = (of_balance("OPENING", selection.first_on, each, each.opening_minor) for each in balances)
    middle = ((kind, each) for each in balances for kind in ("PAID_IN", "CORRECTED"))
    causes = (
        of_balance(kind, selection.last_on, each, getattr(each.moved, f"{kind.lower()}_minor")) for kind, each in middle
    )
    closings = (of_balance("CLOSING", selection.last_on, each, each.closing_minor) for each in balances)
    written = (
        (
            "LINE",
            line.key.business_on,
            line.key.terminal,
            line.key.scheme.value,
            line.key.currency,
            *_line_sums(line),
            None,
        )
        for line in lines
    )
    return chain(openings, written, causes, closings)
