"""What a report is before it has a format: facts, charts and tables of typed cells.

Who makes a report says what each column means; `render` alone knows how a format and a language write it. Rows are
taken once and never held, so a table may have millions.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from bankapi.billing.money import Money

Cell = str | date | datetime | int | Money | None
"""A value of the column's unit; None is an empty cell."""
Row = Sequence[Cell]
"""One cell for each column, in their order."""


class Unit(StrEnum):
    """What the cells of a column are, and so how they are written."""

    TEXT = "TEXT"
    """Words for people (str)."""
    CODE = "CODE"
    """An identifier (str): never translated, always written from left to right."""
    DAY = "DAY"
    """A calendar day (date)."""
    INSTANT = "INSTANT"
    """An aware datetime, shown in the document's zone."""
    COUNT = "COUNT"
    """A whole number (int)."""
    MONEY = "MONEY"
    """An amount (Money)."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `name` is the CSV heading and never changes; `title` is what people read, in their language.

    A MONEY column either names a column of its own for the currency, which CSV and XLSX put behind it, or leaves both
    names None because another column of the table already gives the currency.
    """

    name: str
    title: str
    unit: Unit
    currency_name: str | None = None
    currency_title: str | None = None


def no_totals() -> Sequence[Row]:
    """A table without footer rows."""
    return ()


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under columns. `rows` is iterated once; `totals` is asked for footer rows after the last row."""

    name: str
    title: str
    columns: Sequence[Column]
    rows: Iterable[Row]
    totals: Callable[[], Sequence[Row]] = no_totals


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart: its length (not negative) and the value as people read it."""

    label: str
    value: int | Decimal
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Values to compare at a glance, all of one unit."""

    title: str
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report, in one language. `facts` are label and value: dealer, period, time zone, when it was made.

    CSV knows one table: it is `flat`, or the only one.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    tables: Sequence[Table]
    language: str
    """A tag that there is a catalog for."""
    zone: ZoneInfo
    charts: Sequence[Chart] = ()
    flat: Table | None = None
