"""What amounts are taken at all."""

from typing import Final

from bankapi.billing.money import Money, exponent

_MAJOR_MIN: Final = 1
_MAJOR_MAX: Final = 15_000


def amount_min(currency: str) -> Money:
    """The smallest payment in a currency: one major unit."""
    return Money(_MAJOR_MIN * 10 ** exponent(currency), currency)


def amount_max(currency: str) -> Money:
    """The largest payment in a currency."""
    return Money(_MAJOR_MAX * 10 ** exponent(currency), currency)
