"""What the two reports share: whose days are asked for, and how a page ends."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from itertools import islice
from typing import Final, TypeVar

from bankapi.reports.cursors import cursor

T = TypeVar("T")

PERIOD_MAX: Final = timedelta(days=366)
"""From the first to the last day of a report that is asked for over the wire."""
PAGE_ROWS: Final = 100
PAGE_ROWS_MAX: Final = 500


def is_period(first_on: date, last_on: date) -> bool:
    """Whether these days are a period that may be asked for."""
    return first_on <= last_on <= first_on + PERIOD_MAX


def page(
    rows: Iterable[T], size: int | None, question: str, key: Callable[[T], Sequence[str]]
) -> tuple[tuple[T, ...], str | None]:
    """The first rows, and the cursor to the rest when there is any."""
    most = size or PAGE_ROWS
    taken = tuple(islice(rows, most + 1))
    if len(taken) <= most:
        return taken, None
    return taken[:most], cursor(question, key(taken[most - 1]))
