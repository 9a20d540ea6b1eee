"""A table that is going to stand on paper: its texts, and how wide each column is made."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import chain
from typing import Final

from bankapi.reports.document import Column, Unit
from bankapi.reports.render.typesetting import Typesetter

BODY_PT: Final = 7.5
SMALLEST_PT: Final = 5.5
"""Below it nobody reads; from here on texts are folded instead."""
PADDING: Final = 1.6
"""Millimetres at each side of a cell."""
_STRETCH_MAX: Final = 1.6
_MEASURED: Final = 50
"""Of a column's texts the longest are measured: digits are all of one width, and a wider text is folded."""
_RIGID: Final = frozenset({Unit.MONEY, Unit.COUNT, Unit.DAY})
"""Units that are folded only when nothing else helps: half a number is misread."""
_TEXT_MAX: Final = 60.0
"""Millimetres that one text may claim at BODY_PT."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells of a table as people read them."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    totals: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Fit:
    """How a grid stands on a page: the size of its font (points), its columns' widths with padding (mm)."""

    size: float
    widths: tuple[float, ...]


def natural_widths(grid: Grid, setter: Typesetter) -> list[float]:
    """The widths (mm, without padding) at which nothing of the grid is folded but headings, at BODY_PT."""
    return [_natural(grid, place, column, setter) for place, column in enumerate(grid.columns)]


def fit(grid: Grid, natural: Sequence[float], available: float) -> Fit:
    """Take the largest font that folds nothing; where none does, take the smallest and narrow the widest texts."""
    padding = 2 * PADDING * len(natural)
    wanted = sum(natural)
    if wanted + padding <= available:
        stretch = min(_STRETCH_MAX, (available - padding) / wanted) if wanted else 1.0
        return Fit(BODY_PT, tuple(width * stretch + 2 * PADDING for width in natural))
    scale = max((available - padding) / wanted, SMALLEST_PT / BODY_PT)
    scaled = [width * scale for width in natural]
    flexible = [place for place, column in enumerate(grid.columns) if column.unit not in _RIGID]
    rigid = sum(scaled) - sum(scaled[place] for place in flexible)
    if rigid > 0.7 * (available - padding):
        flexible, rigid = list(range(len(scaled))), 0.0
    most = _level([scaled[place] for place in flexible], max(available - padding - rigid, 1.0))
    widths = [min(width, most) if place in flexible else width for place, width in enumerate(scaled)]
    return Fit(BODY_PT * scale, tuple(width + 2 * PADDING for width in widths))


def _natural(grid: Grid, place: int, column: Column, setter: Typesetter) -> float:
    words = (setter.width(word, True, BODY_PT) for word in column.title.split())
    longest_texts = nlargest(_MEASURED, (row[place] for row in grid.rows), key=len)
    rows = (setter.width(text, False, BODY_PT) for text in longest_texts)
    totals = (setter.width(row[place], True, BODY_PT) for row in grid.totals)
    longest = max(chain(rows, totals), default=0.0)
    return max(longest if column.unit in _RIGID else min(longest, _TEXT_MAX), max(words, default=0.0), 1.0)


def _level(widths: Sequence[float], available: float) -> float:
    """The width to which the widest are cut so that all of them together fit."""
    remaining, ordered = available, sorted(widths)
    for done, width in enumerate(ordered):
        share = remaining / (len(ordered) - done)
        if width > share:
            return share
        remaining -= width
    return ordered[-1] if ordered else available
