"""An SMSC of another code base, and books whose payments it hears of."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.test_node import NO_NETWORK
from tests.notices import smsc as smscs
from tests.notices.smsc import SMSC
from tests.postgres import postgres  # noqa: F401
from tests.running import free_port
from tests.unit.conftest import books, database_url  # noqa: F401

FOLDER = Path(__file__).with_name("node")


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the SMSC."""
    return install(tmp_path_factory.mktemp("node") / "smsc")


def install(folder: Path) -> Path:
    """Put the SMSC into a new folder, with exactly the packages of the lock file, installed by npm."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: no SMSC to send to")
    folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json", "smsc.mjs"):
        shutil.copy(FOLDER / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode != 0 and (reason := NO_NETWORK.search(done.stderr)):
        pytest.skip(f"npm cannot reach its registry ({reason[0]}): no SMSC to send to")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def smsc(packages: Path) -> Iterator[SMSC]:
    """A running SMSC that does as it should, until it is told otherwise."""
    with smscs.running(packages, free_port()) as running:
        yield running
