"""Whether requests may be sent here, check by check, on both databases."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from bankapi import clock
from bankapi.monitoring import processes, readiness
from bankapi.monitoring.metrics import Metrics
from bankapi.monitoring.readiness import BEAT_MAX, Check, Readiness
from bankapi.settings import MonitoringSettings, Settings, StorageSettings
from bankapi.storage import schema
from bankapi.storage.engine import Store
from tests.unit.conftest import Books
from tests.unit.monitoring.keeping import keep_exchange


class Asked:
    """One installation's readiness, each time looked at anew."""

    def __init__(self, settings: Settings, url: str, directory: Path) -> None:
        self.now = clock.utc_now()
        self.settings = replace(settings, storage=StorageSettings(url=url))
        self.store = Store(url)
        self.readiness = Readiness(self.settings, self.store, lambda: self.now, directory)

    def __call__(self) -> dict[str, Check]:
        self.readiness._database._stale_at = 0.0
        return {check.name: check for check in self.readiness.checks()}

    def failing(self) -> dict[str, str]:
        return {name: check.reason for name, check in self().items() if check.reason is not None}


@pytest.fixture
def asked(
    installation: Settings, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Asked]:
    """Ready, with a process that has just said that it lives."""
    with Store(database_url).engine.begin() as connection:
        if schema.revision(connection) is None:
            schema.stamp(connection, schema.NEWEST)
    beating: dict[str, object] = {}
    monkeypatch.setattr(processes, "counted", lambda directory: beating)
    monkeypatch.setattr(readiness, "WAIT_S", 60.0)
    own = Asked(installation, database_url, tmp_path)
    counted = Metrics()
    counted.beat_at.set(own.now.timestamp())
    counted.workers.set(2)
    beating.update({family.name: family for family in counted.registry.collect()})
    yield own
    own.store.close()


def test_an_installation_that_works_is_ready(asked: Asked) -> None:
    assert list(asked()) == ["database", "schema", "evidence", "signing_certificate", "workers"]
    assert asked.failing() == {}
    assert asked()["workers"].shown == {"ok": True, "alive": 2}
    assert asked()["schema"].shown == {"ok": True, "revision": schema.NEWEST}


def test_a_schema_of_another_version_is_not_for_us(asked: Asked) -> None:
    asked.store.write(lambda connection: schema.stamp(connection, "9999"))
    assert set(asked.failing()) == {"schema"}
    assert asked()["schema"].shown["revision"] == "9999"


def test_evidence_may_wait_for_a_checkpoint_no_longer_than_it_is_told(asked: Asked) -> None:
    books = Books(asked.store, now=asked.now)
    keep_exchange(books, asked.now - timedelta(seconds=MonitoringSettings().late_s))
    assert asked.failing() == {}
    keep_exchange(books, asked.now)
    asked.now += timedelta(seconds=1)
    assert set(asked.failing()) == {"evidence"}


def test_a_signing_certificate_must_be_there_and_valid(asked: Asked) -> None:
    file = asked.settings.gateway_file("signing-cert.pem")
    content = file.read_bytes()
    file.write_bytes(b"half of")
    assert set(asked.failing()) == {"signing_certificate"}
    file.unlink()
    assert set(asked.failing()) == {"signing_certificate"}
    file.write_bytes(content)
    assert asked.failing() == {}
    asked.now += timedelta(days=10_000)
    assert "signing_certificate" in asked.failing()


def test_a_process_must_have_said_lately_that_it_lives(asked: Asked) -> None:
    asked.now += BEAT_MAX - timedelta(seconds=1)
    assert asked.failing() == {}
    asked.now += timedelta(seconds=2)
    assert set(asked.failing()) == {"workers"}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_postgresql_that_reads_only_is_not_ready(asked: Asked) -> None:
    def say(statement: str) -> Callable[..., object]:
        return lambda connection: connection.execute(text(statement))

    name = asked.store.engine.url.database
    asked.store.write(say(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    asked.store.engine.dispose()
    assert asked.failing() == {"database": "it cannot be written"}
    with asked.store.engine.connect() as connection:
        connection.execute(text("SET TRANSACTION READ WRITE"))
        connection.execute(text(f"ALTER DATABASE {name} RESET default_transaction_read_only"))
        connection.commit()
    asked.store.engine.dispose()
    assert asked.failing() == {}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_sqlite_that_cannot_be_written_is_not_ready(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path(str(asked.store.engine.url.database))
    moved = file.with_suffix(".moved")
    file.rename(moved)
    assert set(asked.failing()) == {"database", "schema", "evidence"}
    assert not file.exists()
    file.write_bytes(b"")
    assert "replaced" in asked.failing()["database"]
    moved.replace(file)
    assert asked.failing() == {}
    monkeypatch.setattr(readiness, "FREE_BYTES_MIN", 10**18)
    assert asked.failing()["database"] == "its disk is full"


def test_looking_changes_nothing(asked: Asked) -> None:
    with asked.store.read() as connection:
        tables = (("exchanges",), ("checkpoints",), ("notices",), ("payments",))
        before = [connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() for (name,) in tables]
    for _ in range(3):
        assert asked.failing() == {}
    with asked.store.read() as connection:
        assert before == [connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() for (name,) in tables]
