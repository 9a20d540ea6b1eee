"""What systemd would do with the units in `deploy/systemd`, as far as a test needs it.

The socket is made by us and handed over (sd_listen_fds(3)), commands come from the unit files, and a service is up when
it says so (sd_notify(3)). What confines a service needs systemd itself and is not tried here.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = DEPLOY / "systemd"
BANKAPI = [sys.executable, "-c", "from bankapi.cli.main import main; main()"]
_STARTS_WITHIN_S = 60.0
_HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""
"""The process that is named by LISTEN_PID becomes the one that serves."""


def settings_of(unit: str) -> dict[str, list[str]]:
    """The settings of a unit file; one that stands more than once has more than one value."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / unit).read_text().splitlines():
        name, is_setting, value = line.partition("=")
        if is_setting and not line.startswith(("#", "[")):
            found.setdefault(name, []).append(value)
    return found


@contextmanager
def listening(path: Path, group_id: int) -> Iterator[socket.socket]:
    """The socket of bankapi-gateway.socket, at another path and with another group."""
    unit = settings_of("bankapi-gateway.socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(int(unit["SocketMode"][0], 8))
        os.chown(path, -1, group_id)
        listener.listen(int(unit["Backlog"][0]))
        yield listener


class Service:
    """One instance of bankapi-gateway@.service."""

    def __init__(self, home: Path, listener: socket.socket, name: str, environment: Mapping[str, str]) -> None:
        self._unit = settings_of("bankapi-gateway@.service")
        self._listener = listener
        self._log_file = home.parent / f"gateway-{name}.log"
        self._environment = {**os.environ, **environment, "BANKAPI_HOME": str(home)}
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notices_file = home.parent / f"notify-{name}-{time.monotonic_ns()}"
        self._notices.bind(str(self._notices_file))
        self.process: subprocess.Popen[bytes] | None = None
        self._told: SimpleQueue[str] = SimpleQueue()
        # Somebody has to listen all the time: who tells waits until he is heard.
        Thread(target=self._listen, daemon=True).start()

    def start(self, program: list[str] | None = None) -> None:
        """ExecStart, until it says READY=1."""
        environment = {**self._environment, "NOTIFY_SOCKET": str(self._notices_file), "LISTEN_FDS": "1"}
        command = [*(program or BANKAPI), *self._arguments("ExecStart", 0)]
        with self._log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _HAND_OVER, str(self._listener.fileno()), *command],
                env=environment,
                stderr=log,
                stdout=log,
                pass_fds=[self._listener.fileno()],
            )
        self.wait_for("READY=1")

    def wait_for(self, notice: str) -> None:
        """Until the service has told this since the last time it was waited for."""
        assert self.process
        give_up_at = time.monotonic() + _STARTS_WITHIN_S
        while time.monotonic() < give_up_at and self.process.poll() is None:
            with suppress(Empty):
                if notice in self._told.get(timeout=0.5).splitlines():
                    return
        raise AssertionError(f"{notice} was not told:\n{self.log()}")

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                self._told.put(self._notices.recv(4096).decode())

    def reload(self) -> int:
        """ExecReload, one command after the other until one fails; its exit code."""
        assert self.process
        for number, command in enumerate(self._unit["ExecReload"]):
            if command == "/bin/kill -HUP $MAINPID":
                self.process.send_signal(signal.SIGHUP)
                continue
            done = subprocess.run(
                [*BANKAPI, *self._arguments("ExecReload", number)],
                env=self._environment,
                capture_output=True,
                check=False,
                timeout=60,
            )
            if done.returncode:
                return done.returncode
        self.wait_for("READY=1")
        return 0

    def stop(self) -> None:
        """KillMode=mixed: SIGTERM to the first process alone."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(int(self._unit["TimeoutStopSec"][0])) == 0, self.log()
            self.process = None

    def close(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        self._notices.close()
        self._notices_file.unlink()

    def log(self) -> str:
        return self._log_file.read_text()

    def _arguments(self, setting: str, number: int) -> list[str]:
        program, *arguments = self._unit[setting][number].split()
        assert program == "/opt/bankapi/current/bin/bankapi"
        return arguments


class Journal:
    """A /dev/log of our own: everything nginx logs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        path.chmod(0o666)
        self._lines: list[str] = []
        self._thread = Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(OSError):
            while True:
                self._lines.append(self._socket.recv(65536).decode(errors="replace"))

    def text(self) -> str:
        return "\n".join(self._lines)
