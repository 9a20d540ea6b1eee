"""Lines of text on a PDF page: in the fonts that have their characters, in the order they are read, joined letters.

Three fonts cover our ten languages, and what stands in a report may need more than one of them in a line. A character
that none of them has is shown as U+FFFD; fpdf2 would leave it out, and log it.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from itertools import groupby
from typing import Final

from fontTools.ttLib import TTFont
from fpdf import FPDF
from fpdf.bidi import BidiParagraph
from fpdf.enums import TextDirection
from fpdf.fonts import TTFFont

from bankapi.reports.render.wording import LEFT_TO_RIGHT_MARK, isolated, reads_right_to_left

_FILES: Final = {
    ("latin", ""): "NotoSans-Regular.ttf",
    ("latin", "B"): "NotoSans-Bold.ttf",
    ("arabic", ""): "NotoSansArabic-Regular.ttf",
    ("arabic", "B"): "NotoSansArabic-Bold.ttf",
    ("chinese", ""): "NotoSansSC-Regular.otf",
}
_FAMILIES: Final = ("latin", "arabic", "chinese")
"""In the order in which they are asked for a character."""
MISSING: Final = "\ufffd"
ELLIPSIS: Final = "…"
_KNOWN_MAX: Final = 4096
"""Lines kept as set: statuses, terminals and days come again and again."""
_MIRRORED: Final = str.maketrans("()[]{}<>«»‹›", ")(][}{><»«›‹")
"""Brackets open the other way from right to left (UAX #9, L4)."""
_JOINED: Final = re.compile("[\u0620-\u06ff]{2}")
"""Neighbours whose letters take other forms; a letter alone, as for a.m., has the form that it has anyway."""
_NUMBER: Final = re.compile(r"\d+(?:[.,:/]\d+)*", re.ASCII)
_SHAPING: Final = {"features": {}, "fragment_direction": TextDirection.RTL, "script": "Arab", "language": None}


@dataclass(frozen=True, slots=True)
class Piece:
    """Characters of one font and one direction, and their width for each point of the font's size, in points."""

    family: str
    text: str
    width: float
    is_right_to_left: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A line ready to be set: its pieces from left to right."""

    pieces: tuple[Piece, ...]
    is_bold: bool
    width: float
    """For each point of the font's size, in points."""


class Typesetter:
    """Sets lines on the pages of one PDF."""

    def __init__(self, pdf: FPDF, is_right_to_left: bool) -> None:
        self._pdf = pdf
        self._is_right_to_left = is_right_to_left
        self.line = lru_cache(_KNOWN_MAX)(self._line)

    def put(self, line: Line, x: float, baseline: float, size: float) -> None:
        """Put a line on the page: its left end, its baseline (mm) and the size of its font (points)."""
        pdf = self._pdf
        for piece in line.pieces:
            pdf.set_font(piece.family, _style(piece.family, line.is_bold), size)
            if piece.is_right_to_left:
                self._put_shaped(piece, x, baseline, size)
            else:
                pdf.text(x, baseline, piece.text)
            x += piece.width * size / pdf.k

    def turn_to(self, page: int) -> None:
        """Go on on a page that exists already; fpdf2 has to name the font there again."""
        self._pdf.page = page
        self._font(_FAMILIES[0], True)
        for style in ("B", ""):
            self._pdf.set_font(_FAMILIES[0], style)

    def width(self, text: str, is_bold: bool, size: float, direction: TextDirection | None = None) -> float:
        """The width of a text (mm)."""
        return self.line(text, is_bold, direction).width * size / self._pdf.k

    def folded(
        self, text: str, is_bold: bool, size: float, width: float, direction: TextDirection | None = None
    ) -> list[str]:
        """The text in lines of at most this width (mm), broken at spaces, and within a word only where it must be."""
        if self.width(text, is_bold, size, direction) <= width:
            return [text]
        lines, line = [], ""
        for word in text.split():
            joined = f"{line} {word}" if line else word
            if self.width(joined, is_bold, size) <= width:
                line = joined
                continue
            if line:
                lines.append(line)
            *full, line = self._broken(word, is_bold, size, width)
            lines += full
        return [*lines, line]

    def fitted(self, text: str, is_bold: bool, size: float, width: float) -> str:
        """The text, or its beginning and an ellipsis when it is wider (mm)."""
        if self.width(text, is_bold, size) <= width:
            return text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if self.width(text[:middle].rstrip() + ELLIPSIS, is_bold, size) <= width:
                low = middle
            else:
                high = middle - 1
        return text[:low].rstrip() + ELLIPSIS

    def _broken(self, word: str, is_bold: bool, size: float, width: float) -> Iterator[str]:
        piece = ""
        for character in word:
            if piece and self.width(piece + character, is_bold, size) > width:
                yield piece
                piece = ""
            piece += character
        yield piece

    def _line(self, text: str, is_bold: bool, direction: TextDirection | None) -> Line:
        """The line for a text. Without a direction its first letter decides, and the page's for a text of none."""
        shown = self.shown(text)
        if direction is None:
            of_text = reads_right_to_left(shown)
            is_right_to_left = self._is_right_to_left if of_text is None else of_text
            direction = TextDirection.RTL if is_right_to_left else TextDirection.LTR
        plain = shown.isascii() and (direction is TextDirection.LTR or _NUMBER.fullmatch(shown) is not None)
        runs = [(shown, False)] if plain else _runs(isolated(shown), direction)
        pieces = tuple(piece for run, is_reversed in runs for piece in self._pieces(run, is_reversed, is_bold))
        return Line(pieces, is_bold, sum(piece.width for piece in pieces))

    def shown(self, text: str) -> str:
        """What can be shown of a text: U+FFFD for what no font has, and nothing for marks that are not seen."""
        return text if text.isascii() and text.isprintable() else "".join(map(_shown, text))

    def _pieces(self, run: str, is_right_to_left: bool, is_bold: bool) -> Iterator[Piece]:
        by_font = [(_FAMILIES[0], run)] if run.isascii() else _by_font(run)
        for family, characters in reversed(by_font) if is_right_to_left else by_font:
            shaped = is_right_to_left and _JOINED.search(characters) is not None
            order = characters[::-1].translate(_MIRRORED) if is_right_to_left and not shaped else characters
            font = self._font(family, is_bold)
            _, width = font.get_text_width(characters, 1, _SHAPING if shaped else None)
            yield Piece(family, order, width, shaped)

    def _put_shaped(self, piece: Piece, x: float, baseline: float, size: float) -> None:
        """`text` does not join letters, `cell` does; it puts the baseline 0.3 font heights below its middle."""
        pdf = self._pdf
        pdf.set_text_shaping(use_shaping_engine=True, direction="rtl", script="Arab")
        pdf.set_xy(x, baseline - 0.3 * size / pdf.k)
        pdf.cell(w=piece.width * size / pdf.k, h=0, text=piece.text)
        pdf.set_text_shaping(use_shaping_engine=False)

    def _font(self, family: str, is_bold: bool) -> TTFFont:
        """The font, loaded when it is first needed: a report without Chinese does not embed it."""
        style = _style(family, is_bold)
        font = self._pdf.fonts.get(family + style)
        if font is None:
            with resources.as_file(resources.files("bankapi.reports.fonts") / _FILES[family, style]) as file:
                self._pdf.add_font(family, style, file)
            font = self._pdf.fonts[family + style]
        assert isinstance(font, TTFFont)
        return font


def _style(family: str, is_bold: bool) -> str:
    return "B" if is_bold and (family, "B") in _FILES else ""


def has_glyph(character: str) -> bool:
    """Whether a font of ours has the character."""
    return any(ord(character) in _characters(family) for family in _FAMILIES)


@lru_cache(_KNOWN_MAX)
def _family(character: str) -> str:
    return next((family for family in _FAMILIES if ord(character) in _characters(family)), _FAMILIES[0])


@cache
def _characters(family: str) -> frozenset[int]:
    with resources.as_file(resources.files("bankapi.reports.fonts") / _FILES[family, ""]) as file, TTFont(file) as font:
        return frozenset(font.getBestCmap())


@lru_cache(_KNOWN_MAX)
def _shown(character: str) -> str:
    if character.isspace():
        return " "
    if unicodedata.category(character) == "Cf":
        return ""
    return character if has_glyph(character) else MISSING


def _by_font(run: str) -> list[tuple[str, str]]:
    """The stretches of one font; blanks and accents stay with the character before them."""
    stretches: list[tuple[str, str]] = []
    for character in run:
        family = _family(character)
        if stretches and (stretches[-1][0] == family or character == " " or unicodedata.combining(character)):
            stretches[-1] = (stretches[-1][0], stretches[-1][1] + character)
        else:
            stretches.append((family, character))
    return stretches


def _runs(text: str, direction: TextDirection) -> list[tuple[str, bool]]:
    """The runs of one direction from left to right, and whether a run is read from right to left (UAX #9, L2)."""
    characters = BidiParagraph(text, base_direction=direction).get_characters_with_embedding_level()
    runs: list[tuple[int, str]] = []
    for character in characters:
        level = character.embedding_level
        if character.character == LEFT_TO_RIGHT_MARK:
            continue
        if runs and runs[-1][0] == level:
            runs[-1] = (level, runs[-1][1] + character.character)
        else:
            runs.append((level, character.character))
    for level in range(max((level for level, _ in runs), default=0), 0, -1):
        runs = list(_reversed_from(level, runs))
    return [(run, level % 2 == 1) for level, run in runs]


def _reversed_from(level: int, runs: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The runs, with those of the level and above turned round where they stand together."""
    for is_turned, together in groupby(runs, key=lambda run: run[0] >= level):
        stretch = list(together)
        yield from reversed(stretch) if is_turned else stretch
