"""Rows a few hundred at a time, told to whoever waits."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from bankapi.reports.document import Row

BATCH_ROWS: Final = 500
"""Rows in memory at a time."""

Tell = Callable[[int], None]


def silent(rows: int) -> None:
    """Tell nobody."""


class Progress:
    """Counts the rows of all tables of a document."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._rows = 0

    def batches(self, rows: Iterable[Row]) -> Iterator[Sequence[Row]]:
        """The rows in lists of at most BATCH_ROWS; each counts as written when the next one is asked for."""
        remaining = iter(rows)
        while batch := list(islice(remaining, BATCH_ROWS)):
            yield batch
            self._rows += len(batch)
            self._tell(self._rows)
