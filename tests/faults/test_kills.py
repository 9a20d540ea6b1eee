"""A short `make crash`, and what it found once: a worker that is born while there is no database."""

import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from bankapi.cli.client import Answer
from bankapi.cli.payments import terminal_client
from bankapi.gateway import wsgi
from bankapi.settings import Settings, StorageSettings
from tests.exchange.test_registration import code, payment
from tests.faults import crash, killing
from tests.faults.services import Services, Target, on_postgresql, running, running_processes

KILLS = 10


@pytest.mark.slow
def test_whatever_is_killed_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path) -> None:
    with running(tmp_path, None) as services:
        found = crash.run(services, KILLS, seed=1)
    print("\n".join(crash.report(found)))
    assert found.is_sound, list(crash.report(found))
    assert len(found.kills) == KILLS
    assert sum(each.under_way for each in found.struck) > KILLS, "it was killed under load"
    assert found.registered()


@pytest.mark.slow
def test_a_worker_that_is_born_without_a_database_does_not_end_the_gateway(tmp_path: Path) -> None:
    with on_postgresql(tmp_path) as services:
        assert services.postgres is not None
        assert services.database is not None
        atm = terminal_client(services.settings, "ATM-0001")
        with services.database.turn:  # the supervisor waits
            services.database.stop(signal.SIGQUIT)
            before = _replace_workers(services)
            assert code(_answer(services, "DURING")) == "TEMPORARILY_UNAVAILABLE"
            assert not before & {pid for (pid,) in services.victims(Target.WORKER)}
        deadline = time.monotonic() + 30
        while code(answer := _answer(services, "DURING")) != "OK" and time.monotonic() < deadline:
            time.sleep(0.1)
        assert code(answer) == "OK"
        assert code(atm.call("RegisterPayment", payment("AFTER"))) == "OK"
        assert services.gateway.started == 1


@pytest.mark.slow
def test_workers_without_their_arbiter_make_room_for_the_next_gateway(tmp_path: Path) -> None:
    """Clients that send on over connections that are kept alive do not hold them back."""
    with running(tmp_path, None) as services:
        atm = terminal_client(services.settings, "ATM-0001")
        assert code(atm.call("RegisterPayment", payment("BEFORE"))) == "OK"
        orphaned = {pid for (pid,) in services.victims(Target.WORKER)}
        (arbiter,) = services.victims(Target.ARBITER)
        killed_at = time.monotonic()
        assert killing.kill(arbiter)
        while orphaned & set(running_processes()):
            with suppress(OSError):
                atm.call("Ping", [])
            assert time.monotonic() - killed_at < services.settings.gateway.graceful_stop_s / 2
        services.wait_until_it_answers()
        assert code(terminal_client(services.settings, "ATM-0002").call("RegisterPayment", payment("AFTER"))) == "OK"


def _replace_workers(services: Services) -> set[int]:
    """Kill every worker that there is, and wait until others have been born; those that were killed."""
    victims = {pid for (pid,) in services.victims(Target.WORKER)}
    for pid in victims:
        assert killing.kill([pid])
    while len({pid for (pid,) in services.victims(Target.WORKER)} - victims) < len(victims):
        assert services.gateway.process.poll() is None
        time.sleep(0.05)
    return victims


def _answer(services: Services, reference: str) -> Answer:
    """The answer of whichever worker is there; one that is not there yet is waited for."""
    return terminal_client(services.settings, "ATM-0001").call("RegisterPayment", payment(reference))


def test_the_application_is_made_without_a_database(installation: Settings) -> None:
    """It cannot be asked yet, and its answers say so."""
    away = StorageSettings(url="postgresql+psycopg://nobody@/nothing?host=/nowhere", connect_timeout_s=1)
    gateway = wsgi.create_gateway(Settings(home=installation.home, storage=away))
    assert gateway.checkpoints.newest() is None
    gateway.store.close()
