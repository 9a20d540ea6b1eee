"""Amounts as programs read them, a million at a time."""

from functools import cache

from bankapi.billing.money import Money, exponent


def plain_amount(money: Money) -> str:
    """The amount in major units with all the currency's decimals and a point, as `Money.to_decimal` but faster."""
    decimals, digits = _decimals(money.currency), str(money.minor)
    if not decimals:
        return digits
    if len(digits) < decimals + 2:
        return str(money.to_decimal())
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


_decimals = cache(exponent)
