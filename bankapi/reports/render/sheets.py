"""Rows of an XLSX sheet, written as XML as they come.

xlsxwriter makes the workbook; its cells are too slow for a hundred thousand rows, and in its constant-memory mode it
writes a text like `<r>…</r>` as the XML it looks like. So rows go straight into the sheet's row file here, which is
why its version is pinned: `row_data_fh` and the `dim_` bounds are not its public interface.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from xlsxwriter.utility import xl_col_to_name

from bankapi.billing.money import Money, exponent
from bankapi.languages.columns import columns as width
from bankapi.reports.document import Cell
from bankapi.reports.render.amounts import plain_amount

TEXT_MAX: Final = 32_767 // 2
"""A cell holds 32 767 UTF-16 units, and a character takes two at most."""
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPE: Final = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_XML: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_DAY_0: Final = date(1899, 12, 30).toordinal()
_DAY_1: Final = date(1900, 3, 1).toordinal()
"""Before it spreadsheets disagree about what a number means; such a day is written as text."""
_DAY_S: Final = 86_400


class Look:
    """The cell formats of one kind of rows, by what a cell is. xlsxwriter knows a format by its index."""

    def __init__(self, workbook: Any, **properties: Any) -> None:
        self._workbook = workbook
        self._properties = properties
        self._money: dict[int, int] = {}
        self.text = self._index("@")
        self.day = self._index("yyyy-mm-dd")
        self.instant = self._index("yyyy-mm-dd hh:mm:ss")
        self.count = self._index("#,##0")
        self.measure = self._index("#,##0.00")

    def money(self, currency: str) -> int:
        """The format with the currency's decimals."""
        decimals = exponent(currency)
        known = self._money.get(decimals)
        if known is None:
            known = self._money[decimals] = self._index(f"#,##0.{'0' * decimals}" if decimals else "#,##0")
        return known

    def _index(self, number_format: str) -> int:
        return int(self._workbook.add_format({"num_format": number_format, **self._properties})._get_xf_index())


class Sheet:
    """One sheet, written from the top."""

    def __init__(self, worksheet: Any, zone: ZoneInfo) -> None:
        self.worksheet = worksheet
        self.rows = 0
        self._zone = zone
        self._widths: dict[int, int] = {}

    def row(self, cells: Sequence[Cell | Decimal], look: Look) -> None:
        """Write the next row."""
        self.append([self.column(place, [cell], look) for place, cell in enumerate(cells)])

    def column(self, place: int, cells: Sequence[Cell | Decimal], look: Look) -> list[str]:
        """The XML of cells that stand below each other, from the next row on."""
        letters, first = xl_col_to_name(place), self.rows + 1
        return [self._cell(f"{letters}{number}", cell, look) for number, cell in enumerate(cells, first)]

    def append(self, columns: Sequence[Sequence[str]]) -> None:
        """Write the next rows, given as columns of the XML of their cells."""
        sheet, number = self.worksheet, self.rows
        for row in zip(*columns, strict=True):
            number += 1
            sheet.row_data_fh.write(f'<row r="{number}">{"".join(row)}</row>')
        sheet.dim_rowmin = sheet.dim_colmin = 0
        sheet.dim_rowmax = number - 1
        sheet.dim_colmax = max(sheet.dim_colmax or 0, len(columns) - 1)
        self.rows = number

    def skip(self, rows: int) -> None:
        """Leave rows empty."""
        self.rows += rows

    def widen(self, place: int, texts: Iterable[str], width_max: int) -> None:
        """Make a column as wide as these texts, in characters."""
        wanted = min(max(map(width, texts), default=0), width_max) + 2
        if wanted > self._widths.get(place, 0):
            self._widths[place] = wanted
            self.worksheet.set_column(place, place, wanted)

    def _cell(self, place: str, cell: Cell | Decimal, look: Look) -> str:
        if cell is None:
            return f'<c r="{place}" s="{look.text}"/>'
        if isinstance(cell, str):
            return _text(place, cell, look)
        if isinstance(cell, Money):
            return f'<c r="{place}" s="{look.money(cell.currency)}"><v>{plain_amount(cell)}</v></c>'
        if isinstance(cell, int):
            return f'<c r="{place}" s="{look.count}"><v>{cell}</v></c>'
        if isinstance(cell, Decimal):
            return f'<c r="{place}" s="{look.measure}"><v>{cell:f}</v></c>'
        if isinstance(cell, datetime):
            return self._instant(place, cell, look)
        ordinal = cell.toordinal()
        if ordinal < _DAY_1:
            return _text(place, cell.isoformat(), look)
        return f'<c r="{place}" s="{look.day}"><v>{ordinal - _DAY_0}</v></c>'

    def _instant(self, place: str, instant: datetime, look: Look) -> str:
        local = instant.astimezone(self._zone)
        days = local.toordinal() - _DAY_0
        if days < _DAY_1 - _DAY_0:
            return _text(place, local.isoformat(), look)
        seconds = local.hour * 3600 + local.minute * 60 + local.second
        return f'<c r="{place}" s="{look.instant}"><v>{days + seconds / _DAY_S!r}</v></c>'


def _text(place: str, text: str, look: Look) -> str:
    """A string, which is never a formula or a link, whatever it looks like."""
    shown = _FORBIDDEN.sub("\ufffd", text[:TEXT_MAX]).translate(_XML)
    if "_x" in shown:
        shown = _ESCAPE.sub("_x005F_", shown)  # otherwise read as an escaped character (ECMA-376, part 1, 22.9.2.19)
    opened = "<t>" if shown == shown.strip() else '<t xml:space="preserve">'
    return f'<c r="{place}" s="{look.text}" t="inlineStr"><is>{opened}{shown}</t></is></c>'
