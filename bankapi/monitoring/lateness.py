"""Whether a gateway that serves is late all the same: what Ping calls DEGRADED.

Late are payments, when half of the recent ones of this process took longer than a request may; the journal, when
exchanges have waited too long for a checkpoint; notices, when one has waited too long to be taken up.
"""

import time
from collections import deque
from contextlib import suppress
from datetime import timedelta
from statistics import median
from typing import Final

from bankapi.clock import Clock
from bankapi.monitoring import lags
from bankapi.storage.engine import STORAGE_ERRORS, Store

RECENT_MAX: Final = 32
RECENT_MIN: Final = 8
"""Fewer payments say nothing."""
RECENT_S: Final = 60.0
"""What was slow longer ago says nothing about now."""
_LOOK_UP_S: Final = 1.0


class Lateness:
    """What one process knows of it; every method may be called from any thread."""

    def __init__(self, store: Store, clock: Clock, *, slow_s: float, late: timedelta, has_notices: bool) -> None:
        self._store = store
        self._clock = clock
        self._slow_s = slow_s
        self._late = late
        self._has_notices = has_notices
        self._paid: deque[tuple[float, float]] = deque(maxlen=RECENT_MAX)
        self._due_at = 0.0
        self._work_is_late = False

    def paid(self, duration_s: float) -> None:
        """A payment or its cancellation took so long."""
        self._paid.append((time.monotonic(), duration_s))

    def is_late(self) -> bool:
        """The database is asked once a second at most."""
        return self._payments_are_slow() or self._is_behind()

    def _payments_are_slow(self) -> bool:
        since = time.monotonic() - RECENT_S
        recent_s = [duration_s for ended_at, duration_s in self._paid.copy() if ended_at > since]
        return len(recent_s) >= RECENT_MIN and median(recent_s) > self._slow_s

    def _is_behind(self) -> bool:
        """As it was known last while the database cannot be asked: then the caller is told so anyway."""
        if time.monotonic() >= self._due_at:
            self._due_at = time.monotonic() + _LOOK_UP_S  # first, so that one thread looks and the others go on
            now = self._clock()
            with suppress(*STORAGE_ERRORS), self._store.read() as connection:
                self._work_is_late = lags.evidence_lag(connection, now) > self._late or (
                    self._has_notices and lags.notice_lag(connection, now) > self._late
                )
        return self._work_is_late
