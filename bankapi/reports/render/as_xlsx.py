"""XLSX for spreadsheets: a sheet of facts, one of charts, and a sheet or more for each table.

Cells are typed: amounts are numbers with their currency's decimals, days are dates, instants are dates and times in
the document's zone. A sheet holds 1,048,576 rows; a longer table goes on in a further sheet. Memory does not grow with
the rows: they wait in temporary files.
"""

import os
import re
from collections.abc import Sequence
from contextlib import closing
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Final

import xlsxwriter
from xlsxwriter.exceptions import FileCreateError

from bankapi.billing.money import Money
from bankapi.reports.document import Cell, Chart, Column, Document, Row, Table
from bankapi.reports.render.progress import Progress
from bankapi.reports.render.sheets import Look, Sheet
from bankapi.reports.render.wording import Wording, isolated, reads_right_to_left

SHEET_ROWS_MAX: Final = 1_048_576
"""Rows of a sheet, its heading included (ECMA-376, and every spreadsheet)."""
_SHEET_NAME_MAX: Final = 31
_NOT_IN_SHEET_NAMES: Final = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
_WIDTH_MAX: Final = 40
_HEADING: Final = {"bold": True, "bg_color": "#E6EBF1", "bottom": 1, "text_wrap": True, "valign": "bottom"}
_TOTAL: Final = {"bold": True, "top": 1}
_A4: Final = 9
_FILTER_BUTTON: Final = " " * 3
"""The width that it takes from a heading."""
_FROM_RIGHT: Final = {"align": "right"}
"""In Arabic, where spreadsheets would put texts that begin with digits or Latin letters at the left."""
_BAR_HEIGHT: Final = 22
"""Pixels."""


def write(document: Document, file: BinaryIO, progress: Progress) -> None:
    """Write the workbook. OSError when there is no room for it or for the rows that wait; nothing of them stays."""
    with TemporaryDirectory(prefix="bankapi-report-") as folder, closing(_Lent(file)) as lent:
        try:
            with xlsxwriter.Workbook(lent, {"constant_memory": True, "tmpdir": folder}) as workbook:
                book = _Book(workbook, document)
                book.facts()
                if document.charts:
                    book.charts()
                for table in document.tables:
                    book.table(table, progress)
        except FileCreateError as error:
            raise error.args[0] from error


class _Lent:
    """The caller's file for a time: a ZipFile that failed would write to it once more when it is forgotten."""

    def __init__(self, file: BinaryIO) -> None:
        self._file: BinaryIO | None = file

    def write(self, octets: bytes) -> int:
        return len(octets) if self._file is None else self._file.write(octets)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return 0 if self._file is None else self._file.seek(offset, whence)

    def tell(self) -> int:
        return 0 if self._file is None else self._file.tell()

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Give the file back, open; whatever comes later goes nowhere."""
        self._file = None


class _Book:
    def __init__(self, workbook: Any, document: Document) -> None:
        self._workbook = workbook
        self._document = document
        self._wording = Wording(document)
        self._texts = self._wording.texts
        self._names: set[str] = set()
        of_side = _FROM_RIGHT if self._wording.is_right_to_left else {}
        self._plain = Look(workbook, **of_side)
        self._total = Look(workbook, **_TOTAL, **of_side)
        self._heading = Look(workbook, **_HEADING, **of_side)
        self._title = Look(workbook, bold=True, font_size=16, **of_side)
        self._words = Look(workbook, **of_side, reading_order=2)
        workbook.set_properties({"title": document.title})

    def facts(self) -> None:
        """Title and facts on a sheet of their own, so that a table's sheet is nothing but the table."""
        sheet = self._sheet(self._texts.gettext("Summary"))
        sheet.row([self._document.title], self._title)
        sheet.skip(1)
        for label, value in self._document.facts:
            if self._wording.is_right_to_left and reads_right_to_left(value) is not False:
                sheet.row([label, isolated(value)], self._words)
            else:
                sheet.row([label, value], self._plain)
        sheet.widen(0, [label for label, _ in self._document.facts], _WIDTH_MAX)
        sheet.widen(1, [value for _, value in self._document.facts], 2 * _WIDTH_MAX)

    def charts(self) -> None:
        """The charts' values, and beside them the charts."""
        name = self._name(self._texts.gettext("Charts"))
        sheet = self._sheet_named(name)
        for chart in self._document.charts:
            height = max(len(chart.bars) * _BAR_HEIGHT + 90, 220)
            top = sheet.rows
            sheet.row([chart.title], self._heading)
            for bar in chart.bars:
                sheet.row([bar.label, bar.value], self._plain)
            if chart.bars:
                drawn = self._drawn(chart, name, top + 1)
                drawn.set_size({"width": 760, "height": height})
                sheet.worksheet.insert_chart(top, 3, drawn)
            sheet.widen(0, [chart.title, *(bar.label for bar in chart.bars)], _WIDTH_MAX)
            sheet.skip(max(top + height // 20 + 2 - sheet.rows, 2))
        sheet.widen(1, ["0" * 14], _WIDTH_MAX)

    def table(self, table: Table, progress: Progress) -> None:
        """One table, on as many sheets as it takes."""
        sheet = self._table_sheet(table)
        for batch in progress.batches(table.rows):
            remaining = batch
            while remaining:
                room = SHEET_ROWS_MAX - sheet.rows
                self._append(sheet, table.columns, remaining[:room], self._plain)
                remaining = remaining[room:]
                if remaining:
                    self._finish(sheet, table)
                    sheet = self._table_sheet(table)
        totals = table.totals()
        if sheet.rows + len(totals) > SHEET_ROWS_MAX:
            self._finish(sheet, table)
            sheet = self._table_sheet(table)
        self._finish(sheet, table)
        if totals:
            self._append(sheet, table.columns, totals, self._total)

    def _table_sheet(self, table: Table) -> Sheet:
        sheet = self._sheet(table.title)
        titles = [title for column in table.columns for title in _titles(column)]
        sheet.row(titles, self._heading)
        for place, title in enumerate(titles):
            sheet.widen(place, [f"{title}{_FILTER_BUTTON}"], _WIDTH_MAX)
        worksheet = sheet.worksheet
        worksheet.freeze_panes(1, 0)
        worksheet.repeat_rows(0)
        return sheet

    def _finish(self, sheet: Sheet, table: Table) -> None:
        """Filters cover the rows, and not the totals that may follow."""
        columns = sum(len(_titles(column)) for column in table.columns)
        sheet.worksheet.autofilter(0, 0, sheet.rows - 1, columns - 1)
        # Identifiers are text on purpose: as numbers they would lose their leading zeros and last digits.
        sheet.worksheet.ignore_errors({"number_stored_as_text": f"A1:XFD{sheet.rows}"})

    def _append(self, sheet: Sheet, columns: Sequence[Column], rows: Sequence[Row], look: Look) -> None:
        written: list[list[str]] = []
        for column, cells in zip(columns, zip(*rows, strict=True), strict=True):
            values: list[Sequence[Cell]] = [cells]
            if column.currency_name is not None:
                values.append([cell.currency if isinstance(cell, Money) else None for cell in cells])
            for each in values:
                sheet.widen(len(written), self._wording.column(column, each[:100]), _WIDTH_MAX)
                written.append(sheet.column(len(written), each, look))
        sheet.append(written)

    def _drawn(self, chart: Chart, sheet_name: str, first: int) -> Any:
        drawn = self._workbook.add_chart({"type": "bar"})
        last = first + len(chart.bars) - 1
        drawn.add_series(
            {
                "categories": [sheet_name, first, 0, last, 0],
                "values": [sheet_name, first, 1, last, 1],
                "fill": {"color": "#2F6FA7"},
                "gap": 40,
                "data_labels": {"value": True, "custom": [{"value": _literal(bar.text)} for bar in chart.bars]},
            }
        )
        drawn.set_title({"name": _literal(chart.title), "name_font": {"size": 12}, "overlay": False})
        drawn.set_legend({"none": True})
        drawn.set_y_axis({"reverse": True, "interval_unit": 1})
        drawn.set_x_axis({"visible": False, "major_gridlines": {"visible": False}, "min": 0})
        return drawn

    def _sheet(self, title: str) -> Sheet:
        return self._sheet_named(self._name(title))

    def _sheet_named(self, name: str) -> Sheet:
        worksheet = self._workbook.add_worksheet(name)
        if self._wording.is_right_to_left:
            worksheet.right_to_left()
        worksheet.set_landscape()
        worksheet.set_paper(_A4)
        worksheet.fit_to_pages(1, 0)
        worksheet.set_footer("&L&A&R&P / &N")
        return Sheet(worksheet, self._document.zone)

    def _name(self, title: str) -> str:
        """A name that no sheet of the workbook has, in whatever case, made of what Excel allows in one."""
        base = _NOT_IN_SHEET_NAMES.sub(" ", title).strip(" '") or "-"
        name, number = base[:_SHEET_NAME_MAX], 1
        while name.lower() in self._names:
            number += 1
            ending = f" ({number})"
            name = base[: _SHEET_NAME_MAX - len(ending)] + ending
        self._names.add(name.lower())
        return name


def _titles(column: Column) -> list[str]:
    """The heading of a column, and of the one for its currency."""
    return [column.title] if column.currency_name is None else [column.title, column.currency_title or ""]


def _literal(text: str) -> str:
    """A text of a chart; one with an equals sign in front would be taken for a reference to cells."""
    return f" {text}" if text.startswith("=") else text
