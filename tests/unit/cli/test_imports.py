"""CSV files: all or nothing, and every mistake by its line and column."""

import sqlite3
from pathlib import Path

import pytest

from bankapi.cli import imports
from bankapi.settings import Settings
from tests.unit.cli.commands import assert_sound, done, run

HEADING = "customer_number,name,language,account_number,currency,msisdns,opening_balance,credit_limit,service_status\n"
GOOD = (
    'C-1,"Nguyễn, Văn An",vi,A-1,RUB,79170000001;79170000002,-12.50,100,SUSPENDED\n'
    "C-2,Zoë O'Brien,,A-2,JPY,,5000,,\n"
    "\n"
    "C-3,Иван Петров,ru,A-3,RUB,79170000003,0,,blocked\n"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.csv"


def _customers(settings: Settings) -> int:
    with sqlite3.connect(settings.home / "bankapi.db") as database:
        return int(database.execute("SELECT count(*) FROM customers").fetchone()[0])


def _mistakes(settings: Settings, file: Path, content: str | bytes, kind: str = "customer") -> list[str]:
    """The report of a file that must be refused."""
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    before = _customers(settings)
    ended = run(settings, kind, "import", file)
    assert (ended.exit_code, ended.out) == (1, "")
    *mistakes, last = ended.err.splitlines()
    assert "nothing was imported" in last
    assert _customers(settings) == before
    return mistakes


@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_good_file_is_imported(installation: Settings, file: Path, bom: str, line_end: str) -> None:
    file.write_bytes((bom + HEADING + GOOD).replace("\n", line_end).encode())
    assert done(installation, "customer", "import", file) == {"imported": 3}
    first = done(installation, "customer", "show", "C-1", "--unmasked")
    assert (first["name"], first["language"]) == ("Nguyễn, Văn An", "vi")
    assert first["accounts"] == [
        {
            "account": "A-1",
            "service_status": "SUSPENDED",
            "balance": {"amount": "-12.50", "currency": "RUB"},
            "credit_limit": {"amount": "100.00", "currency": "RUB"},
            "msisdns": ["79170000001", "79170000002"],
        }
    ]
    (second,) = done(installation, "customer", "show", "C-2")["accounts"]
    assert second["balance"] == {"amount": "5000", "currency": "JPY"}
    assert_sound(installation)


def test_columns_may_come_in_another_order_or_be_absent(installation: Settings, file: Path) -> None:
    file.write_text("currency,account_number,name,customer_number\nEUR,A-1,Ann Li,C-1\n")
    done(installation, "customer", "import", file)
    (account,) = done(installation, "customer", "show", "C-1")["accounts"]
    assert (account["service_status"], account["balance"]["amount"]) == ("ACTIVE", "0.00")


def test_every_mistake_has_its_line_and_column_and_no_content(installation: Settings, file: Path) -> None:
    bad = (
        "C-4,Secret Name,english!,A-4,rub,79170000004,,,\n"
        "C-4,,ru,A 4,RUB,+7917,1.005,-1,GONE\n"
        "C-1,Secret Name,,A-5,RUB,79170000001,,,\n"
        "200000001,Secret Name,,100000001,RUB,79160000001,,,\n"
        "C-6,Secret Name,,A-6,RUB,79170000006;79170000006,0.001,-1,\n"
        "C-7,Secret Name\n"
        "C-8,Secret\x07Name,,A-8,RUB,,NaN,1e3,\n"
        "C-9,Secret Name,,A-9,JPY,,0.5,-1,\n"
    )
    report = _mistakes(installation, file, HEADING + GOOD + bad)
    assert report == [
        "line 6: language: is not a language tag such as en or pt-BR",
        "line 6: currency: is not an ISO 4217 code of three capital letters",
        "line 7: name: is missing",
        "line 7: account_number: is not a number of 1 to 20 letters, digits and hyphens",
        "line 7: msisdns: is not a phone number in E.164 without the plus sign",
        "line 7: service_status: is none of ACTIVE, SUSPENDED, BLOCKED, TERMINATED",
        "line 8: customer_number: stands on line 2 already",
        "line 8: msisdns: stands on line 2 already",
        "line 9: customer_number: is in the database already",
        "line 9: account_number: is in the database already",
        "line 9: msisdns: is in the database already",
        "line 10: msisdns: names something twice",
        "line 11: has 2 values, not 9",
        "line 12: name: has control characters",
        "line 12: opening_balance: is not an amount such as 100.00",
        "line 12: credit_limit: is not an amount such as 100.00",
        "line 13: opening_balance: JPY has 0 decimal places",
        "line 13: credit_limit: is below zero",
    ]


def test_a_heading_must_be_known(installation: Settings, file: Path) -> None:
    report = _mistakes(installation, file, "customer_number,name,Account,currency,currency\nC-1,x,A-1,RUB,RUB\n")
    assert report == [
        "line 1: account_number: this column is missing",
        "line 1: column 3 has no name that is known here",
        "line 1: currency: stands there twice",
    ]
    assert _mistakes(installation, file, "")[0].startswith("line 1: customer_number")


def test_bytes_that_are_not_utf8_have_their_place(installation: Settings, file: Path) -> None:
    row = "C-1,Иван Петров,,A-1,RUB,,,,\n"
    assert _mistakes(installation, file, HEADING.encode() + row.encode("cp1251")) == ["line 2: name: is not UTF-8"]
    assert _mistakes(installation, file, (HEADING + row).encode("utf-16"))


def test_what_is_not_csv_ends_the_reading(installation: Settings, file: Path) -> None:
    broken = HEADING + GOOD + 'C-4,"Secret Name,,A-4,RUB,,,,\n'
    assert "is not CSV" in _mistakes(installation, file, broken)[-1]
    assert "is longer than" in _mistakes(installation, file, HEADING + "x" * 100_000)[-1]


def test_a_hundred_mistakes_are_shown_and_the_others_counted(installation: Settings, file: Path) -> None:
    report = _mistakes(installation, file, HEADING + "C-1,,,A-1,RUB,,,,\n" * 250)
    assert len(report) == imports.MISTAKES_SHOWN_MAX + 1
    assert report[-1] == "and 150 more"


def test_the_last_of_many_lines_undoes_them_all(installation: Settings, file: Path) -> None:
    rows = "".join(f"N-{n},Ann Li,,B-{n},RUB,{79180000000 + n},1,,\n" for n in range(2500))
    assert _mistakes(installation, file, HEADING + rows + "N-1,Ann Li,,B-2500,RUB,,,,\n") == [
        "line 2502: customer_number: stands on line 3 already"
    ]
    file.write_text(HEADING + rows)
    assert done(installation, "customer", "import", file) == {"imported": 2500}
    assert_sound(installation)


def test_rates_are_imported_by_the_same_rules(installation: Settings, file: Path) -> None:
    file.write_text("base,quote,rate,valid_from\nKZT,RUB,0.1725,2026-01-01T00:00:00+05:00\nUSD,RUB,81.5,\n")
    assert done(installation, "rate", "import", file) == {"imported": 2}
    bad = (
        "base,quote,rate,valid_from\n"
        "KZT,RUB,0.17,2025-12-31T19:00:00Z\n"
        "EUR,EUR,1,\n"
        "EUR,RUB,-1,\n"
        "EUR,RUB,90,2026-01-01\n"
        "EUR,RUB,90,2026-01-01T00:00:00Z\n"
        "EUR,RUB,91,2026-01-01T03:00:00+03:00\n"
    )
    assert _mistakes(installation, file, bad, "rate") == [
        "line 2: valid_from: this pair has a rate from this instant already",
        "line 3: quote: is the base currency",
        "line 4: rate: is not a rate with at most 12 digits on each side",
        "line 5: valid_from: needs a time zone: Z or an offset",
        "line 7: valid_from: stands on line 6 already",
    ]
