"""Health, readiness and metrics of the real gateway: two workers, mutual TLS, and what goes wrong in operation."""

import json
import os
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from bankapi import clock, settings
from bankapi.cli import home as homes
from bankapi.cli.authority import Authority, certificate_pem, key_pem
from bankapi.cli.payments import terminal_client
from bankapi.settings import Settings
from bankapi.way4.configuration import Operation
from tests.conftest import copy_home
from tests.exchange.test_registration import code, payment
from tests.postgres import a_cluster
from tests.programs import needs
from tests.running import RunningGateway, free_port, start_gateway, wait_until
from tests.way4.conftest import new_rrn, opened

Sample = tuple[str, dict[str, str], float]


@dataclass(frozen=True)
class Monitored:
    """A running gateway and its monitor."""

    gateway: RunningGateway
    port: int

    @property
    def settings(self) -> Settings:
        return self.gateway.settings

    def get(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def ready(self) -> tuple[int, dict[str, Any]]:
        status, body = self.get("/ready")
        return status, json.loads(body)["checks"]

    def samples(self) -> list[Sample]:
        families = text_string_to_metric_families(self.get("/metrics")[1].decode())
        return [(each.name, each.labels, each.value) for family in families for each in family.samples]

    def value(self, name: str, **labels: str) -> float:
        found = [value for each, has, value in self.samples() if each == name and has.items() >= labels.items()]
        return sum(found)

    def children(self, command: str) -> list[int]:
        """Processes that the gateway has started: `serve` are its workers."""
        return [pid for pid in children_of(self.gateway.process.pid) if command in command_of(pid)]

    @property
    def directory(self) -> Path:
        (monitor,) = self.children("monitor")
        words = command_of(monitor)
        return Path(words[words.index("--directory") + 1])


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def monitored(own: Settings, **environment: str) -> Any:
    port = free_port()
    return start_gateway(own, BANKAPI_MONITORING_PORT=str(port), **environment), port


@pytest.fixture(scope="module")
def watched(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    """Every request of this gateway is slow by its own settings."""
    home = copy_home(demo_home, tmp_path_factory.mktemp("watched") / "var")
    starting, port = monitored(home, BANKAPI_MONITORING_SLOW_REQUEST_MS="0.1", BANKAPI_GATEWAY_HANDSHAKE_DEADLINE_S="5")
    with starting as running:
        yield Monitored(running, port)


def test_what_both_workers_do_is_counted_and_outlives_the_one_that_is_killed(watched: Monitored) -> None:
    wait_until(lambda: watched.ready()[0] == 200)
    asked = {"door": "soap", "operation": "RegisterPayment"}
    counted = (
        ("bankapi_payments_total", {"event": "registered", "dealer": "DEMO-BANK", "currency": "RUB"}),
        ("bankapi_payments_amount_total", {"event": "registered", "dealer": "DEMO-BANK", "currency": "RUB"}),
        ("bankapi_payments_total", {"event": "declined"}),
        ("bankapi_payments_amount_total", {"event": "declined"}),
        ("bankapi_payments_total", {"event": "cancelled"}),
        ("bankapi_requests_total", {**asked, "outcome": "OK"}),
        ("bankapi_requests_total", {**asked, "outcome": "PAYER_BLOCKED"}),
        ("bankapi_request_duration_seconds_count", asked),
    )

    def values() -> list[float]:
        return [watched.value(name, **labels) for name, labels in counted]

    before = values()

    def counts() -> list[float]:
        return [now - then for now, then in zip(values(), before, strict=True)]

    def pay(number: int) -> str:
        return code(terminal_client(watched.settings, "ATM-0001").call("RegisterPayment", payment(f"M-{number}")))

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(pay, range(24))) == {"OK"}
    assert pay(0) == "OK", "a repetition is no payment"
    blocked = terminal_client(watched.settings, "ATM-0001").call(
        "RegisterPayment", payment("M-BLOCKED", "7.00", "79160000019")
    )
    assert code(blocked) == "PAYER_BLOCKED"
    cancel = [("Reference", "M-0"), ("Amount", payment("M-0")[2][1]), ("Reason", "TIMEOUT")]
    assert code(terminal_client(watched.settings, "ATM-0001").call("CancelPayment", cancel)) == "OK"
    files = watched.directory.glob("counter_*.db")
    shares = [
        sum(each.value for family in MultiProcessCollector.merge([str(file)]) for each in family.samples)
        for file in files
        if family_is_counted(file)
    ]
    assert len(shares) == 2, "both workers have answered"

    assert counts() == [24, 2400.0, 1, 7.0, 1, 25, 1, 26]
    killed = watched.children("serve")[0]
    os.kill(killed, signal.SIGKILL)
    assert watched.get("/health")[0] == 200
    wait_until(lambda: len(set(watched.children("serve")) - {killed}) == 2)
    wait_until(lambda: watched.value("bankapi_workers") == 2)
    assert counts() == [24, 2400.0, 1, 7.0, 1, 25, 1, 26]
    assert watched.ready()[0] == 200
    assert pay(100) == "OK"
    assert counts() == [25, 2500.0, 1, 7.0, 1, 26, 1, 27]
    assert len(list(watched.directory.glob("counter_*.db"))) <= 3, "the new worker goes on with the files of the dead"


def family_is_counted(file: Path) -> bool:
    families = MultiProcessCollector.merge([str(file)])
    return any(each.name == "bankapi_requests_total" and each.value for family in families for each in family.samples)


def test_a_refusal_is_counted_by_its_rule_and_a_handshake_that_fails_by_its_reason(
    watched: Monitored, tmp_path: Path
) -> None:
    atm = terminal_client(watched.settings, "ATM-0001")
    refused = atm.call("RegisterPayment", payment("M-SCHEMA", amount="0.001"))
    assert code(refused) == "SCHEMA_VIOLATION"
    assert watched.value("bankapi_refusals_total", rule="schema") == 1
    assert watched.value("bankapi_requests_total", outcome="SCHEMA_VIOLATION") == 1
    bare = ssl.create_default_context(cafile=str(watched.settings.ca_certificate))
    own = Authority.create("somebody else", clock.utc_now())
    (tmp_path / "cert.pem").write_bytes(certificate_pem(own.certificate))
    (tmp_path / "key.pem").write_bytes(key_pem(own.key))
    foreign = ssl.create_default_context(cafile=str(watched.settings.ca_certificate))
    foreign.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    for context, reason in ((bare, "no-certificate"), (foreign, "certificate")):
        with pytest.raises(OSError, match=r"SSL|reset|closed"):
            urllib.request.urlopen(watched.gateway.url, timeout=5, context=context)
        wait_until(lambda reason=reason: watched.value("bankapi_handshake_failures_total", reason=reason) == 1)
    with socket.create_connection(("localhost", watched.settings.gateway.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        wait_until(lambda: watched.value("bankapi_handshake_failures_total", reason="protocol") == 1)
    with socket.create_connection(("localhost", watched.settings.gateway.port)):
        wait_until(lambda: watched.value("bankapi_late_connections_total", stage="handshake") == 1)


def test_a_payment_through_the_other_door_is_counted_there(watched: Monitored) -> None:
    events = ("registered", "declined", "cancelled")

    def counts() -> list[float]:
        return [watched.value("bankapi_payments_total", event=event, dealer="DEMO-BANK") for event in events]

    before, rrn = counts(), new_rrn()
    with opened(watched.gateway) as door:
        assert door.code(Operation.REGISTER, rrn=rrn) == "OK"
        assert door.code(Operation.REGISTER, rrn=rrn) == "OK"
        assert door.code(Operation.REGISTER, msisdn="79160000019") == "PAYER_BLOCKED"
        assert door.code(Operation.CANCEL, rrn=rrn) == "OK"
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [1, 1, 1]
    asked = {"door": "way4", "operation": "RegisterPayment"}
    assert watched.value("bankapi_requests_total", **asked, outcome="OK") == 2
    assert watched.value("bankapi_request_duration_seconds_count", **asked) == 3


def test_a_slow_request_is_logged_with_its_stages_and_nothing_of_its_payer(watched: Monitored) -> None:
    answer = terminal_client(watched.settings, "ATM-0001").call("RegisterPayment", payment("SLOW-REFERENCE-1"))
    assert code(answer) == "OK"
    lines = [json.loads(line) for line in watched.gateway.log().splitlines() if '"slow"' in line]
    assert lines
    line = next(each for each in reversed(lines) if each["operation"] == "RegisterPayment")
    assert set(line) == {
        *("time", "level", "logger", "message"),
        *("exchange_id", "operation", "duration_ms", "stages_ms"),
    }
    assert list(line["stages_ms"]) == ["queue", "check", "verify", "turn", "perform", "sign", "commit"]
    assert 0 < sum(line["stages_ms"].values()) <= line["duration_ms"] + 1
    assert watched.value("bankapi_slow_requests_total") >= len(lines)
    told = watched.gateway.log() + watched.get("/metrics")[1].decode() + str(watched.ready())
    for secret in ("SLOW-REFERENCE-1", "M-BLOCKED", "79160000001", "79160000019", "Petrov", "Traceback"):
        assert secret not in told


def test_ready_says_why_not_while_the_database_is_away_and_ready_again_afterwards(watched: Monitored) -> None:
    wait_until(lambda: watched.ready()[0] == 200)
    database = watched.settings.home / "bankapi.db"
    away = database.with_suffix(".away")
    database.rename(away)
    try:
        wait_until(lambda: watched.ready()[0] == 503)
        _, checks = watched.ready()
        assert {name for name, check in checks.items() if not check["ok"]} == {"database", "schema", "evidence"}
        assert watched.value("bankapi_ready", check="database") == 0
        assert watched.get("/health")[0] == 200
        assert not database.exists(), "looking must not make a new one"
    finally:
        away.rename(database)
    wait_until(lambda: watched.ready()[0] == 200)
    assert watched.value("bankapi_ready", check="database") == 1


def test_the_port_tells_nothing_but_its_three_addresses(watched: Monitored) -> None:
    assert watched.get("/") == (404, b"")
    assert watched.get("/metrics/../ready")[0] == 404
    assert watched.get("/metrics", "POST") == (501, b"")
    status, body = watched.get("/health", "HEAD")
    assert (status, body) == (200, b"")


def test_dashboard_and_alerts_use_only_metrics_that_are_exported(watched: Monitored) -> None:
    text = watched.get("/metrics")[1].decode()
    families = {family.name: family.type for family in text_string_to_metric_families(text)}
    exported = set(families) | {f"{name}_total" for name, kind in families.items() if kind == "counter"}
    exported |= {f"{name}_{end}" for name, kind in families.items() if kind == "histogram" for end in ENDS}
    deploy = Path(__file__).parents[2] / "deploy"
    for file in ("grafana-dashboard.json", "prometheus-alerts.yml"):
        used = set(re.findall(r"\bbankapi_[a-z0-9_]+", (deploy / file).read_text()))
        assert len(used) > 10
        assert used <= exported, file


ENDS = ("bucket", "sum", "count")


def test_prometheus_may_ask_for_openmetrics_which_it_prefers(watched: Monitored) -> None:
    preferred = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5"}
    asked = urllib.request.Request(f"http://127.0.0.1:{watched.port}/metrics", headers=preferred)
    with urllib.request.urlopen(asked, timeout=10) as answer:
        families = {family.name for family in openmetrics.text_string_to_metric_families(answer.read().decode())}
    assert {"bankapi_requests", "bankapi_stage_duration_seconds", "bankapi_ready", "bankapi_build"} <= families


@pytest.mark.slow
@needs("promtool")
def test_prometheus_has_nothing_to_say_against_the_metrics(watched: Monitored) -> None:
    command = ["promtool", "check", "metrics"]
    checked = subprocess.run(command, input=watched.get("/metrics")[1], capture_output=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


@pytest.mark.slow
def test_a_gateway_that_is_killed_takes_its_monitor_and_their_files_along(installation: Settings) -> None:
    starting, port = monitored(installation)
    with starting as running:
        own = Monitored(running, port)
        wait_until(lambda: own.get("/health")[0] == 200)
        directory, (monitor,) = own.directory, own.children("monitor")
        assert directory.stat().st_mode & 0o077 == 0
        running.process.kill()
        running.process.wait()
        wait_until(lambda: "monitor" not in command_of(monitor))
        wait_until(lambda: not directory.exists())
        wait_until(lambda: not is_listening(port))


@pytest.mark.slow
def test_ping_says_degraded_for_real_causes_and_available_when_they_are_gone(installation: Settings) -> None:
    terms = {
        "BANKAPI_GATEWAY_WORKERS": "1",
        "BANKAPI_MONITORING_SLOW_REQUEST_MS": "400",
        "BANKAPI_MONITORING_LATE_S": "2",
        "BANKAPI_EVIDENCE_SEAL_S": "0.2",
        "BANKAPI_EVIDENCE_CHECKPOINT_S": "0.5",
    }
    starting, port = monitored(installation, **terms)
    with starting as running, ThreadPoolExecutor(10) as threads:
        own = Monitored(running, port)
        atms = [terminal_client(installation, "ATM-0001") for _ in range(10)]

        def status() -> str:
            return str(atms[0].call("Ping", []).fields["status"])

        def pay_ten(name: str) -> list[Any]:
            calls = [(atm, payment(f"{name}-{number}", "1.00")) for number, atm in enumerate(atms)]
            return [threads.submit(atm.call, "RegisterPayment", fields) for atm, fields in calls]

        wait_until(lambda: status() == "AVAILABLE")
        # Somebody holds the database's write lock.
        with sqlite3.connect(installation.home / "bankapi.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            paying = pay_ten("HELD")
            time.sleep(3.0)
            other.execute("COMMIT")
        assert {code(each.result()) for each in paying} == {"OK"}
        assert status() == "DEGRADED"
        for number in range(24):  # the median of ten slow ones and these
            assert code(atms[0].call("RegisterPayment", payment(f"FREE-{number}", "1.00"))) == "OK"
        wait_until(lambda: status() == "AVAILABLE")
        # The background worker hangs: nothing is sealed.
        (worker,) = own.children("worker")
        os.kill(worker, signal.SIGSTOP)
        try:
            wait_until(lambda: status() == "DEGRADED")
            wait_until(lambda: own.ready()[0] == 503)
            assert own.ready()[1]["evidence"]["ok"] is False
        finally:
            os.kill(worker, signal.SIGCONT)
        wait_until(lambda: status() == "AVAILABLE")
        wait_until(lambda: own.ready()[0] == 200)


@pytest.mark.slow
def test_a_postgresql_that_stops_makes_the_gateway_not_ready_until_it_is_back(tmp_path: Path) -> None:
    with a_cluster() as postgres, postgres.database("template1") as url:
        home = tmp_path / "var"
        homes.create(settings.load(home, {"BANKAPI_STORAGE_URL": url}), demo=True, now=clock.utc_now())
        port = free_port()
        (home / "bankapi.ini").write_text(
            f"[gateway]\nport = {port}\nurl = https://localhost:{port}/soap/v1\n[storage]\nurl = {url}\n"
        )
        starting, monitor_port = monitored(settings.load(home, {}))
        with starting as running:
            own = Monitored(running, monitor_port)
            atm = terminal_client(own.settings, "ATM-0001")
            wait_until(lambda: own.ready()[0] == 200)
            assert code(atm.call("RegisterPayment", payment("PG-1"))) == "OK"
            for how in (signal.SIGQUIT, signal.SIGINT):
                postgres.stop(how)
                wait_until(lambda: own.ready()[0] == 503)
                asked_at = time.monotonic()
                assert own.value("bankapi_ready", check="database") == 0
                wait_until(lambda: own.value("bankapi_database_up") == 0)
                assert own.get("/health")[0] == 200
                assert code(atm.call("RegisterPayment", payment("PG-2"))) == "TEMPORARILY_UNAVAILABLE"
                assert own.value("bankapi_storage_failures_total") >= 1
                assert time.monotonic() - asked_at < 25, "nobody is kept waiting for a database that is away"
                postgres.start_again()
                wait_until(lambda: own.ready()[0] == 200)
                wait_until(lambda: own.value("bankapi_database_up") == 1)
            assert code(atm.call("RegisterPayment", payment("PG-2"))) == "OK"
            assert own.value("bankapi_database_size_bytes") > 1_000_000
