"""The first release serves while its database is upgraded under it, and this program goes on where it stopped."""

import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from bankapi import clock, settings
from bankapi.cli.payments import terminal_client
from bankapi.evidence import audit
from bankapi.evidence.audit import Terms
from bankapi.settings import Settings
from bankapi.storage import schema, upgrades
from bankapi.storage.engine import Store
from bankapi.wsse.profile import PROFILE_V1
from tests.exchange.test_registration import code, payment
from tests.running import start_gateway
from tests.storage.first_release import OldProgram, old_program
from tests.storage.portraits import portrait
from tests.unit.cli.commands import done, refused

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OldProgram]:
    if request.param == "sqlite":
        yield old_program(tmp_path)
    else:
        with request.getfixturevalue("postgres").database("template1") as url:
            yield old_program(tmp_path, BANKAPI_STORAGE_URL=url)


class Paying(threading.Thread):
    """A terminal of the old program that pays and cancels every other payment, until it is told to stop."""

    def __init__(self, home: Settings, name: str) -> None:
        super().__init__()
        self.stop = threading.Event()
        self.said: list[str] = []
        self._atm = terminal_client(home, "ATM-0001")
        self._name = name

    def run(self) -> None:
        for number in count():
            if self.stop.is_set():
                break
            reference = f"{self._name}-{number}"
            self.said.append(code(self._atm.call("RegisterPayment", payment(reference, "1.00", "79160000002"))))
            if number % 2:
                self.said.append(code(self._atm.call("CancelPayment", _cancel(reference))))


def _cancel(reference: str) -> list[Any]:
    amount = payment(reference, "1.00")[2]
    return [("Reference", reference), amount, ("Reason", "TIMEOUT")]


def test_the_previous_version_pays_on_while_its_database_is_upgraded(old: OldProgram) -> None:
    home = settings.load(old.home, old.environment)
    store = Store(home.database_url, is_patient=True)
    with old.serving():
        payers = [Paying(home, f"P{number}") for number in range(3)]
        for payer in payers:
            payer.start()
        _until(payers, 10)
        expanded = upgrades.upgrade(store)
        _until(payers, 20)
        for payer in payers:
            payer.stop.set()
        for payer in payers:
            payer.join()
    said = [each for payer in payers for each in payer.said]
    print(f"{store.engine.dialect.name}: {len(said)} answers while revisions {[each.name for each in expanded]} came")
    assert set(said) == {"OK"}
    assert _audited(home, store).findings == ()
    with store.read() as connection:
        nulls = connection.exec_driver_sql(
            "SELECT (SELECT count(*) FROM payments WHERE scheme IS NULL)"
            " + (SELECT count(*) FROM cancellations WHERE dealer_id IS NULL OR business_on IS NULL)"
        ).scalar_one()
    assert nulls == 0
    (home.home / "gateway.log").touch()
    with start_gateway(home, **old.environment):
        new = terminal_client(home, "ATM-0002")
        paid, cancelled = (new.call("RegisterPayment", payment(f"P0-{n}", "1.00", "79160000002")) for n in range(2))
        assert (code(paid), paid.fields["replayed"], code(cancelled)) == ("OK", True, "ALREADY_CANCELLED")
        assert code(new.call("RegisterPayment", payment("NEW"))) == "OK"
        assert [each.stage for each in upgrades.upgrade(store, contract=True)] == ["contract"]
        assert code(new.call("RegisterPayment", payment("NEW-2"))) == "OK"
        assert new.call("RegisterPayment", payment("NEW")).fields["replayed"] is True
    with store.read() as connection:
        assert schema.revision(connection) == schema.NEWEST
    assert _audited(home, store).findings == ()
    store.close()


def test_the_first_revision_is_what_that_program_creates(old: OldProgram, empty_url: str) -> None:
    """On the other kind of database there is nothing to compare."""
    home = settings.load(old.home, old.environment)
    theirs, ours = Store(home.database_url), Store(empty_url)
    if theirs.engine.dialect.name == ours.engine.dialect.name:
        ours.change_schema(next(upgrades.revisions()).run)
        with theirs.read() as created, ours.read() as migrated:
            assert portrait(created) == portrait(migrated)
    theirs.close()
    ours.close()


def test_this_program_does_not_start_before_the_upgrade(old: OldProgram, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in old.environment.items():
        monkeypatch.setenv(name, value)
    home = settings.load(old.home, old.environment)
    assert "is older than this program" in refused(home, "serve")
    assert done(home, "database", "upgrade")["current"] == min(schema.ACCEPTED)
    assert done(home, "audit", "verify")["sound"] is True


def _until(payers: list[Paying], more: int) -> None:
    wanted = [len(payer.said) + more for payer in payers]
    while any(len(payer.said) < enough and payer.is_alive() for payer, enough in zip(payers, wanted, strict=True)):
        threading.Event().wait(0.02)


def _audited(home: Settings, store: Store) -> audit.Report:
    authorities = x509.load_pem_x509_certificates(home.ca_certificate.read_bytes())
    return audit.verify(store, Terms(authorities=authorities, profile=PROFILE_V1, now=clock.utc_now()))
