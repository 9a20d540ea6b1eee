from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bankapi.billing.money import AmountError, Money, exponent

currencies = st.sampled_from(["RUB", "EUR", "JPY", "KWD", "CLF"])


@given(st.integers(-(10**15) + 1, 10**15 - 1), currencies)
def test_an_amount_survives_the_way_to_decimal_and_back(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    assert Money.from_decimal(money.to_decimal(), currency) == money


@pytest.mark.parametrize(
    ("amount", "currency"), [("0.001", "RUB"), ("0.1", "JPY"), ("1.2345", "KWD"), ("10000000000000", "RUB")]
)
def test_an_amount_the_currency_cannot_have_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(AmountError):
        Money.from_decimal(Decimal(amount), currency)


def test_decimals_are_exactly_the_currencys() -> None:
    assert [str(Money(5, currency)) for currency in ("JPY", "RUB", "KWD")] == ["5 JPY", "0.05 RUB", "0.005 KWD"]
    assert exponent("RUB") == 2


def test_currencies_never_mix() -> None:
    with pytest.raises(TypeError):
        Money(1, "RUB") + Money(1, "EUR")
    with pytest.raises(TypeError):
        assert Money(1, "RUB") < Money(2, "EUR")
