"""Where cards come from: the operator's table of issuer numbers, from which a payer's language follows.

ISO/IEC 7812-1 has issuer identification numbers (BINs) of 6 or 8 digits; both are kept as spans of 8-digit numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, select

from bankapi.billing.tables import card_ranges
from bankapi.languages.choosing import language_of_country

DIGITS: Final = 8
SPAN_MAX: Final = 1_000_000
"""8-digit numbers in one range at most: as many as begin with the same two digits. It bounds the look-up."""


@dataclass(frozen=True, slots=True)
class CardRange:
    """The cards whose first 8 digits are from `first` to `last`; `language` (BCP 47) when not the country's own."""

    first: int
    last: int
    country: str
    language: str | None = None

    @property
    def tag(self) -> str | None:
        """The language of the people who hold these cards, as far as a country can say."""
        return self.language or language_of_country(self.country)


def span(first: str, last: str) -> tuple[int, int]:
    """Two BINs of 6 to 8 digits as the first and the last 8-digit number between them."""
    return int(first.ljust(DIGITS, "0")), int(last.ljust(DIGITS, "9"))


_COLUMNS: Final = (
    card_ranges.c.first_bin,
    card_ranges.c.last_bin,
    card_ranges.c.country,
    card_ranges.c.language,
)
_HOLDING: Final = (
    select(*_COLUMNS)
    .where(
        card_ranges.c.first_bin.between(bindparam("earliest"), bindparam("low")),
        card_ranges.c.last_bin >= bindparam("high"),
    )
    .order_by(card_ranges.c.last_bin - card_ranges.c.first_bin, card_ranges.c.first_bin.desc())
    .limit(1)
)


def find(connection: Connection, card_bin: str) -> CardRange | None:
    """The narrowest range that holds every card with this BIN; one indexed query."""
    low, high = span(card_bin, card_bin)
    row = connection.execute(_HOLDING, {"earliest": low - SPAN_MAX, "low": low, "high": high}).first()
    return None if row is None else CardRange(*row)


def language_of(connection: Connection, card_bin: str | None) -> str | None:
    """The language tag of a card; None without a card, or when its range is not known."""
    found = None if card_bin is None else find(connection, card_bin)
    return None if found is None else found.tag


def clear(connection: Connection) -> None:
    """Forget every range."""
    connection.execute(delete(card_ranges))


def add(connection: Connection, ranges: Sequence[CardRange]) -> None:
    """Add ranges, no two of them with the same ends."""
    rows: list[dict[str, Any]] = [
        {"first_bin": each.first, "last_bin": each.last, "country": each.country, "language": each.language}
        for each in ranges
    ]
    if rows:
        connection.execute(card_ranges.insert(), rows)


def list_ranges(connection: Connection) -> list[CardRange]:
    """Every range, in the order of its numbers."""
    query = select(*_COLUMNS).order_by(card_ranges.c.first_bin, card_ranges.c.last_bin.desc())
    return [CardRange(*row) for row in connection.execute(query)]
