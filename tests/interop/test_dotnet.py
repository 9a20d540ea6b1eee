""".NET's SignedXml and HttpClient, under Mono; types by `xsd` from the published WSDL. .NET 8 is not run here."""

import re
import shutil
import subprocess
from itertools import count
from pathlib import Path

import pytest

from bankapi import clock, settings
from bankapi.cli import home as homes
from bankapi.settings import Settings
from tests.interop import answers
from tests.interop.middle import man_in_the_middle
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


@pytest.fixture
def posing(gateway: RunningGateway, tmp_path: Path) -> Settings:
    """A copy of the gateway's home, for a server that poses as it."""
    shutil.copytree(gateway.settings.home, tmp_path / "posing")
    return settings.load(tmp_path / "posing", {})


def test_it_compiles_against_the_classes_of_dotnet_framework(program: Path) -> None:
    options = ["-sdk:4.8-api", "-langversion:7.2", "-define:NETFRAMEWORK", "-out:framework.exe", "-recurse:*.cs"]
    assemblies = ("System.Net.Http", "System.Security", "System.ServiceModel", "System.Runtime.Serialization")
    _run_in(program.parent, "mcs", *options, *(f"-reference:{name}" for name in assemblies))


class TestDotNet(Promises):
    title = ".NET (Mono)"

    def test_a_value_of_a_later_contract_is_read(self, stack: Stack) -> None:
        """Values may be added to most enumerations, and XmlSerializer refuses what an enum does not have."""
        extend = answers.of_a_later_contract(stack.gateway.settings)

        def forge(answer: bytes) -> bytes:
            assert b">OK<" in answer
            return extend(answer.replace(b">OK<", b">ADDED_LATER<"))

        with man_in_the_middle(stack.gateway.settings, "ATM-0001", of_answer=forge) as middle:
            run = stack.run("status", reference=stack.reference(), url=middle.url)
        assert run[0]["answer"]["Result"]["Code"] == "ADDED_LATER"

    def test_it_sends_nothing_to_a_server_of_another_ca_of_the_same_name(
        self, stack: Stack, posing: Settings, tmp_path: Path
    ) -> None:
        """The chain is checked by the sample itself: .NET's own check asks the system's store."""
        other = settings.load(tmp_path / "other", {})
        homes.create(other, demo=True, now=clock.utc_now())
        _speak_as(posing, other.gateway_file("cert.pem"), other.gateway_file("key.pem"))
        _assert_nothing_is_sent(stack, posing)

    def test_it_sends_nothing_to_a_server_of_another_name(self, stack: Stack, posing: Settings) -> None:
        """A terminal's certificate is of the right CA."""
        _speak_as(posing, *(posing.terminal_file("ATM-0002", name) for name in ("cert.pem", "key.pem")))
        _assert_nothing_is_sent(stack, posing)


def _speak_as(posing: Settings, certificate: Path, key: Path) -> None:
    shutil.copy(certificate, posing.gateway_file("cert.pem"))
    shutil.copy(key, posing.gateway_file("key.pem"))


def _assert_nothing_is_sent(stack: Stack, posing: Settings) -> None:
    with man_in_the_middle(posing, "ATM-0001") as middle:
        run = stack.run("ping", reference="-", url=middle.url)
    assert middle.requests == []
    assert run[0]["error"].startswith("HttpRequestException")
    assert run.exit_code == 3
