"""From a signed payment over mutual TLS to an SMS and its receipt: gateway and worker as an operator runs them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from bankapi import settings
from bankapi.cli.client import Answer
from bankapi.cli.payments import terminal_client
from bankapi.settings import Settings
from bankapi.storage.engine import Store
from tests.exchange.test_registration import payment
from tests.notices.smsc import SMSC
from tests.running import start_gateway, wait_until, wait_until_sealed
from tests.unit.cli.commands import done

pytestmark = pytest.mark.slow
PASSWORD = "s3cr3t"
PATIENT = {"BANKAPI_SMS_RESPONSE_TIMEOUT_S": "60"}  # it is killed, and does not give up


@pytest.fixture
def own(installation: Settings, smsc: SMSC) -> Settings:
    """A home that sends its SMS to the SMSC."""
    with (installation.home / "bankapi.ini").open("a") as file:
        file.write(f"[sms]\nhost = 127.0.0.1\nport = {smsc.port}\nsystem_id = bankapi\npassword = {PASSWORD}\n")
        file.write("per_second = 100\nresponse_timeout_s = 2\nretry_first_s = 0.2\n")
    return settings.load(installation.home, {})


def count(own: Settings, status: str) -> Callable[[], bool]:
    return lambda: int(done(own, "notice", "count")[status])  # type: ignore[return-value]


def pay(own: Settings, reference: str, msisdn: str = "79160000001") -> Answer:
    answer = terminal_client(own, "ATM-0001").call("RegisterPayment", payment(reference, msisdn=msisdn))
    assert answer.fields["code"] == "OK"
    return answer


def test_a_payment_becomes_one_sms_and_its_receipt_is_recorded(own: Settings, smsc: SMSC) -> None:
    done(own, "notice", "language", "79160000002", "ru")
    done(own, "notice", "opt-out", "79160000003")
    with start_gateway(own) as gateway:
        for number in (1, 2, 3):
            pay(own, f"SMS-{number}", f"7916000000{number}")
        pay(own, "SMS-1")
        wait_until(lambda: count(own, "delivered")() == 2)
        wait_until(lambda: count(own, "suppressed")() == 1)
        log = gateway.log()
    by_number = {each["to"]: each for each in smsc.seen("submit")}
    assert len(smsc.seen("submit")) == 2
    assert (by_number["79160000001"]["data_coding"], by_number["79160000002"]["data_coding"]) == (0, 8)
    assert "DEMO-BANK" in by_number["79160000001"]["text"]
    assert "Платёж" in by_number["79160000002"]["text"]
    assert smsc.seen("bind")[0]["password"] == PASSWORD
    assert PASSWORD not in log
    assert "7916000000" not in log
    wait_until(lambda: smsc.seen("unbind"))


def test_an_smsc_that_hangs_holds_up_neither_payments_nor_sealing(own: Settings, smsc: SMSC) -> None:
    smsc.behave(bind=["hang"])
    with start_gateway(own):
        pay(own, "WARM-UP")
        wait_until(lambda: smsc.seen("bind"))
        begun = time.monotonic()
        for number in range(20):
            pay(own, f"HANG-{number}")
        assert time.monotonic() - begun < 25
        wait_until_sealed(own)
        assert count(own, "pending")() == 21
        smsc.behave(bind=["ok"])
        wait_until(lambda: count(own, "delivered")() == 21)
    assert len(smsc.taken) == len(set(smsc.taken)) == 21


def test_a_killed_worker_loses_nothing_and_repeats_one_sms_at_most(own: Settings, smsc: SMSC) -> None:
    """Killed while the SMSC holds a message of which it never said whether it was taken."""
    smsc.behave(submit=["ok", "ok", "take and hang", "ok"])
    with start_gateway(own) as gateway:
        gateway_worker_off(gateway.process.pid)
        for number in range(6):
            pay(own, f"KILL-{number}")
        first = worker(own)
        wait_until(lambda: len(smsc.seen("submit")) == 3)
        first.kill()
        first.wait()
        assert count(own, "sending")() == 1
        second = worker(own)
        wait_until(lambda: count(own, "delivered")() == 5)
        expire_claims(own)
        wait_until(lambda: count(own, "delivered")() == 6)
        second.terminate()
        assert second.wait(timeout=30) == 0
    assert len(set(smsc.taken)) == 6
    assert len(smsc.taken) == 7
    assert done(own, "notice", "count")["possible_duplicates"] == 1


def worker(own: Settings) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bankapi.cli.main", "worker"]
    return subprocess.Popen(
        command, env={**os.environ, "BANKAPI_HOME": str(own.home), **PATIENT}, stderr=subprocess.DEVNULL
    )


def gateway_worker_off(gateway: int) -> None:
    """End the worker that the gateway started: this test starts its own."""
    children = subprocess.run(["pgrep", "-P", str(gateway), "-f", "worker"], capture_output=True, text=True, check=True)
    for child in children.stdout.split():
        os.kill(int(child), signal.SIGTERM)


def expire_claims(own: Settings) -> None:
    """As if the lease of the lost sender had passed: it is minutes."""
    store = Store(own.database_url)
    store.write(
        lambda connection: connection.exec_driver_sql("UPDATE notices SET due_at = created_at WHERE status = 'SENDING'")
    )
    store.close()
