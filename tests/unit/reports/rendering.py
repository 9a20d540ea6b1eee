"""Small documents to write in every format."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from io import BytesIO
from zoneinfo import ZoneInfo

from bankapi.billing.money import Money
from bankapi.reports.document import Cell, Chart, Column, Document, Row, Table, Unit, no_totals
from bankapi.reports.render import Format, write

MOSCOW = ZoneInfo("Europe/Moscow")
AT = datetime(2026, 2, 28, 22, 30, 15, 250_000, tzinfo=UTC)
COLUMNS = (
    Column("registered_at", "Time", Unit.INSTANT),
    Column("reference", "Reference", Unit.CODE),
    Column("dealer", "Dealer", Unit.TEXT),
    Column("amount", "Amount", Unit.MONEY, "currency", "Currency"),
    Column("fee", "Fee", Unit.MONEY),
    Column("business_on", "Day", Unit.DAY),
    Column("events", "Events", Unit.COUNT),
)
ROWS: tuple[Row, ...] = (
    (AT, "A-1", "First Bank", Money(-1_234_567_89, "RUB"), Money(5, "RUB"), date(2026, 3, 1), 1200),
    (AT, "007", "First Bank", Money(5000, "JPY"), Money(0, "JPY"), date(2026, 3, 1), 0),
    (AT, 'B,"2"\n', "", Money(1, "KWD"), Money(-1, "KWD"), date(2026, 3, 1), -3),
    (None, "C", None, None, None, None, None),
)


def table(
    rows: Iterable[Row] = ROWS,
    columns: Sequence[Column] = COLUMNS,
    *,
    title: str = "Payments",
    total: Row | None = None,
) -> Table:
    return Table("payments", title, columns, rows, no_totals if total is None else lambda: [total])


def document(*tables: Table, language: str = "en", charts: Sequence[Chart] = (), flat: Table | None = None) -> Document:
    facts = [("Dealer", "First Bank"), ("Time zone", "Europe/Moscow")]
    return Document("Report", facts, tables or (table(),), language, MOSCOW, charts, flat)


def of_texts(texts: Sequence[str | None], unit: Unit = Unit.TEXT) -> Document:
    """A document of one column."""
    rows: list[Sequence[Cell]] = [[text] for text in texts]
    return document(table(rows, [Column("text", "Text", unit)]))


def written(document: Document, format: Format) -> bytes:
    file = BytesIO()
    write(document, format, file)
    assert not file.closed, "the file is the caller's"
    return file.getvalue()
