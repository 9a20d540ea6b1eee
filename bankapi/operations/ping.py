"""Ping: is the gateway able to register payments now?"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bankapi.operations.call import Call


class ServiceState(StrEnum):
    """What a caller can expect of the gateway."""

    AVAILABLE = "AVAILABLE"
    DEGRADED = "DEGRADED"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Availability:
    """The answer; the contract's version is the contract's own to add."""

    state: ServiceState
    server_time: datetime


def ping(call: Call) -> Availability:
    """AVAILABLE: this answer itself is being written durably, in the transaction every payment uses.

    DEGRADED: that, too, but payments take long, or the journal or notices are behind.
    """
    return Availability(ServiceState.DEGRADED if call.is_late() else ServiceState.AVAILABLE, call.now)
