"""The published table: whole and unmistakable."""

import re
from pathlib import Path

from bankapi import settings
from bankapi.refusals import ResultCode
from bankapi.sandbox import numbers
from bankapi.sandbox.numbers import PREFIX, Behaviour
from tests.unit.cli.commands import done


def test_every_behaviour_has_one_number_and_words() -> None:
    lines = numbers.table()
    assert [line.behaviour for line in lines] == list(Behaviour)
    assert len({line.number for line in lines}) == len(lines)
    for line in lines:
        assert re.fullmatch(rf"{PREFIX}[0-9]{{8}}", line.number)
        assert line.words.endswith(".")
        assert "|" not in line.words
        assert numbers.behaviour_of(line.number) is line.behaviour
        assert numbers.number_of(line.behaviour) == line.number


def test_every_result_code_can_be_had() -> None:
    by_number = {code for code in ResultCode if any(code in line.behaviour for line in numbers.table())}
    by_recipe = {code for code, _ in numbers.recipes()}
    assert by_number | by_recipe == set(ResultCode)


def test_the_command_shows_the_table() -> None:
    home = settings.load(Path("/nowhere"), {})
    shown = done(home, "sandbox", "numbers")
    assert [line["number"] for line in shown] == [line.number for line in numbers.table()]
    assert [line["code"] for line in done(home, "sandbox", "codes")] == [code for code, _ in numbers.recipes()]
