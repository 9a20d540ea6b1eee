"""An installation's processes under a supervisor that starts anew whatever ends, as an operator's does."""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from bankapi import clock, settings
from bankapi.cli import home as homes
from bankapi.cli.payments import terminal_client
from bankapi.settings import Settings
from tests.postgres import Postgres, a_cluster
from tests.running import free_port

_BANKAPI: Final = (sys.executable, "-c", "from bankapi.cli.main import main; main()")
_LOOK_S: Final = 0.02
_RESTART_S: Final = 0.1
_START_S: Final = 60.0
_STOP_S: Final = 40.0
_ORPHANS_S: Final = 10.0


class Target(StrEnum):
    """What is killed; the value is its name in the report."""

    WORKER = "one gunicorn worker"
    GATEWAY = "the whole gateway"
    ARBITER = "gunicorn's arbiter alone"
    BACKGROUND = "bankapi worker"
    BACKEND = "a PostgreSQL backend"
    POSTMASTER = "PostgreSQL's postmaster"


@dataclass
class Service:
    """A process that is started again whenever it has ended."""

    start: Callable[[], "subprocess.Popen[bytes]"]
    process: "subprocess.Popen[bytes]"
    started: int = 1
    turn: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> None:
        with self.turn:
            if self.process.poll() is not None:
                time.sleep(_RESTART_S)
                self.process = self.start()
                self.started += 1

    def stop(self, how: signal.Signals) -> int:
        """End it in order; its exit code."""
        self.process.send_signal(how)
        return self.process.wait(timeout=_STOP_S)


class Services:
    """Gateway, background worker and, where there is one, PostgreSQL; each can be killed, none stays dead."""

    def __init__(self, own: Settings, postgres: Postgres | None) -> None:
        self.settings = own
        self.postgres = postgres
        self.log_file = own.home / "processes.log"
        # A directory of its own: who is killed with all its children cannot remove the one it would have made.
        gateway = {"PROMETHEUS_MULTIPROC_DIR": str(own.home / "counts")}
        self.gateway = _service(lambda: self._start(["serve", "--no-worker"], gateway))
        self.background = _service(lambda: self._start(["worker"], {}))
        self.database = None if postgres is None else Service(postgres.start, postgres.process)
        self._ending = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor")
        self._supervisor.start()

    @property
    def all(self) -> list[Service]:
        """PostgreSQL last: the others need it while they end."""
        return [each for each in (self.gateway, self.background, self.database) if each is not None]

    def victims(self, target: Target) -> list[list[int]]:
        """The processes that can be killed as such a target now: each choice is what dies together."""
        arbiter = self.gateway.process.pid
        match target:
            case Target.WORKER:
                command = _command(arbiter)
                return [[pid] for pid in children(arbiter) if command and _command(pid) == command]
            case Target.GATEWAY:
                # The arbiter first, so that it replaces none of the others.
                return [[arbiter, *children(arbiter)]]
            case Target.ARBITER:
                return [[arbiter]]
            case Target.BACKGROUND:
                return [[self.background.process.pid]]
            case Target.BACKEND if self.database is not None:
                pids = children(self.database.process.pid)
                return [[pid] for pid in pids if _command(pid).startswith(b"postgres: bankapi ")]
            case Target.POSTMASTER if self.database is not None:
                return [[self.database.process.pid]]
        return []

    def wait_until_it_answers(self) -> None:
        client = terminal_client(self.settings, "ATM-0001")
        deadline = time.monotonic() + _START_S
        while True:
            with suppress(OSError):
                if client.call("Ping", []).fields.get("status") != "UNAVAILABLE":
                    return
            assert time.monotonic() < deadline, f"the gateway does not answer:\n{self.log()[-4000:]}"
            time.sleep(0.1)

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """`bankapi ARGUMENTS` to its end, in a process of its own as all that is looked for among the orphans."""
        return subprocess.run(
            [*_BANKAPI, *arguments],
            env={**os.environ, "BANKAPI_HOME": str(self.settings.home)},
            capture_output=True,
            text=True,
            check=False,
        )

    def counts(self) -> int:
        """The HTTP status of /metrics: whoever was killed has left files that must still be readable."""
        address = f"http://127.0.0.1:{self.settings.monitoring.port}/metrics"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return int(answer.status)

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def leave_alone(self) -> None:
        """Nothing is started anew from now on."""
        self._ending.set()
        self._supervisor.join()

    def stop(self) -> list[int]:
        """End gateway and worker in order; their exit codes."""
        self.leave_alone()
        return [service.stop(signal.SIGTERM) for service in (self.gateway, self.background)]

    def orphans(self) -> list[str]:
        """What still runs although its service was stopped; whoever is on the way out gets a few seconds."""
        deadline = time.monotonic() + _ORPHANS_S
        while (found := self._left_over()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def _left_over(self) -> list[str]:
        mark = f"BANKAPI_HOME={self.settings.home}".encode()
        cluster = None if self.postgres is None else self.postgres.folder / "cluster"
        found = []
        for pid in running_processes():
            with suppress(OSError):
                is_ours = mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                if is_ours or (cluster is not None and Path(f"/proc/{pid}/cwd").readlink() == cluster):
                    found.append(f"{pid} {_command(pid).decode(errors='replace')}")
        return found

    def _supervise(self) -> None:
        while not self._ending.wait(_LOOK_S):
            for service in self.all:
                service.look()

    def _start(self, command: list[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                [*_BANKAPI, *command],
                env={**os.environ, **environment, "BANKAPI_HOME": str(self.settings.home)},
                stderr=log,
                stdout=log,
            )


def _service(start: Callable[[], "subprocess.Popen[bytes]"]) -> Service:
    return Service(start, start())


@contextmanager
def running(folder: Path, postgres: Postgres | None, url: str = "") -> Iterator[Services]:
    """A demo home on its own database, served; at the end nothing of it runs, however the block ends."""
    services = Services(_installation(folder / "var", url), postgres)
    try:
        services.wait_until_it_answers()
        yield services
    finally:
        services.leave_alone()
        for service in (services.gateway, services.background):
            with suppress(subprocess.TimeoutExpired):
                service.stop(signal.SIGTERM)
        if postgres is not None and services.database is not None:
            postgres.process = services.database.process  # the cluster stops the one that runs now
        for line in services._left_over():
            if postgres is None or "postgres" not in line:
                with suppress(ProcessLookupError):
                    os.kill(int(line.split()[0]), signal.SIGKILL)


@contextmanager
def on_postgresql(folder: Path) -> Iterator[Services]:
    """The same on a PostgreSQL of its own."""
    with a_cluster() as postgres:
        name = "books"
        postgres.execute(f"CREATE DATABASE {name}")
        with running(folder, postgres, postgres.url(name)) as services:
            yield services


def _installation(home: Path, url: str) -> Settings:
    homes.create(settings.load(home, {"BANKAPI_STORAGE_URL": url}), demo=True, now=clock.utc_now())
    port = free_port()
    (home / "bankapi.ini").write_text(
        f"[gateway]\nport = {port}\nurl = https://localhost:{port}/soap/v1\nworkers = 2\n"
        f"[monitoring]\nport = {free_port()}\n[storage]\nurl = {url}\n"
    )
    return settings.load(home, {})


def children(parent: int) -> list[int]:
    """The running processes whose parent it is."""
    return [pid for pid, its_parent in running_processes().items() if its_parent == parent]


def running_processes() -> dict[int, int]:
    """All processes with their parents; those that have ended and wait to be asked are left out (proc(5))."""
    found = {}
    for each in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            state, parent = (each / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                found[int(each.name)] = int(parent)
    return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").strip()
    except OSError:
        return b""
