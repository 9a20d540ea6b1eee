"""Real homes, real keys and a real gateway for every test that asks for one."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis

from bankapi import clock, settings
from bankapi.cli import home as homes
from bankapi.cli.client import TerminalClient
from bankapi.cli.payments import terminal_client
from bankapi.settings import Settings
from tests.running import RunningGateway, free_port, start_gateway

# The same examples each time, however slow the machine is; `--hypothesis-profile=chance` tries others.
hypothesis.register_profile(
    "fixed",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
hypothesis.register_profile("chance", hypothesis.get_profile("fixed"), derandomize=False)
hypothesis.load_profile("fixed")


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pristine demo home; copy it, never serve it."""
    home = tmp_path_factory.mktemp("demo") / "var"
    homes.create(settings.load(home, {}), demo=True, now=clock.utc_now())
    return home


@pytest.fixture(scope="session")
def sandbox_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pristine sandbox; copy it, never serve it."""
    home = tmp_path_factory.mktemp("sandbox") / "var"
    homes.create(settings.load(home, {}), demo=False, sandbox=True, now=clock.utc_now())
    return home


@pytest.fixture
def installation(demo_home: Path, tmp_path: Path) -> Settings:
    """A fresh copy of the demo home, with a port of its own."""
    return copy_home(demo_home, tmp_path / "var")


@pytest.fixture(scope="session")
def gateway(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """One gateway for all tests that leave its accounts usable; two workers, as in production."""
    own = copy_home(demo_home, tmp_path_factory.mktemp("gateway") / "var")
    with start_gateway(own) as running:
        yield running


@pytest.fixture(scope="session")
def client(gateway: RunningGateway) -> Callable[[str], TerminalClient]:
    """The signed client of a demo terminal against the shared gateway."""
    return lambda terminal: terminal_client(gateway.settings, terminal)


def copy_home(source: Path, target: Path) -> Settings:
    shutil.copytree(source, target)
    port = free_port()
    (target / "bankapi.ini").write_text(
        f"[gateway]\nport = {port}\nurl = https://localhost:{port}/soap/v1\nhandshake_deadline_s = 30\n"
    )
    return settings.load(target, {})
