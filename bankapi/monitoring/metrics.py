"""Every metric a process counts itself; gauges that need the database are in `stock`.

Names follow Prometheus (Metric and label naming; Writing client libraries): `bankapi_`, base units, `_total` for
counters. Label values are ours and few: operations, codes, rules, stages, and the operator's own dealers. Nothing a
caller wrote is ever a label. Dealers are a label of payments only: whose payments stop or are declined is the
operator's first question, and a dealer is a contract somebody signed; on every request series they would multiply
with operations and outcomes and answer nothing more. Terminals are no label: there may be thousands.

The processes that serve count in files they share (`processes`); a process that has no turn there counts for itself.
"""

from functools import cache
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REQUEST_S: Final = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""A payment takes some milliseconds; a caller gives up after some seconds."""
STAGE_S: Final = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5)


class Metrics:
    """The counters, histograms and live gauges of one process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"bankapi_{name}", meaning, labels, registry=registry)

        def live(name: str, meaning: str, mode: Literal["livesum", "livemostrecent"]) -> Gauge:
            return Gauge(f"bankapi_{name}", meaning, registry=registry, multiprocess_mode=mode)

        # Requests
        self.requests = counter(
            "requests_total",
            "Requests answered, by door (soap, way4), operation, and result or fault code.",
            *("door", "operation", "outcome"),
        )
        self.request_s = Histogram(
            "bankapi_request_duration_seconds",
            "From the whole request to its answer, the wait for a thread included.",
            ("door", "operation"),
            buckets=REQUEST_S,
            registry=registry,
        )
        self.stage_s = Histogram(
            "bankapi_stage_duration_seconds",
            "How long a stage of a request took; see the runbook, Latency.",
            ("stage",),
            buckets=STAGE_S,
            registry=registry,
        )
        self.slow = counter("slow_requests_total", "Requests that took longer than slow_request_ms.", "door")
        self.refusals = counter("refusals_total", "Requests refused, by the rule that they broke.", "rule")
        # Payments
        self.payments = counter(
            "payments_total",
            "What became of payments, repetitions not counted: registered, declined, cancelled, voided.",
            *("dealer", "currency", "event"),
        )
        self.amounts = counter(
            "payments_amount_total",
            "The amounts of these payments in units of their currency.",
            *("dealer", "currency", "event"),
        )
        # Connections
        self.handshake_failures = counter("handshake_failures_total", "TLS handshakes that failed.", "reason")
        self.late_connections = counter(
            "late_connections_total", "Connections ended because their client took too long for a stage.", "stage"
        )
        self.http_refusals = counter("http_refusals_total", "Requests that were not HTTP as we take it.", "reason")
        self.workers = live("workers", "Gateway processes that live.", "livesum")
        self.beat_at = live("workers_beat_timestamp_seconds", "When a gateway process last said so.", "livemostrecent")
        self.connections = live("connections", "Open connections.", "livesum")
        self.waiting = live("waiting_requests", "Requests that wait for a thread.", "livesum")
        # Database
        self.storage_retries = counter("storage_retries_total", "Transactions run again after a lost race.")
        self.storage_failures = counter(
            "storage_failures_total", "Requests that nothing was decided for, the database could not.", "failure"
        )
        self.group_commits = counter("group_commits_total", "Commits of SQLite that requests shared.")
        self.group_commit_requests = counter("group_commit_requests_total", "Requests in these commits.")
        # Background work
        self.task_failures = counter("worker_task_failures_total", "Runs of a background task that failed.", "task")


@cache
def ours() -> Metrics:
    """The metrics of this process. Not before it has been forked: what is counted earlier would be counted twice."""
    return Metrics()
