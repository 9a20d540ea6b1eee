"""Agreements with dealers, and the money they give."""

import pytest

from bankapi.settings import Settings
from tests.unit.cli.commands import assert_sound, done, refused, run


def test_an_agreement_is_made_and_changed_one_thing_at_a_time(installation: Settings) -> None:
    agreement = ("--scheme", "debit", "--time-zone", "Asia/Almaty", "--currencies", "KZT,RUB", "--language", "kk")
    made = done(installation, "dealer", "add", "KIOSK", *agreement, "--overdraft", "100.50", "--cancel-window", "30")
    assert made == {
        "dealer": "KIOSK",
        "scheme": "DEBIT_ADJUSTMENT",
        "status": "ACTIVE",
        "time_zone": "Asia/Almaty",
        "language": "kk",
        "currencies": ["KZT", "RUB"],
        "names_unmasked": False,
        "overdraft": "100.50",
        "cancel_window": "30 minutes",
        "misses_max": 30,
    }
    changed = done(installation, "dealer", "set", "KIOSK", "--cancel-window", "never", "--names-unmasked")
    assert changed == made | {"cancel_window": "NEVER", "names_unmasked": True}
    assert "exists already" in refused(installation, "dealer", "add", "KIOSK", *agreement)
    assert [each["dealer"] for each in done(installation, "dealer", "list")] == ["DEMO-BANK", "DEMO-SHOP", "KIOSK"]


@pytest.mark.parametrize(
    "option",
    [
        ("--time-zone", "Mars/Olympus"),
        ("--time-zone", "America"),
        ("--time-zone", "../etc/passwd"),
        ("--language", "tlh_Klingon"),
        ("--currencies", "rub"),
        ("--currencies", "RUB,RUB"),
        ("--cancel-window", "0"),
        ("--cancel-window", "minutes"),
        ("--cancel-window", "999999999999"),
        ("--overdraft", "-1"),
        ("--overdraft", "0.001"),
        ("--overdraft", "NaN"),
        ("--misses-max", "0"),
    ],
)
def test_an_agreement_that_makes_no_sense_is_a_usage_error(installation: Settings, option: tuple[str, str]) -> None:
    before = done(installation, "dealer", "show", "DEMO-BANK")
    assert run(installation, "dealer", "set", "DEMO-BANK", *option).exit_code == 2
    assert done(installation, "dealer", "show", "DEMO-BANK") == before


def test_an_overdraft_does_not_change_its_worth_with_the_currencies(installation: Settings) -> None:
    """It is kept in minor units: 100.50 of a currency with two decimals are no amount of yen."""
    done(installation, "dealer", "set", "DEMO-SHOP", "--overdraft", "100.50")
    assert run(installation, "dealer", "set", "DEMO-SHOP", "--currencies", "JPY").exit_code == 2
    assert run(installation, "dealer", "set", "DEMO-SHOP", "--currencies", "JPY,RUB", "--overdraft", "5").exit_code == 2
    yen = done(installation, "dealer", "set", "DEMO-SHOP", "--currencies", "JPY", "--overdraft", "5")
    assert yen["overdraft"] == "5"


def test_a_deposit_is_topped_up_and_only_what_is_owed_is_settled(installation: Settings) -> None:
    topped_up = done(installation, "dealer", "top-up", "DEMO-SHOP", "--amount", "250.25")
    assert topped_up["deposit"] == [{"amount": "10250.25", "currency": "RUB"}]
    assert "does not pay ahead" in refused(installation, "dealer", "top-up", "DEMO-BANK", "--amount", "1")
    assert "does not pay in KZT" in refused(
        installation, "dealer", "top-up", "DEMO-SHOP", "--amount", "1", "--currency", "KZT"
    )
    assert "owes 0.00 RUB" in refused(installation, "dealer", "settle", "DEMO-BANK", "--amount", "1")
    assert run(installation, "dealer", "top-up", "DEMO-SHOP", "--amount", "0").exit_code == 2
    assert_sound(installation)


def test_blocking_says_so(installation: Settings) -> None:
    assert done(installation, "dealer", "block", "DEMO-BANK")["status"] == "BLOCKED"
    assert done(installation, "dealer", "unblock", "DEMO-BANK")["status"] == "ACTIVE"
    assert "there is no dealer NOBODY" in refused(installation, "dealer", "block", "NOBODY")


def test_people_read_a_table(installation: Settings) -> None:
    heading, first, *_ = run(installation, "dealer", "list").out.splitlines()
    assert heading.split() == ["dealer", "scheme", "status", "time_zone", "language", "currencies"]
    assert heading.index("scheme") == first.index("CREDIT_ADJUSTMENT")
