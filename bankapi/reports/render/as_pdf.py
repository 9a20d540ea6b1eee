"""PDF for paper: A4, fonts embedded, the heading of a table on each of its pages, pages numbered.

Pages are laid out here, because fpdf2's own tables can neither be mirrored nor mix fonts within a cell quickly.
Everything is in memory, so rows are bounded: see PDF_ROWS_MAX.
"""

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

from fpdf.enums import TextDirection

from bankapi.reports.document import Bar, Chart, Column, Document, Table, Unit
from bankapi.reports.render.grids import PADDING, Fit, Grid, fit, natural_widths
from bankapi.reports.render.paper import INK, RULE, SHADE, SOFT, Paper, Side, line_height, upright_width
from bankapi.reports.render.progress import Progress
from bankapi.reports.render.refusing import PDF_ROWS_MAX, TooManyRows
from bankapi.reports.render.wording import DIGITS, LEFT_TO_RIGHT, Wording

_TITLE_PT: Final = 16.0
_HEADING_PT: Final = 10.5
_TEXT_PT: Final = 8.0
_BAR: Final = (47, 111, 167)
_LINES_MAX: Final = 8
"""Of a cell; a longer text ends with an ellipsis."""
_BARS_ABREAST: Final = 16
"""More bars than these stand in two columns."""


def write(document: Document, file: BinaryIO, progress: Progress) -> None:
    """Write the pages."""
    wording = Wording(document)
    grids = list(_grids(document, wording, progress))
    paper = Paper(wording.texts, document.title, is_right_to_left=wording.is_right_to_left)
    natural = [natural_widths(grid, paper.setter) for grid in grids]
    widest = max((sum(widths) + 2 * PADDING * len(widths) for widths in natural), default=0.0)
    paper.open(is_landscape=widest > upright_width())
    _head(paper, document)
    for chart in document.charts:
        _chart(paper, chart)
    for grid, widths in zip(grids, natural, strict=True):
        _Printer(paper, grid, fit(grid, widths, paper.width), wording).print()
    paper.number_pages()
    file.write(paper.pdf.output())


def _grids(document: Document, wording: Wording, progress: Progress) -> Iterator[Grid]:
    """The tables as texts. TooManyRows, counted over all of them."""
    taken = 0
    for table in document.tables:
        rows: list[Sequence[str]] = []
        for batch in progress.batches(table.rows):
            taken += len(batch)
            if taken > PDF_ROWS_MAX:
                raise TooManyRows(wording.texts)
            columns = zip(table.columns, zip(*batch, strict=True), strict=True)
            rows += zip(*(wording.column(column, cells) for column, cells in columns), strict=True)
        totals = [wording.row(table.columns, row) for row in table.totals()]
        yield Grid(table.title, table.columns, rows or _nothing(table, wording), totals)


def _nothing(table: Table, wording: Wording) -> list[Sequence[str]]:
    sentence = wording.texts.gettext("There are no rows.")
    return [[sentence, *[""] * (len(table.columns) - 1)]]


def _head(paper: Paper, document: Document) -> None:
    """Title and facts."""
    for line in paper.setter.folded(document.title, True, _TITLE_PT, paper.width):
        paper.text(line, 0, paper.width, _TITLE_PT, is_bold=True)
        paper.y += line_height(_TITLE_PT)
    paper.y += 2
    labels = [paper.setter.width(label, False, _TEXT_PT) for label, _ in document.facts]
    place = min(max(labels, default=0.0) + 4, paper.width / 3)
    for label, value in document.facts:
        paper.text(paper.setter.fitted(label, False, _TEXT_PT, place - 2), 0, place, _TEXT_PT, colour=SOFT)
        for line in paper.setter.folded(value, False, _TEXT_PT, paper.width - place):
            paper.text(line, place, paper.width - place, _TEXT_PT)
            paper.y += line_height(_TEXT_PT) + 0.3
    paper.y += 3


def _heading(paper: Paper, title: str, below: float) -> None:
    """A title that stays with what is below it."""
    if paper.room < line_height(_HEADING_PT) + 5 + below:
        paper.turn()
    else:
        paper.y += 3
    paper.text(paper.setter.fitted(title, True, _HEADING_PT, paper.width), 0, paper.width, _HEADING_PT, is_bold=True)
    paper.y += line_height(_HEADING_PT) + 1


def _chart(paper: Paper, chart: Chart) -> None:
    abreast = 2 if len(chart.bars) > _BARS_ABREAST else 1
    gap = 8.0
    width = (paper.width - gap * (abreast - 1)) / abreast
    height = line_height(_TEXT_PT) + 0.6
    _heading(paper, chart.title, min(len(chart.bars), 6) * height)
    longest = max((bar.value for bar in chart.bars), default=0) or 1
    label = min(max((paper.setter.width(bar.label, False, _TEXT_PT) for bar in chart.bars), default=0.0), width * 0.35)
    text = min(max((paper.setter.width(bar.text, False, _TEXT_PT) for bar in chart.bars), default=0.0), width * 0.35)
    bars = list(chart.bars)
    while bars:
        fitting = max(int(paper.room / height), 1)
        down = min(fitting, -(-len(bars) // abreast))
        for row in range(down):
            for column, bar in enumerate(bars[row : down * abreast : down]):
                _bar(paper, bar, column * (width + gap), width, label, text, float(bar.value / longest))
            paper.y += height
        bars = bars[down * abreast :]
        if bars:
            paper.turn()


def _bar(paper: Paper, bar: Bar, at: float, width: float, label: float, text: float, share: float) -> None:
    setter, gap = paper.setter, 2.5
    paper.text(setter.fitted(bar.label, False, _TEXT_PT, label), at, label, _TEXT_PT)
    room = width - label - text - 2 * gap
    paper.box(at + label + gap, room, 2.6, SHADE, drop=0.6)
    if share:
        paper.box(at + label + gap, max(room * share, 0.2), 2.6, _BAR, drop=0.6)
    shown = setter.fitted(bar.text, False, _TEXT_PT, text)
    paper.text(shown, at + width - text, text, _TEXT_PT, side=Side.END)


class _Printer:
    """Prints one grid, on as many pages as it takes."""

    def __init__(self, paper: Paper, grid: Grid, fit: Fit, wording: Wording) -> None:
        self._paper = paper
        self._grid = grid
        self._fit = fit
        self._height = line_height(fit.size)
        self._width = sum(fit.widths)
        self._ends = [sum(fit.widths[:place]) for place in range(len(fit.widths))]
        self._sides = [Side.RIGHT if column.unit in DIGITS else Side.START for column in grid.columns]
        self._directions = [_direction(column, wording) for column in grid.columns]
        titles = [column.title for column in grid.columns]
        self._titles = [self._folded(place, title, True, None) for place, title in enumerate(titles)]

    def print(self) -> None:
        _heading(self._paper, self._grid.title, self._tall(self._titles) + 4 * self._height)
        self._print_titles()
        for row in self._grid.rows:
            self._print_row(row)
        for number, row in enumerate(self._grid.totals):
            self._print_row(row, is_total=True, is_first_total=number == 0)

    def _print_titles(self) -> None:
        paper, tall = self._paper, self._tall(self._titles)
        paper.box(0, self._width, tall, SHADE)
        for place, lines in enumerate(self._titles):
            self._print_cell(place, lines, is_bold=True, drop=tall - len(lines) * self._height - 0.6, direction=None)
        paper.y += tall

    def _print_row(self, row: Sequence[str], *, is_total: bool = False, is_first_total: bool = False) -> None:
        cells = [
            self._folded(place, cell, is_total, self._directions[place]) if cell else []
            for place, cell in enumerate(row)
        ]
        paper, tall = self._paper, self._tall(cells)
        if paper.room < tall:
            paper.turn()
            self._print_titles()
        if is_first_total:
            paper.rule(0, self._width, SOFT, weight=0.4)
        for place, lines in enumerate(cells):
            self._print_cell(place, lines, is_bold=is_total, drop=0.6, direction=self._directions[place])
        paper.y += tall
        paper.rule(0, self._width, RULE)

    def _print_cell(
        self, place: int, lines: Sequence[str], *, is_bold: bool, drop: float, direction: TextDirection | None
    ) -> None:
        at, width = self._ends[place] + PADDING, self._fit.widths[place] - 2 * PADDING
        for number, line in enumerate(lines):
            if line:
                self._paper.text(
                    line,
                    at,
                    width,
                    self._fit.size,
                    drop=drop + number * self._height,
                    side=self._sides[place],
                    is_bold=is_bold,
                    colour=INK,
                    direction=direction,
                )

    def _folded(self, place: int, text: str, is_bold: bool, direction: TextDirection | None) -> list[str]:
        setter, size, width = self._paper.setter, self._fit.size, self._fit.widths[place] - 2 * PADDING + 0.01
        lines = setter.folded(text, is_bold, size, width, direction)
        if len(lines) > _LINES_MAX:
            lines[_LINES_MAX - 1 :] = [setter.fitted(" ".join(lines[_LINES_MAX - 1 :]), is_bold, size, width)]
        return lines

    def _tall(self, cells: Sequence[Sequence[str]]) -> float:
        return max(1, *map(len, cells)) * self._height + 1.2


def _direction(column: Column, wording: Wording) -> TextDirection | None:
    """How a column's cells are read; a text decides for itself."""
    if column.unit in LEFT_TO_RIGHT:
        return TextDirection.LTR
    if column.unit is Unit.TEXT:
        return None
    return TextDirection.RTL if wording.is_right_to_left else TextDirection.LTR
