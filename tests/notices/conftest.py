"""An SMSC of another code base, and books whose payments it hears of."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import programs
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
    folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json", "smsc.mjs"):
        shutil.copy(FOLDER / name, folder)
    programs.npm_ci(folder, "no SMSC to send to")
    return folder


@pytest.fixture
def smsc(packages: Path) -> Iterator[SMSC]:
    """A running SMSC that does as it should, until it is told otherwise."""
    with smscs.running(packages, free_port()) as running:
        yield running
