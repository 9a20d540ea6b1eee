"""A kit in the hands of a developer: its own words followed to the letter, with nothing but what is in it."""

import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bankapi.settings import Settings
from tests.programs import needs
from tests.running import RunningGateway
from tests.unit.cli.commands import done, run

pytestmark = pytest.mark.slow

TERMINAL = "ATM-0002"


@pytest.fixture(scope="module")
def unzipped(gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a kit of the running gateway, with a key made for tests."""
    folder = tmp_path_factory.mktemp("developer")
    done(gateway.settings, "kit", TERMINAL, "--test-key", "--output", folder / "kit.zip")
    with zipfile.ZipFile(folder / "kit.zip") as archive:
        archive.extractall(folder)
    return folder / f"bankapi-kit-{TERMINAL}"


def typed(command: str, folder: Path) -> str:
    """What a shell prints, of both streams, when this is typed in the folder."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8"}
    shell = ["sh", "-c", command]
    ended = subprocess.run(shell, cwd=folder, env=environment, capture_output=True, check=False, text=True, timeout=120)
    return ended.stdout + ended.stderr


def put_python(venv: Path) -> None:
    """Ours instead of what a guide would have installed: its only line that is not typed as it stands."""
    python = venv / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)


def follow_guide(folder: Path, stack: str, reference: str) -> list[Any]:
    """What a client says when the commands of its guide are typed in the folder, under another reference."""
    guide = (folder / "clients" / stack / "README.md").read_text()
    (commands,) = re.findall(r"^```sh\n(.*?)^```", guide, re.M | re.S)
    put_python(folder / "my-bank" / "venv")
    commands, installs = re.subn(r"^python3 -m venv .*\n", "", commands.replace("mkdir ", "mkdir -p "), flags=re.M)
    assert installs == 1
    return [json.loads(line) for line in typed(commands.replace("MY-1", reference), folder).splitlines()]


def test_the_digests_are_those_of_the_files(unzipped: Path) -> None:
    assert typed("sha256sum --quiet --check MANIFEST && echo good", unzipped) == "good\n"


@needs("curl")
def test_five_steps_lead_to_a_registered_payment(unzipped: Path) -> None:
    told = re.findall(r"^```sh\n(.*?)^```", (unzipped / "START.md").read_text(), re.M | re.S)
    tls, install, ping, payment, retry, _ = told
    assert typed(tls, unzipped) == ""
    assert b"wsdl:definitions" in (unzipped / "served.wsdl").read_bytes()

    assert install.startswith("python3 -m venv venv && venv/bin/pip install ")
    put_python(unzipped / "venv")
    said, _, registered, again, status, cancelled, still = map(
        json.loads, typed(ping + payment + retry, unzipped).splitlines()
    )
    assert said["answer"]["Status"] == "AVAILABLE"
    assert (registered["answer"]["Result"]["Code"], registered["answer"]["Replayed"]) == ("OK", False)
    assert again["answer"] == registered["answer"] | {"Replayed": True}
    assert (status["answer"]["Status"], status["answer"]["PaymentId"]) == (
        "REGISTERED",
        registered["answer"]["PaymentId"],
    )
    assert [each["answer"]["Status"] for each in (cancelled, still)] == ["CANCELLED"] * 2
    assert [each["answer"]["Replayed"] for each in (cancelled, still)] == [False, True]


def test_a_clients_guide_leads_there_too(unzipped: Path) -> None:
    validated, registered = follow_guide(unzipped, "zeep", "GUIDE-1")
    assert (validated["answer"]["Result"]["Code"], registered["answer"]["Result"]["Code"]) == ("OK", "OK")


@needs("curl")
def test_the_checker_says_what_its_guide_shows(unzipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(unzipped)
    nowhere = Settings(home=unzipped / "var")
    blocks = re.findall(r"^```console\n(.*?)^```", (unzipped / "CHECKER.md").read_text(), re.M | re.S)
    commands = [each for block in blocks for each in re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", block, re.M)]
    assert {command.split()[2] for command, _ in commands if command.startswith("bankapi")} == {
        "check",
        "sign",
        "verify",
    }
    assert len(commands) > 8
    for command, output in commands:
        # A process for each would take most of a minute; one is enough to see that they are the same.
        is_ours = command.startswith("bankapi ") and "|" not in command
        said = run(nowhere, *shlex.split(command)[1:]).out if is_ours else typed(command, unzipped)
        assert said == output, command


def test_what_is_signed_by_hand_is_what_its_guide_shows(unzipped: Path) -> None:
    guide = (unzipped / "BY-HAND.md").read_text()
    blocks = re.findall(r"^```console\n(.*?)^```", guide, re.M | re.S)
    commands = [each for block in blocks for each in re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", block, re.M)]
    assert sum(bool(output) for _, output in commands) == 6
    for command, output in commands:
        assert typed(command, unzipped) == output, command


def test_fingerprints_are_those_of_openssl(unzipped: Path) -> None:
    told = (unzipped / "START.md").read_text()
    (fingerprints,) = re.findall(r"^```\n(ca\.pem .*?)^```", told, re.M | re.S)
    (command,) = re.findall(r"`(openssl x509 -in FILE .* sha256sum)`", told)
    for name, fingerprint in (line.split() for line in fingerprints.splitlines()):
        assert typed(command.replace("FILE", name), unzipped).split() == [fingerprint, "-"]
