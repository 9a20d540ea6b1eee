"""The cells of a table as people read them, in the document's language and zone."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bankapi.billing.money import Money
from bankapi.languages.texts import texts
from bankapi.reports.document import Cell, Column, Document, Unit

RIGHT_TO_LEFT: Final = frozenset({"ar"})
"""The languages of ours that are written from right to left."""
DIGITS: Final = frozenset({Unit.COUNT, Unit.MONEY})
"""Units whose digits stand below each other, so at the right in every language."""
LEFT_TO_RIGHT: Final = DIGITS | {Unit.CODE}
"""Units that are written from left to right whatever is around them."""
LEFT_TO_RIGHT_MARK: Final = "\u200e"
_SIGNED: Final = re.compile(r"(?<!\S)(?=[+\-−]\d)")


def isolated(text: str) -> str:
    """The text with a mark before signed numbers, whose sign would else go behind them among Arabic letters."""
    return _SIGNED.sub(LEFT_TO_RIGHT_MARK, text)


def reads_right_to_left(text: str) -> bool | None:
    """The direction of the first letter (UAX #9, P2 and P3); None when there is none."""
    for character in text:
        match unicodedata.bidirectional(character):
            case "L":
                return False
            case "R" | "AL":
                return True
    return None


class Wording:
    """What one document's cells say."""

    def __init__(self, document: Document) -> None:
        self.texts = texts(document.language)
        self.is_right_to_left = self.texts.language in RIGHT_TO_LEFT
        self._zone = document.zone

    def column(self, column: Column, cells: Sequence[Cell]) -> list[str]:
        """The cells of one column. An amount tells its currency unless another column does."""
        has_currency = column.currency_name is not None
        return [self._cell(cell, has_currency) for cell in cells]

    def row(self, columns: Sequence[Column], row: Sequence[Cell]) -> list[str]:
        """The cells of one row."""
        return [self.column(column, (cell,))[0] for column, cell in zip(columns, row, strict=True)]

    def _cell(self, cell: Cell, has_currency: bool) -> str:
        if cell is None:
            return ""
        if isinstance(cell, str):
            return str(cell)
        if isinstance(cell, Money):
            amount = cell.to_decimal()
            return self.texts.amount(amount, cell.currency) if has_currency else self.texts.number(amount)
        if isinstance(cell, int):
            return self.texts.number(cell)
        if isinstance(cell, datetime):
            return self.texts.moment(cell, self._zone)
        return self.texts.day(cell)
