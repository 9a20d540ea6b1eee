"""Gauges that only the database knows, asked for when metrics are: never in the way of a request.

All queries together are index look-ups and scans of what is waiting, and what they found is kept for some seconds;
with the time limit of `looks` a scrape costs the database little and never waits for it long.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from os import stat
from pathlib import Path
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, func, select, text
from sqlalchemy.engine import make_url

from bankapi.billing.dealers import calendar_day
from bankapi.billing.tables import dealers, payments
from bankapi.clock import Clock
from bankapi.evidence import sealing
from bankapi.evidence.tables import exchanges
from bankapi.monitoring import lags
from bankapi.monitoring.looks import Look
from bankapi.notices.queue import Verdict
from bankapi.notices.tables import notice_attempts, notices
from bankapi.reports.tables import closed_days, day_sheets
from bankapi.settings import Settings
from bankapi.storage.engine import Store

LIFE_S: Final = 10.0
WAIT_S: Final = 3.0
COUNTED_MAX: Final = 100_000
"""What waits is counted up to here: more is as bad."""
_SHEETS_LOOKED_AT: Final = timedelta(days=31)
_A_DAY: Final = timedelta(days=1)


class Stock(Collector):
    """Collects from one installation's database."""

    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._attempts = _Attempts()
        self._look = Look("stock", self._families, life_s=LIFE_S, wait_s=WAIT_S)

    def collect(self) -> Iterator[Metric]:
        """Without the database the families are there, and empty, but for the one that says so."""
        found = self._look.newest()
        up = _gauge("bankapi_database_up", "1 when the database has answered, else 0.")
        up.add_metric([], 0 if found is None else 1)
        yield up
        yield from _declared() if found is None else found

    def _families(self) -> list[Metric]:
        now = self._clock()
        with self._store.read() as connection:
            return [
                *_evidence(connection, now),
                *_notices(connection, now, sends=bool(self._settings.sms.host)),
                self._attempts.family(connection),
                *_days(connection, now - timedelta(minutes=self._settings.reports.close_after_min)),
                _size(connection, self._settings.database_url),
            ]


def _declared() -> list[Metric]:
    families = (_EVIDENCE, _NOTICES, _DAYS, (_SIZE,))
    gauges = [_gauge(*declared) for group in families for declared in group]
    return [*gauges, _attempts_family()]


def _gauge(name: str, meaning: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, labels=labels)


def _filled(declared: Iterable[tuple[str, ...]], values: Iterable[float | None]) -> Iterator[Metric]:
    for (name, meaning), value in zip(declared, values, strict=True):
        family = _gauge(name, meaning)
        if value is not None:
            family.add_metric([], value)
        yield family


_EVIDENCE: Final = (
    ("bankapi_exchanges_unsealed", "Exchanges that are committed and not sealed yet."),
    ("bankapi_evidence_lag_seconds", "The age of the oldest exchange that no signed checkpoint covers, or 0."),
    ("bankapi_checkpoint_timestamp_seconds", "When the newest checkpoint was signed."),
)


def _evidence(connection: Connection, now: datetime) -> Iterator[Metric]:
    waiting = select(exchanges.c.id).where(exchanges.c.id > lags.newest_sealed(connection)).limit(COUNTED_MAX)
    unsealed = connection.execute(select(func.count()).select_from(waiting.subquery())).scalar_one()
    newest = sealing.latest_checkpoint(connection)
    signed_at = None if newest is None else newest.signed_at.timestamp()
    yield from _filled(_EVIDENCE, (unsealed, lags.evidence_lag(connection, now).total_seconds(), signed_at))


_NOTICES: Final = (
    ("bankapi_notices_queued", "Notices that are not sent yet and still to be."),
    ("bankapi_notice_oldest_age_seconds", "How long ago the oldest of them was queued, or 0."),
    ("bankapi_notice_overdue_seconds", "For how long one should have been taken up, or 0."),
)


def _notices(connection: Connection, now: datetime, *, sends: bool) -> Iterator[Metric]:
    """An installation that sends none says so by having no values."""
    if not sends:
        yield from _filled(_NOTICES, (None, None, None))
        return
    waiting = select(notices.c.created_at).where(notices.c.due_at.is_not(None)).limit(COUNTED_MAX).subquery()
    queued, oldest_at = connection.execute(select(func.count(), func.min(waiting.c.created_at))).one()
    age_s = 0.0 if oldest_at is None else (now - oldest_at).total_seconds()
    yield from _filled(_NOTICES, (queued, age_s, lags.notice_lag(connection, now).total_seconds()))


class _Attempts:
    """Attempts to send a notice, counted as they come, so that no look has to count all that ever were.

    Counted are those up to the newest that the last look saw: by now none of these is still uncommitted.
    """

    def __init__(self) -> None:
        self._counts = dict.fromkeys(Verdict, 0)
        self._counted_to: int | None = None
        self._seen = 0

    def family(self, connection: Connection) -> CounterMetricFamily:
        """Counts since this process began to look."""
        if self._counted_to is not None and self._seen > self._counted_to:
            query = (
                select(notice_attempts.c.verdict, func.count())
                .where(notice_attempts.c.id > self._counted_to, notice_attempts.c.id <= self._seen)
                .group_by(notice_attempts.c.verdict)
            )
            for verdict, count in connection.execute(query):
                self._counts[Verdict(verdict)] += count
        newest = connection.execute(select(func.max(notice_attempts.c.id))).scalar() or 0
        self._counted_to = newest if self._counted_to is None else self._seen
        self._seen = newest
        family = _attempts_family()
        for verdict, count in self._counts.items():
            family.add_metric([verdict.lower()], count)
        return family


def _attempts_family() -> CounterMetricFamily:
    return CounterMetricFamily(
        "bankapi_notice_attempts",
        "Attempts to send a notice, by their end: accepted, throttled, refused, rejected, uncertain, released.",
        labels=("verdict",),
    )


_DAYS: Final = (
    ("bankapi_closings_overdue", "Business days that are over and should be closed, and are not.", "dealer"),
    ("bankapi_day_sheets_missing", "Closed days of the last month whose sheet is not worked out.", "dealer"),
)


def _days(connection: Connection, ended_by: datetime) -> Iterator[Metric]:
    """Of a dealer that never had a day closed they count from its first payment."""
    unclosed, missing = (_gauge(*declared) for declared in _DAYS)
    first_on = select(func.min(payments.c.business_on)).where(payments.c.dealer_id == dealers.c.id).scalar_subquery()
    for name, time_zone, closed_through_on, first_payment_on in connection.execute(
        select(dealers.c.name, dealers.c.time_zone, dealers.c.closed_through_on, first_on)
    ):
        ended_on = calendar_day(time_zone, ended_by) - _A_DAY
        open_from_on = first_payment_on if closed_through_on is None else closed_through_on + _A_DAY
        days = 0 if open_from_on is None else (ended_on - open_from_on).days + 1
        unclosed.add_metric([name], max(0, days))
    without_sheet = (
        select(dealers.c.name, func.count())
        .join_from(closed_days, dealers, dealers.c.id == closed_days.c.dealer_id)
        .outerjoin(
            day_sheets,
            (day_sheets.c.dealer_id == closed_days.c.dealer_id)
            & (day_sheets.c.business_on == closed_days.c.business_on),
        )
        .where(closed_days.c.business_on >= ended_by.date() - _SHEETS_LOOKED_AT, day_sheets.c.business_on.is_(None))
        .group_by(dealers.c.name)
    )
    for name, count in connection.execute(without_sheet):
        missing.add_metric([name], count)
    yield from (unclosed, missing)


_SIZE: Final = ("bankapi_database_size_bytes", "The database's files, or what PostgreSQL says.")


def _size(connection: Connection, url: str) -> Metric:
    if connection.dialect.name == "sqlite":
        file = make_url(url).database or ""
        value = sum(_file_bytes(Path(file + suffix)) for suffix in ("", "-wal", "-shm"))
    else:
        value = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    family = _gauge(*_SIZE)
    family.add_metric([], value)
    return family


def _file_bytes(file: Path) -> int:
    with suppress(OSError):
        return stat(file).st_size
    return 0
