"""What the gauges from the database say, on both databases, and what they say without one."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bankapi.evidence import sealing
from bankapi.monitoring import stock
from bankapi.monitoring.stock import Stock
from bankapi.notices import queue
from bankapi.notices.queue import Attempt, Verdict
from bankapi.reports import closing
from bankapi.settings import Settings, SMSSettings, StorageSettings
from bankapi.storage.engine import Store
from tests.unit.conftest import Books
from tests.unit.monitoring.keeping import keep_exchange, sign_checkpoint
from tests.unit.notices.paying import pay

A_MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock, "WAIT_S", 60.0)


class Watched:
    """The gauges of one installation; each look is a new one."""

    def __init__(self, books: Books, home: Path) -> None:
        url = books.store.engine.url.render_as_string(hide_password=False)
        settings = Settings(home=home, storage=StorageSettings(url=url), sms=SMSSettings(host="smsc.example"))
        self.stock = Stock(settings, books.store, lambda: books.now)

    def values(self) -> dict[tuple[str, ...], Any]:
        self.stock._look._stale_at = 0.0
        return {
            (sample.name.removeprefix("bankapi_"), *sample.labels.values()): sample.value
            for family in self.stock.collect()
            for sample in family.samples
        }


def test_evidence_that_waits_is_counted_until_a_checkpoint_covers_it(books: Books, tmp_path: Path) -> None:
    watched = Watched(books, tmp_path)
    assert ("checkpoint_timestamp_seconds",) not in watched.values()
    for _ in range(3):
        keep_exchange(books, books.now)
    books.now += A_MINUTE
    seen = watched.values()
    assert (seen[("exchanges_unsealed",)], seen[("evidence_lag_seconds",)]) == (3, 60)
    sealing.seal(books.store)
    sign_checkpoint(books, books.now)
    seen = watched.values()
    assert (seen[("exchanges_unsealed",)], seen[("evidence_lag_seconds",)]) == (0, 0)
    assert seen[("checkpoint_timestamp_seconds",)] == books.now.replace(microsecond=0).timestamp()
    assert (seen[("database_up",)], seen[("database_size_bytes",)] > 100_000) == (1, True)


def test_notices_that_wait_are_counted_and_every_attempt_once(books: Books, tmp_path: Path) -> None:
    watched = Watched(books, tmp_path)
    assert watched.values()[("notice_attempts_total", "accepted")] == 0
    pay(books, "N-1")
    pay(books, "N-2")
    books.now += HOUR
    seen = watched.values()
    assert seen[("notices_queued",)] == 2
    assert 3600 <= seen[("notice_overdue_seconds",)] <= seen[("notice_oldest_age_seconds",)] < 3601
    ends = iter((Verdict.ACCEPTED, Verdict.REJECTED))
    for _ in range(2):
        claimed = books.store.write(lambda c: queue.claim(c, books.now, A_MINUTE, 3))
        assert claimed is not None
        attempt = Attempt(claimed, next(ends), "ESME_ROK")
        books.store.write(lambda c, attempt=attempt: queue.record(c, attempt, books.now, 3))
    for _ in range(3):  # an attempt is counted by the second look that sees it, and never again
        seen = watched.values()
    assert (seen[("notices_queued",)], seen[("notice_overdue_seconds",)]) == (0, 0)
    assert seen[("notice_attempts_total", "accepted")] == seen[("notice_attempts_total", "rejected")] == 1
    assert seen[("notice_attempts_total", "uncertain")] == 0


def test_days_that_should_be_closed_are_counted_for_each_dealer(books: Books, tmp_path: Path) -> None:
    watched = Watched(books, tmp_path)
    closing.close_ended(books.store, books.now, HOUR)
    pay(books, "D-1")
    assert watched.values()[("closings_overdue", "BANK")] == 0, "its first day is not over"
    books.now += timedelta(days=3)
    seen = watched.values()
    assert (seen[("closings_overdue", "BANK")], seen[("closings_overdue", "SHOP")]) == (3, 0)
    closing.close(books.store, "BANK", books.now.date() - timedelta(days=2), books.now)
    assert watched.values()[("closings_overdue", "BANK")] == 1
    closing.close_ended(books.store, books.now, HOUR)
    seen = watched.values()
    assert seen[("closings_overdue", "BANK")] == 0
    assert ("day_sheets_missing", "BANK") not in seen


def test_without_the_database_the_names_remain_and_one_value_says_why(books: Books, tmp_path: Path) -> None:
    names = {family.name for family in Watched(books, tmp_path).stock.collect()}
    away = Settings(home=tmp_path, storage=StorageSettings(url=f"sqlite:///{tmp_path / 'empty.db'}"))
    store = Store(away.database_url)
    families = list(Stock(away, store, lambda: books.now).collect())
    assert {family.name for family in families} == names
    assert [(each.name, each.value) for family in families for each in family.samples] == [("bankapi_database_up", 0)]
    store.close()
