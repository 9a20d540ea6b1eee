"""May requests be sent here? Each check with its reason, and never with an exception's own words.

Whether the database can be written is asked without writing: SQLite for its write lock and an empty commit, which
touches no page; PostgreSQL for whether it is a standby, read-only, or keeps us from adding exchanges.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from prometheus_client.core import Metric
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from bankapi.clock import Clock
from bankapi.monitoring import lags, processes
from bankapi.monitoring.looks import Look
from bankapi.settings import Settings
from bankapi.storage import schema
from bankapi.storage.engine import Store

LIFE_S: Final = 1.0
WAIT_S: Final = 2.0
BEAT_MAX: Final = timedelta(seconds=10)
"""A gateway process says that it lives once a second; one that has not for so long does not serve."""
FREE_BYTES_MIN: Final = 32 * 1024 * 1024
"""With less free on its disk SQLite is about to fail."""
_MAY_WRITE: Final = text(
    "SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off'"
    " AND has_table_privilege('exchanges', 'INSERT')"
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold; `reason` says what does not, `seen` what was looked at."""

    name: str
    reason: str | None = None
    seen: tuple[tuple[str, Any], ...] = ()

    @property
    def shown(self) -> dict[str, Any]:
        """As JSON tells it."""
        told = {"ok": self.reason is None, **dict(self.seen)}
        return told if self.reason is None else {**told, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class _Database:
    """What the database told."""

    reason: str | None
    revision: str | None = None
    evidence_lag: timedelta = timedelta()


class Readiness:
    """The checks of one installation. Any number may ask: the database is looked at once a second at most."""

    def __init__(self, settings: Settings, store: Store, clock: Clock, directory: Path) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._directory = directory
        self._late = timedelta(seconds=settings.monitoring.late_s)
        self._file = _database_file(settings.database_url)
        self._file_was = _identity(self._file)
        self._database = Look("readiness", self._look_at_database, life_s=LIFE_S, wait_s=WAIT_S)

    def checks(self) -> list[Check]:
        """All of them, in a fixed order."""
        database = self._database.newest() or _Database("it does not answer")
        return [
            Check("database", database.reason),
            self._schema(database),
            self._evidence(database),
            self._signing_certificate(),
            self._workers(),
        ]

    def _schema(self, database: _Database) -> Check:
        if database.revision is None:
            return Check("schema", "not known without the database")
        fits = database.revision in schema.ACCEPTED
        seen = (("revision", database.revision),)
        return Check("schema", None if fits else "the database is not at a revision this program works with", seen)

    def _evidence(self, database: _Database) -> Check:
        if database.revision is None:
            return Check("evidence", "not known without the database")
        reason = None if database.evidence_lag <= self._late else "exchanges wait too long for a checkpoint"
        return Check("evidence", reason, (("lag_s", round(database.evidence_lag.total_seconds(), 1)),))

    def _signing_certificate(self) -> Check:
        name = "signing_certificate"
        try:
            file = self._settings.gateway_file("signing-cert.pem")
            certificate = x509.load_pem_x509_certificate(file.read_bytes())
        except (OSError, ValueError):
            return Check(name, "there is none that can be read")
        valid = certificate.not_valid_before_utc <= self._clock() <= certificate.not_valid_after_utc
        seen = (("valid_until", certificate.not_valid_after_utc.isoformat()),)
        return Check(name, None if valid else "it is not valid now", seen)

    def _workers(self) -> Check:
        counted = processes.counted(self._directory)
        beat_at = datetime.fromtimestamp(_value(counted, "bankapi_workers_beat_timestamp_seconds"), UTC)
        seen = (("alive", int(_value(counted, "bankapi_workers"))),)
        lives = self._clock() - beat_at <= BEAT_MAX
        return Check("workers", None if lives else "no gateway process says that it lives", seen)

    def _look_at_database(self) -> _Database:
        reason = self._file_reason()
        if reason is not None:
            return _Database(reason)
        writable = self._store.write(may_write)
        with self._store.read() as connection:
            revision = schema.revision(connection)
            lag = lags.evidence_lag(connection, self._clock()) if revision in schema.ACCEPTED else timedelta()
        return _Database(None if writable else "it cannot be written", revision, lag)

    def _file_reason(self) -> str | None:
        """SQLite would make a new file in the place of one that is gone, and write to one that was moved away."""
        if self._file is None:
            return None
        if _identity(self._file) != self._file_was:
            return "its file was moved or replaced while the gateway runs"
        if shutil.disk_usage(self._file.parent).free < FREE_BYTES_MIN:
            return "its disk is full"
        return None


def _value(counted: Mapping[str, Metric], name: str) -> float:
    """A gauge without labels; 0 when nobody has set it."""
    return sum(sample.value for sample in counted[name].samples) if name in counted else 0.0


def may_write(connection: Connection) -> bool:
    """SQLite has given the write lock by now."""
    return connection.dialect.name == "sqlite" or bool(connection.execute(_MAY_WRITE).scalar_one())


def _database_file(url: str) -> Path | None:
    found = make_url(url)
    return Path(found.database) if found.get_backend_name() == "sqlite" and found.database else None


def _identity(file: Path | None) -> tuple[int, int] | None:
    if file is None:
        return None
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_dev, status.st_ino
