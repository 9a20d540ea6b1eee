"""Starting the real gateway in a process of its own, as an operator would."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bankapi.cli.payments import terminal_client
from bankapi.evidence import sealing
from bankapi.settings import Settings
from bankapi.storage.engine import Store

UNWATCHED = {"BANKAPI_MONITORING_PORT": "0", "BANKAPI_MONITORING_SLOW_REQUEST_MS": "60000"}
"""Several gateways run at once here, and a busy machine is no finding. Tests of the monitoring say otherwise."""


_PORTS = count(20000 + os.getpid() * 397 % 12000)
"""Below the ports that the kernel gives to clients, and not the same in two processes of tests."""


def free_port() -> int:
    """One that nobody listens on, and that is not given again."""
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError


def wait_until(holds: Callable[[], bool], within_s: float = 120.0) -> None:
    """Ask again and again; whoever does not answer yet (OSError) is asked again too."""
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(OSError):
            if holds():
                return
        assert time.monotonic() < deadline, "it has not come about"
        time.sleep(0.1)


def wait_until_sealed(settings: Settings) -> None:
    """The worker has given every exchange its leaf."""
    store = Store(settings.database_url)

    def is_sealed() -> bool:
        with store.read() as connection:
            return sealing.unsealed(connection) == 0

    wait_until(is_sealed)
    store.close()


@dataclass(frozen=True)
class RunningGateway:
    settings: Settings
    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def url(self) -> str:
        return self.settings.gateway.url

    def log(self) -> str:
        """Everything it has logged so far."""
        return self.log_file.read_text()


@contextlib.contextmanager
def start_gateway(settings: Settings, **environment: str) -> Iterator[RunningGateway]:
    """`bankapi serve` until it answers; stopped at the end, and its end must be clean."""
    log_file = settings.home / "gateway.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", "from bankapi.cli.main import main; main()", "serve"],
            env={**os.environ, **UNWATCHED, **environment, "BANKAPI_HOME": str(settings.home)},
            stderr=log,
            stdout=log,
        )
    running = RunningGateway(settings, process, log_file)
    try:
        _wait_until_it_answers(running)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def _wait_until_it_answers(running: RunningGateway) -> None:
    client = terminal_client(running.settings, "ATM-0001")
    for _ in range(1200):
        if running.process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            client.call("Ping", [])
            return
        time.sleep(0.1)
    raise AssertionError(f"the gateway does not answer:\n{running.log()}")
