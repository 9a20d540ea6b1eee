"""CSV for scripts (RFC 4180): the same columns and the same values in every language.

UTF-8 without a byte order mark; instants in ISO 8601 with the offset of the document's zone, days in ISO 8601, amounts
as plain decimals with a point. There are no facts and no totals: every line after the heading is a row.

Spreadsheets run a cell that starts with = + - @, a tab or a line end as a formula, and texts come from callers, so such
a text gets an apostrophe in front. A text that starts with apostrophes and goes on like this gets one more: whoever
takes one apostrophe off every field that matches ^'+[=+\\-@\\t\\r\\n＝＋－＠] has the exact text again. Numbers are our
own and stay as they are.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from io import StringIO
from typing import BinaryIO, Final, cast
from zoneinfo import ZoneInfo

from bankapi.billing.money import Money
from bankapi.reports.document import Cell, Document, Table
from bankapi.reports.render.amounts import plain_amount
from bankapi.reports.render.progress import Progress
from bankapi.reports.render.refusing import NothingFlat

_FORMULA: Final = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_SUSPECT: Final = frozenset("'=+-@\t\r\n＝＋－＠")
_AS_PYTHON_WRITES_THEM: Final = frozenset({int, date, type(None)})

Written = Callable[[Sequence[Cell]], Iterable[object]]
"""Writes the cells of a column; None is an empty field."""


def write(document: Document, file: BinaryIO, progress: Progress) -> None:
    """Write the document's flat table, or its only one."""
    table = _flat(document)
    fields = list(_fields(table, document.zone))
    file.write(_lines([[name for name, _, _ in fields]]))
    for batch in progress.batches(table.rows):
        columns = list(zip(*batch, strict=True))
        file.write(_lines(zip(*(written(columns[place]) for _, place, written in fields), strict=True)))


def unescaped(field: str) -> str:
    """The text that a field was made from; the other direction of what this module does to formulas."""
    return field[1:] if field.startswith("'") and _FORMULA.match(field) else field


def _flat(document: Document) -> Table:
    if document.flat is not None:
        return document.flat
    if len(document.tables) != 1:
        raise NothingFlat(f"{len(document.tables)} tables and no flat one")
    return document.tables[0]


def _fields(table: Table, zone: ZoneInfo) -> Iterator[tuple[str, int, Written]]:
    """Heading, place of the cell in its row, and how it is written."""

    def written(cells: Sequence[Cell]) -> Iterable[object]:
        return _column(cells, zone)

    for place, column in enumerate(table.columns):
        yield column.name, place, written
        if column.currency_name is not None:
            yield column.currency_name, place, _currencies


def _lines(rows: Iterable[Iterable[object]]) -> bytes:
    text = StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "replace")


def _column(cells: Sequence[Cell], zone: ZoneInfo) -> Iterable[object]:
    """Most columns are of one type, which is asked for once and not for each cell."""
    kinds = {*map(type, cells)}
    if kinds == {str}:
        return [_text(cell) if cell[:1] in _SUSPECT else cell for cell in cast("Sequence[str]", cells)]
    if kinds == {Money}:
        return map(plain_amount, cast("Sequence[Money]", cells))
    if kinds <= _AS_PYTHON_WRITES_THEM:
        return cells
    return [_field(cell, zone) for cell in cells]


def _field(cell: Cell, zone: ZoneInfo) -> object:
    if isinstance(cell, str):
        return _text(cell)
    if isinstance(cell, Money):
        return plain_amount(cell)
    if isinstance(cell, datetime):
        return cell.astimezone(zone).isoformat(timespec="milliseconds")
    return cell


def _text(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def _currencies(cells: Sequence[Cell]) -> list[str | None]:
    return [cell.currency if isinstance(cell, Money) else None for cell in cells]
