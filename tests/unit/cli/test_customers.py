"""Customers by hand, limits, rates, and how commands end."""

from pathlib import Path

import pytest

from bankapi.settings import Settings
from tests.unit.cli.commands import assert_sound, done, refused, run


def test_a_customer_is_added_charged_blocked_and_terminated(installation: Settings) -> None:
    options = ("--name", "Ann Li", "--account", "A-1", "--msisdn", "79170000001", "--opening-balance", "10")
    added = done(installation, "customer", "add", "C-1", *options, "--credit-limit", "5")
    assert added["name"] == "A*** L."
    charged = done(installation, "customer", "charge", "C-1", "--amount", "30.10")
    assert charged["accounts"][0]["balance"]["amount"] == "-20.10"
    states = [
        done(installation, "customer", command, "C-1")["accounts"][0]["service_status"]
        for command in ("block", "unblock", "unblock", "terminate", "unblock")
    ]
    assert states == ["BLOCKED", "SUSPENDED", "SUSPENDED", "TERMINATED", "TERMINATED"]
    assert "contract has ended" in refused(installation, "customer", "block", "C-1")
    assert_sound(installation)


def test_an_account_without_debt_is_active_when_it_is_unblocked(installation: Settings) -> None:
    done(installation, "customer", "block", "200000001")
    assert done(installation, "customer", "unblock", "200000001")["accounts"][0]["service_status"] == "ACTIVE"


@pytest.mark.parametrize(
    ("number", "account", "msisdn", "said"),
    [
        ("200000001", "A-1", "79170000001", "customer number"),
        ("C-1", "100000001", "79170000001", "account number"),
        ("C-1", "A-1", "79160000001", "msisdn"),
    ],
)
def test_a_number_in_use_is_refused(installation: Settings, number: str, account: str, msisdn: str, said: str) -> None:
    options = ("--name", "Ann Li", "--account", account, "--msisdn", msisdn)
    assert f"this {said} is in use already" in refused(installation, "customer", "add", number, *options)


def test_names_are_masked_unless_they_are_asked_for(installation: Settings) -> None:
    rows = done(installation, "customer", "list", "--limit", "2", "--after", "200000001")
    assert [(row["customer"], row["name"]) for row in rows] == [("200000002", "A*** S."), ("200000003", "O*** K.")]
    assert done(installation, "customer", "show", "200000002", "--unmasked")["name"] == "Anna Sidorova"


def test_limits_are_stated_whole(installation: Settings) -> None:
    set_ = ("limit", "set", "--scope", "terminal", "--name", "ATM-0001")
    done(installation, *set_, "--min", "5", "--max", "400.50", "--day-count", "3")
    assert done(installation, *set_, "--day-amount", "1000")["min"] is None
    assert done(installation, "limit", "list") == [
        {
            "scope": "TERMINAL",
            "name": "ATM-0001",
            "currency": "RUB",
            "min": None,
            "max": None,
            "day_count": None,
            "day_amount": "1000.00",
        }
    ]
    assert "no dealer ATM-0001" in refused(installation, "limit", "set", "--scope", "dealer", "--name", "ATM-0001")
    for options in (
        ("--scope", "dealer"),
        ("--scope", "payer", "--name", "x"),
        (*set_[2:], "--min", "2", "--max", "1"),
    ):
        assert run(installation, "limit", "set", *options).exit_code == 2


def test_rates_are_added_and_never_changed(installation: Settings) -> None:
    added = ("rate", "add", "KZT", "RUB", "0.1725", "--from", "2026-01-01T00:00:00+05:00")
    assert done(installation, *added)["valid_from"] == "2025-12-31T19:00:00.000Z"
    assert "already" in refused(installation, *added)
    assert [each["rate"] for each in done(installation, "rate", "list", "--base", "KZT")] == ["0.1725"]
    for arguments in (("KZT", "KZT", "1"), ("KZT", "RUB", "0"), ("KZT", "RUB", "1", "--from", "2026-01-01")):
        assert run(installation, "rate", "add", *arguments).exit_code == 2


def test_without_an_installation_nothing_is_made(tmp_path: Path) -> None:
    nowhere = Settings(home=tmp_path / "nowhere")
    ended = run(nowhere, "dealer", "list")
    assert (ended.exit_code, ended.err.count("\n")) == (3, 1)
    assert not nowhere.home.exists()


def test_a_database_that_is_not_ours_is_a_failure_in_one_sentence(installation: Settings) -> None:
    (installation.home / "bankapi.db").write_bytes(b"something else" * 100)
    ended = run(installation, "dealer", "list")
    assert (ended.exit_code, ended.err) == (3, "bankapi: the database failed: DatabaseError\n")


def test_every_command_explains_itself(installation: Settings) -> None:
    from bankapi.cli.main import cli

    def explain(command: object, words: tuple[str, ...]) -> None:
        ended = run(installation, *words, "--help")
        assert ended.exit_code == 0
        for name, inner in getattr(command, "commands", {}).items():
            assert inner.help, name
            explain(inner, (*words, name))

    explain(cli, ())
