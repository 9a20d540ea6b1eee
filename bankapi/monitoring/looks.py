"""Looking at something that may be slow or away, without making whoever asks wait for it."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")
LOG: Final = logging.getLogger(__name__)


class Look(Generic[T]):
    """What a look found, at most `life_s` old, for any number of threads.

    There is one look at a time, in a thread of its own: one that hangs holds nobody up for longer than `wait_s`.
    """

    def __init__(self, name: str, look: Callable[[], T], *, life_s: float, wait_s: float) -> None:
        self._name = name
        self._look = look
        self._life_s = life_s
        self._wait_s = wait_s
        self._changed = threading.Condition()
        self._is_looking = False
        self._found: T | None = None
        self._stale_at = 0.0

    def newest(self) -> T | None:
        """What was found; None when the look has failed, or takes too long."""
        with self._changed:
            if not self._is_looking and time.monotonic() >= self._stale_at:
                self._is_looking = True
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
            is_done = self._changed.wait_for(lambda: not self._is_looking, self._wait_s)
            return self._found if is_done else None

    def _run(self) -> None:
        found = None
        try:
            found = self._look()
        except Exception as error:  # what it is about is away or broken, and whoever asks is told no more than that
            LOG.warning("%s: nothing found", self._name, extra={"failure": type(error).__name__})
        with self._changed:
            self._found = found
            self._stale_at = time.monotonic() + self._life_s
            self._is_looking = False
            self._changed.notify_all()
