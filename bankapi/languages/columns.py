"""Text on paper and screens of a fixed width, where Chinese characters take two columns and accents none."""

import unicodedata
from collections.abc import Iterator

_NO_WIDTH = frozenset({"Mn", "Me", "Cf"})


def columns(text: str) -> int:
    """How many columns a line takes (Unicode Standard Annex 11)."""
    return len(text) if text.isascii() else sum(map(_width, text))


def folded(text: str, width: int) -> Iterator[str]:
    """The text in lines of at most `width` columns, broken at spaces, and within a word only where it must be."""
    line = ""
    for word in text.split():
        if columns(line) + 1 + columns(word) <= width and line:
            line = f"{line} {word}"
            continue
        if line:
            yield line
        *full, line = _pieces(word, width)
        yield from full
    if line:
        yield line


def _pieces(word: str, width: int) -> Iterator[str]:
    piece, taken = "", 0
    for character in word:
        wide = _width(character)
        if taken + wide > width:
            yield piece
            piece, taken = "", 0
        piece, taken = piece + character, taken + wide
    yield piece


def _width(character: str) -> int:
    if unicodedata.category(character) in _NO_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
