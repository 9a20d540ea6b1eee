"""A4 pages that are filled from the top, and from the side where the language starts to read.

Lengths are millimetres. A place on a line is told by its distance from the starting side: the left one, or the right
one in Arabic. So whoever lays out a page does it once for both directions.
"""

import logging
from enum import Enum
from typing import Final

from fpdf import FPDF
from fpdf.enums import TextDirection

from bankapi.languages.texts import Texts
from bankapi.reports.render.typesetting import Typesetter

Colour = tuple[int, int, int]
INK: Final = (27, 39, 51)
SOFT: Final = (91, 107, 122)
RULE: Final = (213, 221, 229)
SHADE: Final = (234, 239, 244)
MARGIN: Final = 12.0
LEADING: Final = 1.32
"""The height of a line, in heights of its font."""
_FOOT: Final = 9.0
_FOOT_PT: Final = 7.0
_SIDES: Final = (210.0, 297.0)


class Side(Enum):
    """Where a text touches the edge of its place."""

    START = "start"
    END = "end"
    RIGHT = "right"
    """Digits stand at the right in every language, units below units."""


class Paper:
    """The pages of one PDF and a cursor on the last of them."""

    def __init__(self, texts: Texts, title: str, *, is_right_to_left: bool) -> None:
        # At INFO it names every glyph of a report, dozens of lines for each font.
        logging.getLogger("fontTools.subset").setLevel(logging.WARNING)
        self.pdf = FPDF(unit="mm", format="A4")
        self.setter = Typesetter(self.pdf, is_right_to_left)
        self.y = 0.0
        self.width = upright_width()
        self._texts = texts
        self._title = title
        self._is_right_to_left = is_right_to_left
        self._is_landscape = False
        self._colour: Colour | None = None
        self.pdf.set_auto_page_break(False)
        self.pdf.set_margin(0)
        self.pdf.c_margin = 0
        self.pdf.set_title(title)
        self.pdf.set_lang(texts.language)
        self.pdf.set_creator("bankapi")

    def open(self, *, is_landscape: bool) -> None:
        """Choose how the pages lie, and begin the first."""
        self._is_landscape = is_landscape
        self.width = lying_width() if is_landscape else upright_width()
        self.turn()

    def turn(self) -> None:
        """Begin a new page."""
        self.pdf.add_page(orientation="landscape" if self._is_landscape else "portrait")
        self.y = MARGIN

    @property
    def room(self) -> float:
        """What is left of this page."""
        return float(self.pdf.h) - MARGIN - _FOOT - self.y

    def text(
        self,
        text: str,
        at: float,
        width: float,
        size: float,
        *,
        drop: float = 0.0,
        side: Side = Side.START,
        is_bold: bool = False,
        colour: Colour = INK,
        direction: TextDirection | None = None,
    ) -> None:
        """One line in a place `at` from the start and `drop` below the cursor; it must fit, see `folded`."""
        line = self.setter.line(text, is_bold, direction)
        taken = line.width * size / self.pdf.k
        x = self._left(at, width)
        if side is Side.RIGHT or (side is Side.START) == self._is_right_to_left:
            x += width - taken
        if colour != self._colour:
            self.pdf.set_text_color(*colour)
            self._colour = colour
        baseline = self.y + drop + (LEADING / 2 + 0.36) * size / self.pdf.k
        self.setter.put(line, x, baseline, size)

    def box(self, at: float, width: float, height: float, colour: Colour, *, drop: float = 0.0) -> None:
        """A filled rectangle."""
        self.pdf.set_fill_color(*colour)
        self.pdf.rect(self._left(at, width), self.y + drop, width, height, style="F")

    def rule(self, at: float, width: float, colour: Colour = RULE, *, drop: float = 0.0, weight: float = 0.15) -> None:
        """A horizontal line."""
        self.pdf.set_draw_color(*colour)
        self.pdf.set_line_width(weight)
        left = self._left(at, width)
        self.pdf.line(left, self.y + drop, left + width, self.y + drop)

    def number_pages(self) -> None:
        """Put the title and "page x of y" below every page, when it is known how many there are."""
        pages = len(self.pdf.pages)
        for page in range(1, pages + 1):
            self.setter.turn_to(page)
            self.y = float(self.pdf.h) - MARGIN - line_height(_FOOT_PT)
            numbered = self._texts.gettext(
                "Page {page} of {pages}", page=self._texts.number(page), pages=self._texts.number(pages)
            )
            place = self.setter.width(numbered, False, _FOOT_PT) + 4
            title = self.setter.fitted(self._title, False, _FOOT_PT, self.width - place)
            self.text(title, 0, self.width - place, _FOOT_PT, colour=SOFT)
            self.text(numbered, self.width - place, place, _FOOT_PT, side=Side.END, colour=SOFT)

    def _left(self, at: float, width: float) -> float:
        return MARGIN + (self.width - at - width if self._is_right_to_left else at)


def line_height(size: float) -> float:
    """Millimetres between the lines of a font of `size` points."""
    return LEADING * size * 25.4 / 72


def upright_width() -> float:
    """What a portrait page holds between its margins."""
    return _SIDES[0] - 2 * MARGIN


def lying_width() -> float:
    """What a landscape page holds between its margins."""
    return _SIDES[1] - 2 * MARGIN
