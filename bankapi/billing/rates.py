"""Dated exchange rates, and what a payment in one currency is worth in another."""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from sqlalchemy import Connection, bindparam, select

from bankapi.billing.money import Money, exponent
from bankapi.billing.tables import rates

DECIMALS_MAX: Final = 12
"""What both databases keep and the contract can show: any more would be rounded by one of them alone."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is credited for a payment; `rate` is None within one currency."""

    credited: Money
    rate: Decimal | None


@dataclass(frozen=True, slots=True)
class DatedRate:
    """One unit of `base` is `rate` units of `quote`, from an instant on."""

    base: str
    quote: str
    valid_from: datetime
    rate: Decimal


_AT: Final = select(rates.c.rate).where(
    rates.c.base == bindparam("base"), rates.c.quote == bindparam("quote"), rates.c.valid_from == bindparam("at")
)
_IN_FORCE: Final = (
    select(rates.c.rate)
    .where(
        rates.c.base == bindparam("base"), rates.c.quote == bindparam("quote"), rates.c.valid_from <= bindparam("now")
    )
    .order_by(rates.c.valid_from.desc())
    .limit(1)
)


def rate_in_force(connection: Connection, base: str, quote: str, now: datetime) -> Decimal | None:
    """Units of `quote` for one unit of `base`; None when no rate has been set for this direction."""
    return connection.execute(_IN_FORCE, {"base": base, "quote": quote, "now": now}).scalar()


def converted(amount: Money, rate: Decimal, currency: str) -> Money:
    """An amount in another currency, rounded half to even at its minor unit (ISO 80000-1, annex B, rule A)."""
    exact = amount.to_decimal() * rate * 10 ** exponent(currency)
    return Money(int(exact.quantize(Decimal(1), ROUND_HALF_EVEN)), currency)


def add_rate(connection: Connection, base: str, quote: str, rate: Decimal, valid_from: datetime) -> None:
    """Set a rate from an instant on. Rates are facts: a wrong one is followed by a right one."""
    if rate <= 0 or base == quote:
        raise ValueError("a rate is positive and between two currencies")
    if rate != round(rate, DECIMALS_MAX):
        raise ValueError(f"a rate has at most {DECIMALS_MAX} decimals")
    row = {"base": base, "quote": quote, "rate": rate, "valid_from": valid_from}
    connection.execute(rates.insert(), row)


def list_rates(connection: Connection, base: str | None = None, quote: str | None = None) -> list[DatedRate]:
    """The rates that were set, each pair's newest first."""
    pair = {rates.c.base: base, rates.c.quote: quote}
    query = select(rates.c.base, rates.c.quote, rates.c.valid_from, rates.c.rate).where(
        *(column == code for column, code in pair.items() if code is not None)
    )
    rows = connection.execute(query.order_by(rates.c.base, rates.c.quote, rates.c.valid_from.desc()))
    return [DatedRate(*row) for row in rows]


def is_set(connection: Connection, rate: DatedRate) -> bool:
    """Whether this pair has a rate from this very instant already."""
    return connection.execute(_AT, {"base": rate.base, "quote": rate.quote, "at": rate.valid_from}).first() is not None
