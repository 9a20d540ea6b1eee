"""node's `soap`, with its own WSSecurityCert; answers are checked with xml-crypto. Installs them with npm."""

import json
import shutil
import subprocess
from itertools import count
from pathlib import Path

import pytest

from tests import programs
from tests.contract import earlier
from tests.interop.promises import Promises, assert_it_works
from tests.interop.stacks import CLIENTS, Stack
from tests.running import RunningGateway

pytestmark = pytest.mark.slow
FOLDER = CLIENTS / "node"
PACKAGES = ("soap", "xml-crypto")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client and exactly the packages of the lock file, installed by npm."""
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", "client.mjs"):
        shutil.copy(FOLDER / name, folder)
    programs.npm_ci(folder, "node's soap was not tried")
    return folder


@pytest.fixture(scope="module")
def stack(gateway: RunningGateway, packages: Path) -> Stack:
    return Stack(
        name="NODE",
        command=("node", str(packages / "client.mjs")),
        value_key="$value",
        currency=lambda amount: amount["attributes"]["currency"],
        versions=_versions(packages),
        gateway=gateway,
        numbers=count(1),
    )


def _versions(packages: Path) -> str:
    """Of what npm installed, and of node itself."""
    installed = packages / "node_modules"
    found = [f"{name} {json.loads((installed / name / 'package.json').read_text())['version']}" for name in PACKAGES]
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return ", ".join([*found, f"node {node}"])


@pytest.mark.parametrize("contract", earlier.contracts(), ids=lambda file: file.stem)
def test_a_client_of_an_earlier_contract_still_works(stack: Stack, contract: Path) -> None:
    assert_it_works(stack, contract)


class TestNode(Promises):
    title = "node soap"
