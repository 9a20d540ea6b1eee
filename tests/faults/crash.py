"""One run on one database: load, kills, and a verdict over everything that was acknowledged."""

import random
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from bankapi.operations.get_payment_status import PaymentState
from bankapi.storage.engine import Store
from tests.faults import books, killing
from tests.faults.books import Verdict
from tests.faults.killing import Kill, Struck
from tests.faults.services import Services, Target
from tests.faults.terminals import CUT, NOT_TRUSTED, Attempt, PayingTerminal, Told

CLIENTS: Final = 8
_DRAIN_S: Final = 180.0


@dataclass(frozen=True)
class Crash:
    """What a run gave."""

    database: str
    seed: int
    kills: Sequence[Kill]
    attempts: Sequence[Attempt]
    told: Sequence[Told]
    verdict: Verdict
    failures: Sequence[str]
    """Whatever else must not be: audits, orphans, contradictory answers, processes that ended badly."""
    wall_s: float

    @property
    def is_sound(self) -> bool:
        return self.verdict.is_sound and not self.failures

    @cached_property
    def struck(self) -> list[Struck]:
        return killing.struck(self.kills, self.attempts)

    def registered(self) -> list[Told]:
        """References whose registration was acknowledged, whatever became of them later."""
        return [each for each in self.told if each.fresh or each.replayed or each.state is PaymentState.CANCELLED]


def run(services: Services, kills: int, seed: int, progress: Callable[[int], None] = lambda done: None) -> Crash:
    """Kill so often under load, then end in order and look at everything."""
    begun = time.monotonic()
    paying = [PayingTerminal(services.settings, number, seed) for number in range(CLIENTS)]
    weights = killing.ON_SQLITE if services.database is None else killing.ON_POSTGRESQL
    for terminal in paying:
        terminal.start()
    try:
        done = killing.kill_at_random(
            services, kills, weights, random.Random(seed), lambda at: _acknowledged_since(paying, at), progress
        )
        services.wait_until_it_answers()
    finally:
        for terminal in paying:
            terminal.stop.set()
    for terminal in paying:
        terminal.join(_DRAIN_S)
    wall_s = time.monotonic() - begun
    attempts = [each for terminal in paying for each in terminal.attempts]
    told = [each for terminal in paying for each in terminal.told]
    failures = [f"{terminal.name}: {terminal.failure!r}" for terminal in paying if terminal.failure]
    failures += [f"{terminal.name} does not end" for terminal in paying if terminal.is_alive()]
    failures += [each for one in told for each in one.contradictions]
    failures += [
        f"an answer of {each.operation} that proves nothing" for each in attempts if each.outcome == NOT_TRUSTED
    ]
    failures += _end(services)
    store = Store(services.settings.database_url, is_patient=True)
    with store.read() as connection:
        verdict = books.compare(connection, told, attempts)
    store.close()
    failures += _audit(services)
    if services.database is not None:
        services.database.stop(signal.SIGINT)
    failures += [f"still runs: {each}" for each in services.orphans()]
    name = "SQLite" if services.database is None else "PostgreSQL"
    return Crash(name, seed, done, attempts, told, verdict, failures, wall_s)


def _acknowledged_since(paying: Sequence[PayingTerminal], at: float) -> bool:
    """Whether a request begun since then was acknowledged; the last few attempts of each terminal tell."""
    return any(each.begun_at > at and each.is_acknowledged for one in paying for each in one.attempts[-4:])


def _end(services: Services) -> Iterator[str]:
    if services.counts() != 200:
        yield "/metrics cannot be read"
    for name, code in zip(("the gateway", "bankapi worker"), services.stop(), strict=True):
        if code != 0:
            yield f"{name} ended with {code}"


def _audit(services: Services) -> Iterator[str]:
    for arguments in (("audit", "seal"), ("audit", "verify", "--strict")):
        ended = services.command(*arguments, "--json")
        if ended.returncode != 0:
            yield f"bankapi {' '.join(arguments)}: {ended.returncode} {ended.stdout[-2000:]}{ended.stderr[-2000:]}"


def report(crash: Crash) -> Iterator[str]:
    """The lines of the printed report."""
    struck, verdict = crash.struck, crash.verdict
    acknowledged = sum(each.is_acknowledged for each in crash.attempts)
    registered, replayed = crash.registered(), sum(each.replayed > 0 for each in crash.told)
    retried = [each for each in crash.told if each.tries > 1]
    found_booked = sum(not each.fresh and each.replayed > 0 for each in retried)
    cancelled = sum(each.state is PaymentState.CANCELLED for each in crash.told)
    yield f"{crash.database}: {len(crash.kills)} kills in {crash.wall_s:.0f} s, {CLIENTS} terminals, seed {crash.seed}"
    yield f"  {'killed':<28}{'kills':>6}{'under way':>11}{'cut':>6}{'recovery: median':>18}{'p95':>8}{'max':>8}"
    for target in [*Target, None]:
        of_it = [each for each in struck if target in (None, each.kill.target)]
        if of_it:
            yield _line(target or "all", of_it)
    if alone := [each for each in struck if each.is_alone]:
        yield _line("all that came alone", alone)
    idle = sum(each.under_way == 0 for each in struck)
    per_kill = statistics.median(each.under_way for each in struck)
    yield f"  requests under way at a kill: median {per_kill:.0f}; kills that met none: {idle}"
    yield f"  {len(crash.attempts)} requests, {acknowledged} acknowledged, {_count(crash, CUT)} cut without an answer"
    yield f"  {len(registered)} payments acknowledged, {cancelled} of them cancelled; {len(retried)} sent again,"
    yield f"  {replayed} answered as replayed, {found_booked} of which were booked by a request whose answer was lost"
    yield f"  {len(crash.told) - _decided(crash)} given up undecided, {verdict.undecided_booked} of them booked"
    yield f"  lost {len(verdict.lost)}, doubled {len(verdict.doubled)}, otherwise than asked {len(verdict.differing)},"
    yield f"  answers without evidence {verdict.unwitnessed}, ledger and reports {len(verdict.unsound)},"
    yield f"  other failures {len(crash.failures)}"
    for each in (*verdict.lost, *verdict.doubled, *verdict.differing, *verdict.unsound, *crash.failures):
        yield f"  FAILED {each}"


def _line(name: str, struck: Sequence[Struck]) -> str:
    took = sorted(each.recovery_s for each in struck if each.recovery_s is not None)
    under_way, cut = sum(each.under_way for each in struck), sum(each.cut for each in struck)
    median, p95, most = (took[min(len(took) - 1, int(len(took) * share))] for share in (0.5, 0.95, 1.0))
    return f"  {name:<28}{len(struck):>6}{under_way:>11}{cut:>6}{median:>16.2f} s{p95:>6.2f} s{most:>6.2f} s"


def _count(crash: Crash, outcome: str) -> int:
    return sum(each.outcome == outcome for each in crash.attempts)


def _decided(crash: Crash) -> int:
    return sum(each.state not in (None, PaymentState.NEVER_SEEN) for each in crash.told)
