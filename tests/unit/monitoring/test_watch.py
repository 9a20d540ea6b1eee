"""What an observer counts and logs of a request."""

import logging
import time
from datetime import timedelta
from pathlib import Path

import pytest

from bankapi import clock
from bankapi.billing.money import Money
from bankapi.monitoring import metrics
from bankapi.monitoring.lateness import Lateness
from bankapi.monitoring.metrics import Metrics
from bankapi.monitoring.watch import Door, Happening, Observer, PaymentEvent, Stage, Watch
from bankapi.storage.engine import Store


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Metrics:
    """Metrics that nobody else counts in."""
    found = Metrics()
    monkeypatch.setattr(metrics, "ours", lambda: found)
    return found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(f"sqlite:///{tmp_path / 'books.db'}")


def observer(store: Store, *, slow_s: float = 60.0) -> Observer:
    lateness = Lateness(store, clock.utc_now, slow_s=slow_s, late=timedelta(minutes=5), has_notices=True)
    return Observer(store, lateness, slow_s=slow_s)


def value(own: Metrics, name: str, **labels: str) -> float | None:
    return own.registry.get_sample_value(name, labels)


def test_stages_add_up_to_the_request_whatever_is_run_again(own: Metrics, store: Store) -> None:
    watching, begun_at = observer(store), time.monotonic()
    watch = Watch(Door.SOAP, waited_s=1.0)
    for stage in (Stage.CHECK, Stage.VERIFY, Stage.TURN, Stage.PERFORM, Stage.TURN, Stage.PERFORM, Stage.COMMIT):
        time.sleep(0.002)
        watch.passed(stage)
    watch.outcome = "OK"
    watching.ended(watch, "Ping", "01")
    most_s = 1.0 + time.monotonic() - begun_at
    labels = {"door": "soap", "operation": "Ping"}
    total_s = value(own, "bankapi_request_duration_seconds_sum", **labels)
    stages_s = [value(own, "bankapi_stage_duration_seconds_sum", stage=stage) for stage in watch.stages]
    assert total_s is not None
    assert 1.014 < sum(filter(None, stages_s)) <= total_s + 1e-6
    assert total_s <= most_s
    assert value(own, "bankapi_stage_duration_seconds_count", stage="turn") == 1
    assert value(own, "bankapi_requests_total", **labels, outcome="OK") == 1


def test_what_was_undone_is_not_counted_as_done(own: Metrics, store: Store) -> None:
    event = PaymentEvent(Happening.REGISTERED, "BANK", Money(1050, "RUB"), is_known_currency=True)
    replayed, failed, paid = (Watch(Door.SOAP, 0.0) for _ in range(3))
    for watch in (replayed, failed, paid):
        watch.outcome, watch.event = "OK", event
    replayed.refused("SECURITY", "wsse.replay")
    failed.did_not_commit("TEMPORARILY_UNAVAILABLE", "OperationalError")
    own_observer = observer(store)
    for watch in (replayed, failed, paid):
        own_observer.ended(watch, "RegisterPayment", "01")
    labels = {"dealer": "BANK", "currency": "RUB", "event": "registered"}
    assert value(own, "bankapi_payments_total", **labels) == 1
    assert value(own, "bankapi_payments_amount_total", **labels) == 10.5
    assert value(own, "bankapi_refusals_total", rule="wsse.replay") == 1
    assert value(own, "bankapi_storage_failures_total", failure="OperationalError") == 1


def test_a_currency_of_nobody_s_is_counted_as_other_without_its_amount(own: Metrics, store: Store) -> None:
    watch = Watch(Door.WAY4, 0.0)
    watch.event = PaymentEvent(Happening.DECLINED, "BANK", Money(1050, "XQZ"), is_known_currency=False)
    observer(store).ended(watch, "RegisterPayment", "01")
    assert value(own, "bankapi_payments_total", dealer="BANK", currency="other", event="declined") == 1
    assert not any("XQZ" in str(sample) for family in own.registry.collect() for sample in family.samples)


def test_commits_and_races_of_the_store_are_counted_once(own: Metrics, store: Store) -> None:
    own_observer = observer(store)
    for _ in range(3):
        store.write(lambda connection: connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS t (a)"))
        own_observer.ended(Watch(Door.SOAP, 0.0), None, "01")
    store.races_lost = 2
    own_observer.ended(Watch(Door.SOAP, 0.0), None, "01")
    own_observer.ended(Watch(Door.SOAP, 0.0), None, "01")
    assert value(own, "bankapi_group_commits_total") == value(own, "bankapi_group_commit_requests_total") == 3
    assert value(own, "bankapi_storage_retries_total") == 2
    assert value(own, "bankapi_requests_total", door="soap", operation="unknown", outcome="unknown") == 5


def test_only_a_slow_request_is_logged(own: Metrics, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    own_observer = observer(store, slow_s=0.5)
    own_observer.ended(Watch(Door.SOAP, waited_s=0.1), "Ping", "QUICK")
    own_observer.ended(Watch(Door.SOAP, waited_s=0.9), "Ping", "SLOW")
    assert [(each.message, each.exchange_id) for each in caplog.records] == [("slow", "SLOW")]  # type: ignore[attr-defined]
    assert value(own, "bankapi_slow_requests_total", door="soap") == 1


def test_counting_that_fails_costs_no_answer(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Metrics:
        raise OSError("no space left")

    monkeypatch.setattr(metrics, "ours", fail)
    observer(store).ended(Watch(Door.SOAP, 0.0), "Ping", "01")
    (record,) = caplog.records
    assert (record.levelno, record.message, record.failure) == (logging.ERROR, "not counted", "OSError")  # type: ignore[attr-defined]
