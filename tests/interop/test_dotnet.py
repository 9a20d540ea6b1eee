""".NET's SignedXml and HttpClient, under Mono; types by `xsd` from the published WSDL. .NET 8 is not run here."""

import re
import shutil
import subprocess
from itertools import count
from pathlib import Path

import pytest

from tests.interop.promises import Promises
from tests.interop.stacks import CLIENTS, WSDL_FILE, Stack
from tests.running import RunningGateway

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client, built by the commands of its guide."""
    for tool in ("mono", "mcs", "xsd"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: .NET was not tried")
    folder = tmp_path_factory.mktemp("dotnet")
    for source in (*(CLIENTS / "dotnet").iterdir(), WSDL_FILE):
        shutil.copy(source, folder)
    _run_in(folder, "sh", "-e", "-c", _build_commands())
    return folder / "bankapi.exe"


@pytest.fixture(scope="module")
def stack(program: Path, gateway: RunningGateway) -> Stack:
    return Stack(
        name="DOTNET",
        command=("mono", str(program)),
        value_key="Value",
        currency=lambda amount: amount["currency"],
        versions=_versions(),
        gateway=gateway,
        numbers=count(1),
    )


def _run_in(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def _build_commands() -> str:
    """What the guide says, from the published WSDL to the program."""
    guide = (CLIENTS / "dotnet" / "README.md").read_text()
    found = re.search(r"^sed .*^mcs [^\n]*\n", guide, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[0]


def _versions() -> str:
    said = subprocess.run(["mono", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version ([0-9.]+)", said)
    assert found is not None, said
    return f"Mono {found[1]}"


def test_it_compiles_against_the_classes_of_dotnet_framework(program: Path) -> None:
    options = ["-sdk:4.8-api", "-langversion:7.2", "-define:NETFRAMEWORK", "-out:framework.exe", "-recurse:*.cs"]
    assemblies = ("System.Net.Http", "System.Security", "System.ServiceModel", "System.Runtime.Serialization")
    _run_in(program.parent, "mcs", *options, *(f"-reference:{name}" for name in assemblies))


class TestDotNet(Promises):
    title = ".NET (Mono)"
