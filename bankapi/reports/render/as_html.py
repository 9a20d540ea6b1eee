"""One HTML file that needs nothing else: no script, no font, no picture, no network; its policy forbids them all.

A long table is written in pieces of a few hundred rows, each a table with the same columns and a heading that stays in
sight: browsers lay out only the pieces that are seen (`content-visibility`), which one table does not allow.
"""

import re
from collections.abc import Iterator, Sequence
from html import escape
from importlib import resources
from io import TextIOWrapper
from itertools import chain
from typing import BinaryIO, Final

from bankapi.languages.columns import columns as width
from bankapi.reports.document import Chart, Column, Document, Row, Table, Unit
from bankapi.reports.render.progress import Progress
from bankapi.reports.render.wording import DIGITS, LEFT_TO_RIGHT, Wording, isolated, reads_right_to_left

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]")
_SPECIAL: Final = re.compile("[&<>\"'\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]")
_BARS_ABREAST: Final = 16
"""More bars than these stand in two columns where there is room."""
_LABEL_WIDTH_MAX: Final = 24
_TEXT_WIDTH_MAX: Final = 28
"""Characters; a longer text goes on in the next line."""
_WIDTH_MIN: Final = {Unit.MONEY: 13, Unit.COUNT: 6}
"""A total is wider than the rows that a column's width is guessed from."""
_ROW_REM: Final = 1.9
"""About the height of a row, from which scroll bars are guessed."""


def write(document: Document, file: BinaryIO, progress: Progress) -> None:
    """Write the page."""
    text = TextIOWrapper(file, encoding="utf-8", errors="replace", newline="\n")
    try:
        page = _Page(document)
        text.writelines(page.head())
        for chart in document.charts:
            text.writelines(page.chart(chart))
        for number, table in enumerate(document.tables):
            text.writelines(page.table(table, number, progress))
        text.write("</main>\n</body>\n</html>\n")
        text.flush()
    finally:
        text.detach()  # closing the file is the caller's business


class _Page:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._wording = Wording(document)
        self._texts = self._wording.texts

    def head(self) -> Iterator[str]:
        direction = "rtl" if self._wording.is_right_to_left else "ltr"
        title = _escaped(self._document.title)
        style = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
        yield f'<!DOCTYPE html>\n<html lang="{self._texts.language}" dir="{direction}">\n'
        yield '<head>\n<meta charset="utf-8">\n'
        yield f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        yield f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
        if self._document.facts:
            yield '<dl class="facts">\n'
            for label, value in self._document.facts:
                yield f"<div><dt>{_escaped(label)}</dt><dd>{self._free(value)}</dd></div>\n"
            yield "</dl>\n"

    def chart(self, chart: Chart) -> Iterator[str]:
        longest = max((bar.value for bar in chart.bars), default=0) or 1
        kind = "bars many" if len(chart.bars) > _BARS_ABREAST else "bars"
        label = min(max((width(bar.label) for bar in chart.bars), default=0), _LABEL_WIDTH_MAX)
        text = max((width(bar.text) for bar in chart.bars), default=0)
        yield f"<figure>\n<figcaption>{_escaped(chart.title)}</figcaption>\n"
        yield f'<ol class="{kind}" style="--label:{label}ch;--text:{text}ch">\n'
        for bar in chart.bars:
            share = 100 * float(bar.value / longest)
            yield f'<li><span class="l">{self._free(bar.label)}</span> '
            yield f'<span class="b"><i style="width:{share:.2f}%"></i></span> '
            yield f'<span class="v">{self._free(bar.text)}</span></li>\n'
        yield "</ol>\n</figure>\n"

    def table(self, table: Table, number: int, progress: Progress) -> Iterator[str]:
        batches = progress.batches(table.rows)
        batch: Sequence[Row] = next(batches, ())
        cells = self._columns(table.columns, batch)
        widths = [_width(column, written) for column, written in zip(table.columns, cells, strict=True)]
        heading = "".join(_heading(column) for column in table.columns)
        shares = "".join(f'<col style="width:{100 * each / sum(widths):.2f}%">' for each in widths)
        top = f"<colgroup>{shares}</colgroup>\n<thead><tr>{heading}</tr></thead>\n"
        title, first = _escaped(table.title), 1
        yield f'<h2 id="table-{number}">{title}</h2>\n'
        # Few columns on a wide screen are not pulled apart: nobody follows a line across a hand of white.
        yield f'<div class="rows" role="region" tabindex="0" aria-labelledby="table-{number}"'
        yield f' style="max-width:{sum(widths) * 1.7:.0f}ch">\n'
        while True:
            following = next(batches, None)
            last = first + len(batch) - 1
            is_whole = following is None and first == 1
            caption = '<caption class="same">' if is_whole else f"<caption>{self._span(first, last)} · "
            size = f"--width:{sum(widths)}ch;contain-intrinsic-height:auto {_ROW_REM * len(batch) + 5:.0f}rem"
            yield f'<div class="piece" style="{size}"><table>\n{caption}{title}</caption>\n{top}<tbody>\n'
            yield from self._rows(table.columns, cells) if batch else self._nothing(table)
            yield "</tbody>\n"
            if following is None:
                break
            yield "</table></div>\n"
            batch, first = following, last + 1
            cells = self._columns(table.columns, batch)
        yield from self._totals(table)
        yield "</table></div>\n</div>\n"

    def _free(self, text: str) -> str:
        """A text that is no cell, in its own direction; the page's when it has no letters."""
        if not self._wording.is_right_to_left:
            return f"<bdi>{_escaped(text)}</bdi>"
        direction = "ltr" if reads_right_to_left(text) is False else "rtl"
        return f'<bdi dir="{direction}">{_escaped(isolated(text))}</bdi>'

    def _span(self, first: int, last: int) -> str:
        span = self._texts.gettext(
            "rows {first} to {last}", first=self._texts.number(first), last=self._texts.number(last)
        )
        return _escaped(span)

    def _columns(self, columns: Sequence[Column], rows: Sequence[Row]) -> list[list[str]]:
        """The texts of the cells, column by column."""
        if not rows:
            return [[] for _ in columns]
        return [
            self._wording.column(column, cells) for column, cells in zip(columns, zip(*rows, strict=True), strict=True)
        ]

    def _rows(self, columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> Iterator[str]:
        tagged = (self._tagged(column, written) for column, written in zip(columns, cells, strict=True))
        for row in zip(*tagged, strict=True):
            yield f"<tr>{''.join(row)}</tr>\n"

    def _tagged(self, column: Column, cells: Sequence[str]) -> list[str]:
        before, after = f'<td class="{_kind(column)}">', "</td>"
        if self._wording.is_right_to_left and column.unit in LEFT_TO_RIGHT:
            before, after = f'{before}<bdi dir="ltr">', f"</bdi>{after}"
        return [f"{before}{_escaped(cell)}{after}" for cell in cells]

    def _nothing(self, table: Table) -> Iterator[str]:
        sentence = _escaped(self._texts.gettext("There are no rows."))
        yield f'<tr><td class="nothing" colspan="{len(table.columns)}">{sentence}</td></tr>\n'

    def _totals(self, table: Table) -> Iterator[str]:
        totals = table.totals()
        if totals:
            yield "<tfoot>\n"
            yield from self._rows(table.columns, self._columns(table.columns, totals))
            yield "</tfoot>\n"


def _heading(column: Column) -> str:
    return f'<th scope="col" class="{_kind(column)}">{_escaped(column.title)}</th>'


def _kind(column: Column) -> str:
    """The class of a cell: digits, an identifier or text."""
    return "n" if column.unit in DIGITS else "c" if column.unit is Unit.CODE else "t"


def _width(column: Column, cells: Sequence[str]) -> int:
    """Characters that a column is given, its padding included."""
    longest = max(chain(map(width, cells), (_WIDTH_MIN.get(column.unit, 0),)))
    word = max(map(width, column.title.split()), default=0) * 4 // 3  # bold letters are wider than digits
    if column.unit in DIGITS:
        return max(longest, word) + 3
    return max(min(longest, _TEXT_WIDTH_MAX), word) + 2


def _escaped(text: str) -> str:
    return _CONTROLS.sub("\ufffd", escape(text)) if _SPECIAL.search(text) else text
