"""The one source of the current time, so that tests can fake the clock and nothing else."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The current instant, timezone-aware, in UTC, with microseconds."""
    return datetime.now(UTC)
