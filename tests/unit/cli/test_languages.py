"""Card ranges, and why somebody is answered in a language."""

from pathlib import Path

import pytest

from bankapi.settings import Settings
from tests.unit.cli.commands import done, refused, run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ranges.csv"


def test_the_demo_has_ranges_of_no_real_issuer_and_their_file(installation: Settings) -> None:
    ranges = done(installation, "card-range", "list")
    assert all(each["first"].startswith("9999") and each["last"].startswith("9999") for each in ranges)
    assert {"ru", "de", "tr", "zh"} <= {each["language"] for each in ranges}
    assert done(installation, "card-range", "import", installation.home / "card-ranges.csv") == {
        "imported": len(ranges)
    }
    assert done(installation, "card-range", "list") == ranges


def test_a_file_replaces_the_whole_table(installation: Settings, file: Path) -> None:
    file.write_text("first,country\n123456,TR\n")
    assert done(installation, "card-range", "import", file) == {"imported": 1}
    assert done(installation, "card-range", "list") == [
        {"first": "12345600", "last": "12345699", "country": "TR", "language": "tr"}
    ]
    file.write_text("first,country\n")
    assert done(installation, "card-range", "import", file) == {"imported": 0}
    assert done(installation, "card-range", "list") == []


def test_mistakes_are_named_and_nothing_is_changed(installation: Settings, file: Path) -> None:
    before = done(installation, "card-range", "list")
    file.write_text(
        "first,last,country,language\n"
        "12345,,RU,\n"
        "123456789,,RU,\n"
        "123456,123455,RU,\n"
        "100000,199999,RU,\n"
        "123456,,XX,\n"
        "123457,,RUS,russian!\n"
        "123458,,DE,\n"
        "12345800,12345899,AT,\n"
    )
    ended = run(installation, "card-range", "import", file)
    assert ended.exit_code == 1
    assert ended.err.splitlines()[:-1] == [
        "line 2: first: is not the first 6 to 8 digits of a card number",
        "line 3: first: is not the first 6 to 8 digits of a card number",
        "line 4: last: is before the first",
        "line 5: last: is too far from the first: a range holds a million 8-digit numbers at most",
        "line 6: country: is not an ISO 3166-1 country code of two letters",
        "line 7: country: is not an ISO 3166-1 country code of two letters",
        "line 7: language: is not a language tag such as en or pt-BR",
        "line 9: first: stands on line 8 already",
    ]
    assert done(installation, "card-range", "list") == before


@pytest.mark.parametrize(
    ("options", "language", "source"),
    [
        (["--language", "uk-UA", "--card-bin", "999902", "--terminal", "ATM-0001"], "uk", "REQUEST"),
        (["--language", "tlh", "--card-bin", "999902", "--terminal", "ATM-0001"], "de", "CARD"),
        (["--card-bin", "999906"], "kk", "CARD"),
        (["--card-bin", "888888", "--terminal", "ATM-0001"], "tr", "TERMINAL"),
        (["--terminal", "ATM-0002"], "en", "DEALER"),
        ([], "en", "DEFAULT"),
    ],
)
def test_the_command_says_who_decides(installation: Settings, options: list[str], language: str, source: str) -> None:
    done(installation, "terminal", "set", "ATM-0001", "--language", "tr")
    shown = done(installation, "language", *options)
    assert (shown["language"], shown["source"]) == (language, source)
    sources = [each["source"] for each in shown["considered"]]
    assert sources == ["REQUEST", "CARD", "TERMINAL", "DEALER", "DEFAULT"]
    assert [each["why"].startswith("decides") for each in shown["considered"]].index(True) == sources.index(source)


def test_the_command_says_why(installation: Settings) -> None:
    why = [
        each["why"]
        for each in done(installation, "language", "--language", "tlh", "--card-bin", "99992015")["considered"]
    ]
    assert why[:3] == [
        "has no catalog here",
        "decides; range 99992015-99992015, country CH, the table says the language",
        "says nothing",
    ]
    assert "no range holds this BIN" in run(installation, "language", "--card-bin", "888888").out
    assert "there is no terminal ATM-9" in refused(installation, "language", "--terminal", "ATM-9")
    assert run(installation, "language", "--card-bin", "99990212345").exit_code == 2
