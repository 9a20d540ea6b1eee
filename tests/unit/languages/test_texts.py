"""Numbers, days and times of day are written as Babel writes them, and fast enough for long reports."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal, parse_pattern
from hypothesis import given
from hypothesis import strategies as st

from bankapi.languages.texts import LANGUAGES, plain, texts
from tests.timing import least_cpu_s

MOSCOW = ZoneInfo("Europe/Moscow")
amounts = st.builds(
    lambda minor, places: Decimal(minor).scaleb(-places), st.integers(-(10**15), 10**15), st.integers(0, 4)
)
languages = st.sampled_from(LANGUAGES)


def decimals(number: Decimal) -> int:
    return -int(number.as_tuple().exponent)


@given(languages, amounts)
def test_numbers_are_cldrs(language: str, number: Decimal) -> None:
    pattern = parse_pattern(f"#,##0.{'0' * decimals(number)}" if decimals(number) else "#,##0")
    expected = format_decimal(number, pattern, locale=language, numbering_system="latn")
    assert texts(language).number(number) == plain(expected)


@given(languages, st.integers(-(10**12), 10**12))
def test_whole_numbers_are_cldrs(language: str, number: int) -> None:
    assert texts(language).number(number) == plain(format_decimal(number, locale=language, numbering_system="latn"))


@given(languages, amounts, st.sampled_from(["RUB", "JPY", "KWD", "XYZ"]))
def test_amounts_are_cldrs(language: str, amount: Decimal, currency: str) -> None:
    """The currency's place and the sign's are the pattern's; a blank goes between a code and a digit."""
    locale = Locale(language)
    pattern = parse_pattern(locale.currency_formats["standard"].pattern.replace("¤", "¤¤"))
    pattern.frac_prec = (decimals(amount), decimals(amount))
    expected = pattern.apply(amount, locale, currency=currency, currency_digits=False, numbering_system="latn")
    assert texts(language).amount(amount, currency).replace(" ", "") == plain(expected).replace(" ", "")


@given(languages, st.dates(date(1970, 1, 1), date(2100, 1, 1)))
def test_days_are_cldrs(language: str, day: date) -> None:
    assert texts(language).day(day) == plain(format_date(day, "medium", locale=language))


@given(languages, st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)))  # noqa: DTZ001
def test_moments_are_cldrs(language: str, naive: datetime) -> None:
    at = naive.replace(tzinfo=UTC)
    expected = plain(format_datetime(at.astimezone(MOSCOW), "medium", locale=language))
    assert texts(language).moment(at, MOSCOW) == expected
    assert texts(language).instant(at, MOSCOW) == f"{expected} {at.astimezone(MOSCOW):%z}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_cells_of_a_long_report_take_seconds(language: str) -> None:
    """Babel alone takes some 50 µs for each of them, and that is a minute for each million cells."""
    spoken, start = texts(language), datetime(2026, 3, 1, tzinfo=UTC)

    def work() -> None:
        for number in range(4000):
            spoken.moment(start + timedelta(seconds=number // 4), MOSCOW)
            spoken.amount(Decimal(number).scaleb(-2), "RUB")

    assert least_cpu_s(work) < 0.2
