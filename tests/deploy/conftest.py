"""nginx, two gateways and PostgreSQL, run from the files in `deploy/` with keys made for the test."""

import grp
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bankapi import clock, settings
from bankapi.cli import home as homes
from bankapi.cli.client import TerminalClient
from bankapi.cli.payments import terminal_client
from bankapi.settings import Settings
from tests.deploy.units import DEPLOY, Journal, Service, listening
from tests.postgres import Postgres, postgres  # noqa: F401
from tests.running import free_port

SETTINGS = (
    "[gateway]\nlisten = unix:{socket}\nfront_user = {user}\nurl = https://localhost:{port}/soap/v1\nworkers = 1\n"
)


@dataclass
class Front:
    """nginx by `deploy/nginx.conf`; only paths and the port are others."""

    folder: Path
    home: Path
    port: int
    journal: Journal
    changes: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        self._configuration = self.folder / "nginx.conf"
        self._configuration.write_text(self._text())
        self._run("-t", "-q")
        self._run()

    def reload(self) -> None:
        """As bankapi-front-reload.service does."""
        self._run("-t", "-q")
        self._run("-s", "reload")

    def stop(self) -> None:
        self._run("-s", "quit")
        give_up_at = time.monotonic() + 20
        while (self.folder / "nginx.pid").exists():
            assert time.monotonic() < give_up_at
            time.sleep(0.05)

    def _text(self) -> str:
        text = (DEPLOY / "nginx.conf").read_text()
        others = {
            "user www-data;": f"user {front_user()};" if os.geteuid() == 0 else "",
            "pid /run/nginx.pid;": f"pid {self.folder}/nginx.pid;",
            "/dev/log": str(self.journal.path),
            "unix:/run/bankapi/gateway.sock": f"unix:{self.folder}/gateway.sock",
            "listen 8443 ": f"listen 127.0.0.1:{self.port} ",
            "/var/lib/bankapi": str(self.home),
            **self.changes,
        }
        for deployed, here in others.items():
            assert deployed in text, deployed
            text = text.replace(deployed, here)
        return text

    def _run(self, *arguments: str) -> None:
        temporary = f"{self.folder}/temporary"
        paths = " ".join(
            f"{name}_temp_path {temporary}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        said = self.folder / "nginx.said"
        with said.open("w") as output:  # a daemon keeps what it has inherited open
            command = ["nginx", "-p", str(self.folder), "-c", str(self._file(paths)), *arguments]
            done = subprocess.run(command, stdout=output, stderr=output, check=False, timeout=30)
        assert done.returncode == 0, said.read_text()

    def _file(self, paths: str) -> Path:
        """The configuration with places for temporary files, which Debian compiles in."""
        (self.folder / "temporary").mkdir(exist_ok=True)
        text = self._configuration.read_text()
        if "client_body_temp_path" not in text:
            self._configuration.write_text(text.replace("http {\n", f"http {{\n    {paths}\n"))
        return self._configuration


@dataclass
class Deployment:
    """Everything that runs, and how to speak to it."""

    settings: Settings
    folder: Path
    front: Front
    journal: Journal
    services: dict[str, Service]

    @property
    def socket_file(self) -> Path:
        return self.folder / "gateway.sock"

    def client(self, terminal: str = "ATM-0001") -> TerminalClient:
        return terminal_client(self.settings, terminal)

    def log(self) -> str:
        return "".join(service.log() for service in self.services.values())


def front_user() -> str:
    """Whom nginx works as: www-data where we may choose, ourselves where not."""
    return "www-data" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def require_nginx() -> None:
    if shutil.which("nginx") is None:
        pytest.skip("no nginx here (Debian: apt-get install nginx-light)")
    try:
        pwd.getpwnam(front_user())
    except KeyError:
        pytest.skip(f"there is no user {front_user()} for nginx to work as")


@contextmanager
def deployed(
    database_url: str,
    instances: str = "12",
    changes: dict[str, str] | None = None,
    extra: str = "",
    *,
    sandbox: bool = False,
) -> Iterator[Deployment]:
    """A demo installation, or a sandbox, in this database behind nginx, with so many gateways."""
    require_nginx()
    with ExitStack() as stack:
        # Not pytest's own folder, which nginx's user may not enter.
        folder = Path(tempfile.mkdtemp(prefix="bankapi-deploy-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        home, port = folder / "home", free_port()
        homes.create(_load(home, database_url), demo=not sandbox, sandbox=sandbox, now=clock.utc_now())
        text = SETTINGS.format(socket=folder / "gateway.sock", user=front_user(), port=port)
        (home / "bankapi.ini").write_text(text + extra)
        shutil.copy(DEPLOY / "gunicorn.conf.py", home)
        chosen = _load(home, database_url)
        journal = Journal(folder / "journal")
        front = Front(folder, home, port, journal, changes or {})
        group_id = pwd.getpwnam(front_user()).pw_gid
        assert grp.getgrgid(group_id)
        listener = stack.enter_context(listening(folder / "gateway.sock", group_id))
        environment = {"BANKAPI_STORAGE_URL": database_url, "BANKAPI_MONITORING_PORT": "0"}
        services = {name: Service(home, listener, name, environment) for name in instances}
        for service in services.values():
            stack.callback(service.close)
            service.start()
        front.start()
        stack.callback(_stop, front)
        yield Deployment(chosen, folder, front, journal, services)


def _stop(front: Front) -> None:
    with suppress(AssertionError):
        front.stop()


def _load(home: Path, database_url: str) -> Settings:
    return settings.load(home, {"BANKAPI_STORAGE_URL": database_url})


@pytest.fixture(scope="module")
def deployment(postgres: Postgres) -> Iterator[Deployment]:  # noqa: F811
    """The whole of it on PostgreSQL, for the tests of a module that leave it usable."""
    require_nginx()
    with postgres.database(template="template1") as url, deployed(url) as running:
        yield running
