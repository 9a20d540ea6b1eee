"""What the runbook tells somebody to type at three in the morning exists; and every alarm has its section."""

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from bankapi.cli.main import cli
from tests.deploy.units import DEPLOY, UNITS

RUNBOOK = (DEPLOY / "RUNBOOK.md").read_text()
_ALSO_OURS = ("/opt/bankapi/releases/2/bin/bankapi",)


def commands() -> Iterator[list[str]]:
    """Every `bankapi ...` in a block of code, and in the text between backquotes, as words."""
    blocks = re.findall(r"^```sh\n(.*?)^```", RUNBOOK, re.MULTILINE | re.DOTALL)
    lines = [part for block in blocks for line in block.splitlines() for part in line.split("&&")]
    lines += re.findall(r"`(bankapi [^`]*)`", RUNBOOK)
    for line in lines:
        words = shlex.split(line, comments=True)
        if words and (words[0] == "bankapi" or words[0] in _ALSO_OURS):
            yield words[1:]


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_exists_with_its_options(words: list[str]) -> None:
    command: click.Command = cli
    rest = list(words)
    while isinstance(command, click.Group):
        assert rest, f"{command.name} alone does nothing"
        found = command.commands.get(rest.pop(0))
        assert found is not None, words
        command = found
    options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    assert {word for word in rest if word.startswith("--")} <= options


def test_there_are_commands_to_check() -> None:
    assert len(list(commands())) > 60


def test_every_alarm_leads_to_a_section() -> None:
    sections = set(re.findall(r"^## (.*)$", RUNBOOK, re.MULTILINE))
    told = set(re.findall(r"^ +runbook: (.*)$", (DEPLOY / "prometheus-alerts.yml").read_text(), re.MULTILINE))
    assert told
    assert told <= sections, told - sections


def test_every_link_leads_to_a_section() -> None:
    anchors = {name.lower().replace(" ", "-") for name in re.findall(r"^## (.*)$", RUNBOOK, re.MULTILINE)}
    assert set(re.findall(r"\(#([a-z-]+)\)", RUNBOOK)) == anchors


def test_every_unit_that_is_named_is_deployed_and_the_other_way_round() -> None:
    names = re.findall(r"\bbankapi-[a-z-]+(?:@[12*])?(?:\.[a-z]+)?(?![a-z-])", RUNBOOK)
    named = {re.sub(r"@[12*]", "@", name) for name in names if not name.startswith("bankapi-front")}
    deployed = {file.name for file in UNITS.iterdir()} | {file.stem for file in UNITS.iterdir()}
    assert named <= deployed, named - deployed
    assert {"bankapi-gateway@", "bankapi-gateway.socket", "bankapi-worker"} <= named
    assert "bankapi-front-reload.path" in RUNBOOK
