"""The gateway's signing key is rolled over under a client that never stops trusting it."""

import signal
import sqlite3
import time

import pytest
from lxml import etree

from bankapi.cli.main import main
from bankapi.cli.payments import terminal_client
from bankapi.settings import Settings
from bankapi.wsse import names
from tests.exchange.test_registration import code
from tests.running import start_gateway


def test_answers_are_believed_before_during_and_after_a_rollover(
    installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANKAPI_HOME", str(installation.home))
    with start_gateway(installation) as running:
        _key("prepare")
        atm = terminal_client(installation, "ATM-0001")  # a bank that has been given the next certificate
        signers = {_token(atm.call("Ping", []).answer)}
        _key("activate")
        running.process.send_signal(signal.SIGHUP)
        give_up_at = time.monotonic() + 30
        while len(signers) < 2:
            assert time.monotonic() < give_up_at, "the new key never signed"
            answer = atm.call("Ping", [])
            assert code(answer) == "OK"
            signers.add(_token(answer.answer))
    with sqlite3.connect(installation.home / "bankapi.db") as database:
        (known,) = database.execute("SELECT count(*) FROM signing_certificates").fetchone()
    assert known == 2, "both certificates are kept for whoever verifies old answers"


def _key(command: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["key", command])
    assert end.value.code == 0


def _token(answer: bytes) -> str | None:
    """The certificate an answer carries."""
    return etree.fromstring(answer).findtext(f".//{names.BINARY_SECURITY_TOKEN}")
