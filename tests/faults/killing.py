"""SIGKILL at random moments, and what can be said of each kill afterwards from what the terminals wrote down."""

import math
import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bankapi.refusals import ResultCode
from tests.faults.services import Services, Target
from tests.faults.terminals import CUT, Attempt

APART_S: Final = (0.05, 0.7)
DURING_RECOVERY: Final = 0.15
"""The share of kills that do not wait until the one before has been recovered from."""
_RECOVERY_MAX_S: Final = 120.0

ON_SQLITE: Final[Mapping[Target, int]] = {
    Target.WORKER: 57,
    Target.GATEWAY: 11,
    Target.ARBITER: 5,
    Target.BACKGROUND: 27,
}
ON_POSTGRESQL: Final[Mapping[Target, int]] = {
    Target.WORKER: 36,
    Target.GATEWAY: 7,
    Target.ARBITER: 4,
    Target.BACKGROUND: 13,
    Target.BACKEND: 23,
    Target.POSTMASTER: 17,
}


@dataclass(frozen=True, slots=True)
class Kill:
    """When what was killed, by the terminals' clock."""

    target: Target
    at: float


@dataclass(frozen=True, slots=True)
class Struck:
    """A kill, what was under way then, and how long it took until a later request was acknowledged."""

    kill: Kill
    under_way: int
    cut: int
    """Of those under way: how many ended without an acknowledged answer."""
    recovery_s: float | None
    is_alone: bool
    """No other kill came before the recovery from this one, nor this one before the recovery from another."""


def kill_at_random(
    services: Services,
    kills: int,
    weights: Mapping[Target, int],
    chosen: random.Random,
    acknowledged_since: Callable[[float], bool],
    progress: Callable[[int], None],
) -> list[Kill]:
    """Kill so many; most wait until the services have recovered, so that they strike under load."""
    done: list[Kill] = []
    while len(done) < kills:
        time.sleep(chosen.uniform(*APART_S))
        (target,) = chosen.choices(list(weights), list(weights.values()))
        victims = services.victims(target)
        if not victims:
            continue
        at = time.monotonic()
        if not kill(chosen.choice(victims)):
            continue
        done.append(Kill(target, at))
        progress(len(done))
        if chosen.random() >= DURING_RECOVERY:
            while not acknowledged_since(at):
                assert time.monotonic() < at + _RECOVERY_MAX_S, f"no recovery from killing {target}"
                time.sleep(0.01)
    return done


def kill(pids: Sequence[int]) -> bool:
    """Whether any of them was there to be killed."""
    found = False
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            found = True
    return found


def struck(kills: Sequence[Kill], attempts: Sequence[Attempt]) -> list[Struck]:
    """Recovery is counted to the first acknowledged answer to a request that was begun after the kill."""
    lost = {CUT, str(ResultCode.TEMPORARILY_UNAVAILABLE)}
    recovered_at = [
        min((each.ended_at for each in attempts if each.begun_at > kill.at and each.is_acknowledged), default=math.inf)
        for kill in kills
    ]
    found = []
    for kill, until in zip(kills, recovered_at, strict=True):
        under_way = [each for each in attempts if each.begun_at <= kill.at < each.ended_at]
        cut = sum(each.outcome in lost for each in under_way)
        others = [(other.at, end) for other, end in zip(kills, recovered_at, strict=True) if other is not kill]
        is_alone = all(end < kill.at or until < at for at, end in others)
        recovery_s = None if until == math.inf else until - kill.at
        found.append(Struck(kill, len(under_way), cut, recovery_s, is_alone))
    return found
