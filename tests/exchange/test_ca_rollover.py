"""The operator's CA is rolled over under a running gateway: every step leaves everybody who should be believed."""

import signal
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from bankapi.cli.authority import key_pem, new_ec_key, subject_name
from bankapi.cli.client import TerminalClient
from bankapi.cli.main import main
from bankapi.cli.payments import terminal_client
from bankapi.settings import Settings
from tests.exchange.test_registration import code, payment
from tests.running import RunningGateway, start_gateway, wait_until

pytestmark = pytest.mark.slow


def test_a_ca_is_replaced_step_by_step(
    installation: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BANKAPI_HOME", str(installation.home))
    monkeypatch.setenv("BANKAPI_MONITORING_PORT", "0")
    with start_gateway(installation) as running:
        before = terminal_client(installation, "ATM-0001")
        assert code(before.call("RegisterPayment", payment("CA-1"))) == "OK"

        _done("ca", "prepare")
        assert _ends("ca", "prepare") == 1, "one rollover at a time"
        assert code(terminal_client(installation, "ATM-0001").call("Ping", [])) == "OK"

        _done("ca", "activate")
        _reload(running)
        after = _rotated(installation, tmp_path)
        for atm in (terminal_client(installation, "ATM-0001"), after, terminal_client(installation, "ATM-0002")):
            wait_until(lambda atm=atm: code(atm.call("Ping", [])) == "OK", within_s=30)  # type: ignore[misc]

        assert _ends("ca", "retire") == 1, "the gateway's own keys are the last CA's"
        _done("key", "tls")
        _done("key", "prepare")
        _done("key", "activate")
        _reload(running)
        capsys.readouterr()
        assert _ends("ca", "retire") == 1, "terminals are in use that the last CA issued"
        assert "are in use" in capsys.readouterr().err
        old = x509.load_pem_x509_certificate(installation.terminal_file("ATM-0001", "cert.pem").read_bytes())
        _done("terminal", "revoke", "ATM-0001", "--fingerprint", old.fingerprint(hashes.SHA256()).hex())
        for name in ("ATM-0002", "ATM-0101"):
            _done("terminal", "revoke", name, "--all")
        _done("channel", "revoke", "DEMO-BANK", "--all")
        _done("ca", "retire")
        _reload(running)

        after = _client(installation, tmp_path)
        wait_until(lambda: code(after.call("RegisterPayment", payment("CA-2"))) == "OK", within_s=30)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            terminal_client(installation, "ATM-0002").call("Ping", [])
    _done("worker", "--once")
    capsys.readouterr()
    assert _ends("audit", "verify") == 0, capsys.readouterr().out


def _rotated(settings: Settings, folder: Path) -> TerminalClient:
    """ATM-0001 with a new key, certified by the CA that issues now."""
    key = new_ec_key()
    request = x509.CertificateSigningRequestBuilder().subject_name(subject_name("atm")).sign(key, hashes.SHA256())
    (folder / "new-key.pem").write_bytes(key_pem(key))
    (folder / "new.csr").write_bytes(request.public_bytes(Encoding.PEM))
    files = ("--csr", str(folder / "new.csr"), "--out", str(folder / "new.pem"))
    _done("terminal", "rotate", "ATM-0001", *files, "--overlap-days", "14")
    return _client(settings, folder)


def _client(settings: Settings, folder: Path) -> TerminalClient:
    return TerminalClient(
        settings.gateway.url,
        certificate=folder / "new.pem",
        key=folder / "new-key.pem",
        ca=settings.ca_certificate,
        gateway_certificates=settings.signing_certificates,
    )


def _reload(running: RunningGateway) -> None:
    """SIGHUP, until the new workers have taken over."""
    booted = running.log().count("Booting worker")
    running.process.send_signal(signal.SIGHUP)
    wait_until(lambda: running.log().count("Worker exiting") >= booted, within_s=30)


def _done(*arguments: str) -> None:
    assert _ends(*arguments) == 0, arguments


def _ends(*arguments: str) -> object:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code
