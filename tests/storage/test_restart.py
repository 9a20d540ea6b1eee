"""PostgreSQL is stopped, crashes and comes back under a gateway that nobody restarts."""

import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bankapi import clock, settings
from bankapi.cli import home as homes
from bankapi.cli.client import TerminalClient
from bankapi.cli.payments import terminal_client
from bankapi.settings import Settings
from tests.exchange.test_registration import code, payment
from tests.postgres import a_cluster
from tests.running import free_port, start_gateway
from tests.unit.cli.commands import assert_sound, done

pytestmark = pytest.mark.slow
OUTAGE_S = 1.5


def test_the_gateway_outlives_its_database(tmp_path: Path) -> None:
    """While it is away nothing is decided; afterwards the same references pay, each once."""
    with a_cluster() as postgres, postgres.database("template1") as url:
        own = _installation(tmp_path / "var", url)
        with start_gateway(own):
            atm = terminal_client(own, "ATM-0001")
            assert code(atm.call("RegisterPayment", payment("BEFORE"))) == "OK"
            for how in (signal.SIGQUIT, signal.SIGINT):
                payer = _Payer(terminal_client(own, "ATM-0002"), how.name)
                payer.start()
                time.sleep(0.5)
                postgres.stop(how)
                unavailable = atm.call("RegisterPayment", payment(f"DURING-{how.name}"))
                assert (code(unavailable), unavailable.fields["retry"]) == ("TEMPORARILY_UNAVAILABLE", "SAME_REFERENCE")
                time.sleep(OUTAGE_S)
                postgres.start_again()
                time.sleep(1.0)
                payer.stop.set()
                payer.join()
                assert payer.unavailable
                assert payer.paid
                assert payer.answers <= {"OK", "TEMPORARILY_UNAVAILABLE"}
                assert code(atm.call("RegisterPayment", payment(f"DURING-{how.name}"))) == "OK"
                for reference in (*payer.unavailable, *payer.paid):
                    again = atm.call("RegisterPayment", _small(reference))
                    assert code(again) == "OK"
                    assert again.fields["replayed"] or reference not in payer.paid, "what was answered is kept"
            listed = done(own, "payment", "list", "--dealer", "DEMO-BANK", "--limit", "10000")
            references = [each["reference"] for each in listed]
            assert len(references) == len(set(references))
            done(own, "audit", "seal")
            assert done(own, "audit", "verify")["sound"] is True
        assert_sound(own)


class _Payer(threading.Thread):
    """A terminal that goes on paying, whatever it is told."""

    def __init__(self, atm: TerminalClient, name: str) -> None:
        super().__init__()
        self.stop = threading.Event()
        self.answers: set[str] = set()
        self.paid: list[str] = []
        self.unavailable: list[str] = []
        self._atm = atm
        self._name = name

    def run(self) -> None:
        number = 0
        while not self.stop.is_set():
            number += 1
            reference = f"{self._name}-{number}"
            said = code(self._atm.call("RegisterPayment", _small(reference)))
            self.answers.add(said)
            (self.paid if said == "OK" else self.unavailable).append(reference)


def _small(reference: str) -> list[Any]:
    return payment(reference, "1.00", "79160000002")


def _installation(home: Path, url: str) -> Settings:
    homes.create(settings.load(home, {"BANKAPI_STORAGE_URL": url}), demo=True, now=clock.utc_now())
    port = free_port()
    (home / "bankapi.ini").write_text(
        f"[gateway]\nport = {port}\nurl = https://localhost:{port}/soap/v1\n[storage]\nurl = {url}\n"
    )
    return settings.load(home, {})
