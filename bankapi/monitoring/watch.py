"""One request as the operator sees it: how long each stage took, what came of it, and a line when it was slow."""

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from bankapi.billing.money import Money
from bankapi.monitoring import metrics
from bankapi.monitoring.lateness import Lateness
from bankapi.monitoring.metrics import Metrics
from bankapi.storage.engine import Store

journal: Final = logging.getLogger("bankapi.journal")
UNKNOWN: Final = "unknown"
"""The operation of a request that was not read so far, or that asks for one that does not exist."""
OTHER: Final = "other"
"""A currency that its dealer may not pay in: the caller's word, so no label."""
PAYING: Final = frozenset({"RegisterPayment", "CancelPayment"})
"""The operations whose duration says whether payments are slow."""


class Door(StrEnum):
    """Where requests come in."""

    SOAP = "soap"
    WAY4 = "way4"


class Stage(StrEnum):
    """The parts of a request's way, in their order."""

    QUEUE = "queue"
    """Waiting for a thread."""
    CHECK = "check"
    """From bytes to a message that conforms."""
    VERIFY = "verify"
    """Its signature."""
    TURN = "turn"
    """Waiting for a connection, and in SQLite for the one writer."""
    PERFORM = "perform"
    """Admission and the operation."""
    SIGN = "sign"
    """The answer and its evidence."""
    COMMIT = "commit"
    """Until it is durable; in a shared commit, until the others are done, too."""


class Happening(StrEnum):
    """What can become of a payment."""

    REGISTERED = "registered"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    VOIDED = "voided"


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """Something that became of a payment, for the first time."""

    happening: Happening
    dealer: str
    amount: Money
    is_known_currency: bool
    """Whether the dealer may pay in it."""


class Watch:
    """A stopwatch that goes with one request."""

    __slots__ = ("_last", "door", "event", "failure", "outcome", "rule", "stages")

    def __init__(self, door: Door, waited_s: float) -> None:
        self.door = door
        self.stages = {Stage.QUEUE: waited_s}
        self._last = time.perf_counter()
        self.outcome = UNKNOWN
        """The result code or the fault code."""
        self.rule: str | None = None
        """The rule it broke, when it was refused."""
        self.failure: str | None = None
        """Why the database could not."""
        self.event: PaymentEvent | None = None

    def passed(self, stage: Stage) -> None:
        """The stage ends now, and the next one begins; one that is run again takes so much longer."""
        now = time.perf_counter()
        self.stages[stage] = self.stages.get(stage, 0.0) + now - self._last
        self._last = now

    def refused(self, fault: str, rule: str) -> None:
        """It ends with a fault: whatever was done before is undone."""
        self.outcome, self.rule, self.event = fault, rule, None

    def did_not_commit(self, outcome: str, failure: str) -> None:
        """It ends with an answer that decides nothing, because the database failed so."""
        self.outcome, self.failure, self.event = outcome, failure, None

    def total_s(self) -> float:
        """From the whole request until now."""
        return sum(self.stages.values()) + time.perf_counter() - self._last


class Observer:
    """Counts what watches have seen; one per process."""

    def __init__(self, store: Store, lateness: Lateness, *, slow_s: float) -> None:
        self.lateness = lateness
        self._store = store
        self._slow_s = slow_s
        self._stored = Counter[str]()
        self._storing = threading.Lock()
        self._children: dict[tuple[str, ...], Any] = {}

    @cached_property
    def _metrics(self) -> Metrics:
        return metrics.ours()

    def ended(self, watch: Watch, operation: str | None, exchange_id: str) -> None:
        """The answer is ready. Never raises: counting is not worth an answer."""
        try:
            self._count(watch, operation or UNKNOWN, exchange_id)
        except Exception as error:
            journal.error("not counted", extra={"exchange_id": exchange_id, "failure": type(error).__name__})

    def _count(self, watch: Watch, operation: str, exchange_id: str) -> None:
        duration_s = watch.total_s()
        self._child("requests", watch.door, operation, watch.outcome).inc()
        self._child("request_s", watch.door, operation).observe(duration_s)
        for stage, stage_s in watch.stages.items():
            self._child("stage_s", stage).observe(stage_s)
        if watch.rule is not None:
            self._child("refusals", watch.rule).inc()
        if watch.failure is not None:
            self._child("storage_failures", watch.failure).inc()
        if watch.event is not None:
            self._count_payment(watch.event)
        self._count_storage()
        if operation in PAYING:
            self.lateness.paid(duration_s)
        if duration_s > self._slow_s:
            self._child("slow", watch.door).inc()
            stages_ms = {stage.value: _ms(stage_s) for stage, stage_s in watch.stages.items()}
            extra = {"exchange_id": exchange_id, "operation": operation, "duration_ms": _ms(duration_s)}
            journal.warning("slow", extra={**extra, "stages_ms": stages_ms})

    def _count_payment(self, event: PaymentEvent) -> None:
        currency = event.amount.currency if event.is_known_currency else OTHER
        labels = (event.dealer, currency, event.happening)
        self._child("payments", *labels).inc()
        if event.is_known_currency:
            self._child("amounts", *labels).inc(float(event.amount.to_decimal()))

    def _count_storage(self) -> None:
        """What the store has counted since the last time; one thread does it, and the others need not wait."""
        if not self._storing.acquire(blocking=False):
            return
        try:
            commits, requests = self._store.group_commits()
            now = {"storage_retries": self._store.races_lost}
            now |= {"group_commits": commits, "group_commit_requests": requests}
            for name, count in now.items():
                if count > self._stored[name]:
                    getattr(self._metrics, name).inc(count - self._stored[name])
                    self._stored[name] = count
        finally:
            self._storing.release()

    def _child(self, metric: str, *labels: str) -> Any:
        """A metric with its labels; looking it up in prometheus_client takes longer than counting."""
        key = (metric, *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = getattr(self._metrics, metric).labels(*labels)
        return child


def _ms(duration_s: float) -> float:
    return round(duration_s * 1000, 1)
