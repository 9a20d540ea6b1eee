"""Reloads, upgrades and revocations under load: no request fails, and no revoked terminal gets through."""

import json
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import select

import bankapi
from bankapi.billing.tables import payments
from bankapi.cli import main
from bankapi.cli.client import AnswerNotTrusted, TerminalClient
from bankapi.settings import Settings
from bankapi.storage.engine import Store
from tests.deploy.conftest import Deployment
from tests.deploy.units import Service
from tests.exchange.test_registration import code, payment
from tests.running import wait_until

pytestmark = pytest.mark.slow
CLIENTS = 8


@dataclass
class Load:
    """What eight signed clients have seen: every answer is a registered payment, or a failure with its kind."""

    latencies_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)

    def report(self, what: str) -> None:
        slowest = sorted(self.latencies_s)
        print(
            f"\n{what}: {len(self.references)} payments, {len(self.failures)} failures, "
            f"median {slowest[len(slowest) // 2] * 1000:.0f} ms, slowest {slowest[-1] * 1000:.0f} ms"
        )


@contextmanager
def loaded(deployment: Deployment, name: str) -> Iterator[Load]:
    """Payments from eight connections without a pause, until the block ends."""
    load, stop = Load(), threading.Event()

    def pay(number: int) -> None:
        terminal = ("ATM-0001", "ATM-0002")[number % 2]
        atm, count = deployment.client(terminal), 0
        while not stop.is_set():
            count += 1
            reference = f"{name}-{number}-{count}"
            begun = time.perf_counter()
            try:
                answer = atm.call("RegisterPayment", payment(reference, amount="1.00"))
            except (OSError, AnswerNotTrusted) as error:
                load.failures.append(f"{reference}: {type(error).__name__} {error}")
                continue
            load.latencies_s.append(time.perf_counter() - begun)
            if code(answer) == "OK":
                load.references.append(reference)
            else:
                load.failures.append(f"{reference}: {code(answer)}")

    threads = [threading.Thread(target=pay, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(1.0)
        yield load
        time.sleep(1.0)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_reloads_under_load_lose_nothing(deployment: Deployment) -> None:
    with loaded(deployment, "RELOAD") as load:
        for service in deployment.services.values():
            assert service.reload() == 0
    load.report("2 reloads")
    assert load.failures == []
    assert _registered(deployment, load) == len(load.references) > 2 * CLIENTS


def test_an_upgrade_under_load_loses_nothing_and_leaves_nobody_waiting(deployment: Deployment, tmp_path: Path) -> None:
    """Both gateways are replaced, one after the other, by a program that is another one."""
    next_release = _next_release(tmp_path)
    with loaded(deployment, "UPGRADE") as load:
        for service in deployment.services.values():
            service.stop()
            service.start(next_release)
    load.report("upgrade")
    assert load.failures == []
    assert _registered(deployment, load) == len(load.references) > 2 * CLIENTS
    for service in deployment.services.values():
        assert "this is the next release" in service.log()


def test_one_gateway_alone_is_replaced_while_requests_wait_in_the_socket(deployment: Deployment) -> None:
    first, second = deployment.services.values()
    second.stop()
    with loaded(deployment, "ALONE") as load:
        first.stop()
        first.start()
    load.report("restart of the only gateway")
    second.start()
    assert load.failures == []
    assert _registered(deployment, load) == len(load.references)


def test_a_gateway_that_is_killed_is_missed_by_nobody_but_its_own_requests(deployment: Deployment) -> None:
    """What was in flight is answered with a bare 503 or cut; the same reference, sent again, is settled once."""
    first, _ = deployment.services.values()
    with loaded(deployment, "KILLED") as load:
        assert first.process
        first.process.kill()
        first.process.wait()
        time.sleep(2)
        first.start()
    load.report("gateway killed")
    assert len(load.failures) <= CLIENTS
    atm = deployment.client()
    for failed in load.failures:
        reference = failed.partition(":")[0]
        atm = deployment.client(("ATM-0001", "ATM-0002")[int(reference.split("-")[1]) % 2])
        assert code(atm.call("RegisterPayment", payment(reference, amount="1.00"))) == "OK"


def test_a_reload_that_cannot_work_leaves_the_old_gateway_alone(deployment: Deployment) -> None:
    service: Service = next(iter(deployment.services.values()))
    key = deployment.settings.gateway_file("signing-key.pem")
    good = key.read_bytes()
    try:
        key.write_bytes(good[:100])
        assert service.reload() != 0
    finally:
        key.write_bytes(good)
    assert code(deployment.client().call("Ping", [])) == "OK"
    assert service.reload() == 0


def test_a_revoked_terminal_is_refused_where_it_is_and_not_let_in_again(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    atm = deployment.client("ATM-0101")
    assert code(atm.call("Ping", [])) == "OK"  # the connection that is kept alive
    _bankapi(deployment.settings, monkeypatch, "terminal", "revoke", "ATM-0101", "--all")

    kept_alive = atm.call("RegisterPayment", payment("REVOKED-1"))
    assert (kept_alive.is_fault, kept_alive.fields["code"]) == (True, "SECURITY")
    assert "admission.certificate-revoked" in deployment.log()
    fresh = deployment.client("ATM-0101").call("Ping", [])
    assert (fresh.is_fault, fresh.fields["code"]) == (True, "SECURITY"), "before nginx has read the list"

    deployment.front.reload()
    why = '"verify":"FAILED:certificate revoked"'  # logged when the answer has gone already
    wait_until(lambda: _is_refused_by_nginx(deployment.client("ATM-0101")) and why in deployment.journal.text())
    assert code(deployment.client("ATM-0001").call("Ping", [])) == "OK"
    paid = deployment.client().call("GetPaymentStatus", [("Reference", "REVOKED-1")])
    assert paid.fields["status"] == "NEVER_SEEN"


def _is_refused_by_nginx(atm: TerminalClient) -> bool:
    try:
        return atm.send("Ping", atm.sign("Ping", [])) == b""
    except ConnectionError:
        return True


def _registered(deployment: Deployment, load: Load) -> int:
    """How many of the payments that were acknowledged are there."""
    store = Store(deployment.settings.database_url)
    try:
        with store.read() as connection:
            query = select(payments.c.reference).where(payments.c.disposition == "REGISTERED")
            return len(set(load.references) & set(connection.execute(query).scalars()))
    finally:
        store.close()


def _next_release(folder: Path) -> list[str]:
    """The command of a program that is not the one that runs: a copy of it with a word of its own."""
    source = Path(bankapi.__file__).parent
    shutil.copytree(source, folder / "bankapi", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("schemas", "wsdl"):
        shutil.copytree(source.parent / name, folder / "bankapi" / name)
    wsgi = folder / "bankapi" / "gateway" / "wsgi.py"
    text = wsgi.read_text()
    changed = re.sub(
        r'(def create_application\(.*?""".*?"""\n)',
        r'\1    __import__("logging").getLogger("bankapi").warning("this is the next release")\n',
        text,
        count=1,
        flags=re.DOTALL,
    )
    assert changed != text
    wsgi.write_text(changed)
    start = f"import sys; sys.path.insert(0, {json.dumps(str(folder))}); from bankapi.cli.main import main; main()"
    return [sys.executable, "-c", start]


def _bankapi(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setenv("BANKAPI_HOME", str(settings.home))
    monkeypatch.setenv("BANKAPI_STORAGE_URL", settings.storage.url)
    with pytest.raises(SystemExit) as end:
        main.main(arguments)
    assert end.value.code == 0
