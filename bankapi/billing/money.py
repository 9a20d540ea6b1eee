"""Money: an integer of minor units with its currency, never a float, never mixed silently (ISO 4217)."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

_EXPONENT_0: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_EXPONENT_3: Final = "BHD IQD JOD KWD LYD OMR TND"
_EXPONENTS: Final = {
    **dict.fromkeys(_EXPONENT_0.split(), 0),
    **dict.fromkeys(_EXPONENT_3.split(), 3),
    "CLF": 4,
    "UYW": 4,
}
"""ISO 4217 minor-unit exponents that are not 2."""

MINOR_MAX: Final = 10**15 - 1
"""No single amount is larger: 15 digits fit every database integer and every client's decimal type."""


class AmountError(ValueError):
    """The decimal cannot be an amount of this currency."""


def exponent(currency: str) -> int:
    """The number of decimal places of a currency (ISO 4217, table A.1)."""
    return _EXPONENTS.get(currency, 2)


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An amount in minor units (kopeks, cents) of one currency (ISO 4217 alphabetic code)."""

    minor: int
    currency: str

    @classmethod
    def from_decimal(cls, amount: Decimal, currency: str) -> "Money":
        """Exact conversion; AmountError when the amount has more decimals than the currency or is too large."""
        scaled = amount.scaleb(exponent(currency))
        minor = int(scaled)
        if minor != scaled:
            raise AmountError(f"{currency} has {exponent(currency)} decimal places")
        if abs(minor) > MINOR_MAX:
            raise AmountError("amount is too large")
        return cls(minor, currency)

    def to_decimal(self) -> Decimal:
        """The amount in major units with exactly the currency's decimals."""
        return Decimal(self.minor).scaleb(-exponent(self.currency))

    def __add__(self, other: "Money") -> "Money":
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.minor - self._same(other), self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: "Money") -> bool:
        return self.minor <= self._same(other)

    def __str__(self) -> str:
        return f"{self.to_decimal()} {self.currency}"

    def _same(self, other: "Money") -> int:
        if other.currency != self.currency:
            raise TypeError(f"cannot mix {self.currency} and {other.currency}")
        return other.minor
