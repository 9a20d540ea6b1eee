"""How much may be paid: per payment, and per business day by terminal, dealer and payer.

A limit per day counts from the moment it is set; a cancellation gives back what its payment took.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bankapi.billing.money import Money, exponent
from bankapi.billing.tables import day_totals, limits

_MAJOR_MIN: Final = 1
_MAJOR_MAX: Final = 15_000
EVERY_PAYER: Final = ""
"""The owner of PAYER limits: they hold for each account alone."""


class Scope(StrEnum):
    """Whose payments a limit counts together."""

    TERMINAL = "TERMINAL"
    DEALER = "DEALER"
    PAYER = "PAYER"


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit in one currency; None means not limited here."""

    scope: Scope
    owner: str
    currency: str
    amount_min_minor: int | None = None
    amount_max_minor: int | None = None
    day_count_max: int | None = None
    day_amount_max_minor: int | None = None

    @property
    def is_per_day(self) -> bool:
        return self.day_count_max is not None or self.day_amount_max_minor is not None


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that hold for one payment, with whom each counts: terminal, dealer or account."""

    currency: str
    per_day: tuple[tuple[Limit, str], ...]
    amount_min: Money
    amount_max: Money


_HOLDING: Final = select(limits).where(
    limits.c.currency == bindparam("currency"),
    or_(
        and_(limits.c.scope == Scope.TERMINAL, limits.c.owner == bindparam("terminal")),
        and_(limits.c.scope == Scope.DEALER, limits.c.owner == bindparam("dealer")),
        and_(limits.c.scope == Scope.PAYER, limits.c.owner == EVERY_PAYER),
    ),
)
_KEY: Final = ("scope", "owner", "currency", "business_on")
_THIS_DAY: Final = and_(*(day_totals.c[name] == bindparam(f"its_{name}") for name in _KEY))
_TOTALS: Final = select(day_totals.c.count, day_totals.c.amount_minor).where(_THIS_DAY)
_ADD: Final = (
    update(day_totals)
    .where(_THIS_DAY)
    .values(count=day_totals.c.count + bindparam("more"), amount_minor=day_totals.c.amount_minor + bindparam("amount"))
)
_BEGIN_DAY: Final = {
    "sqlite": sqlite.insert(day_totals).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(day_totals).on_conflict_do_nothing(),
}


def holding(connection: Connection, *, terminal: str, dealer: str, account_number: str, currency: str) -> Limits:
    """The limits for a payment in this currency. The narrowest of all that are set decides about its amount."""
    rows = connection.execute(_HOLDING, {"currency": currency, "terminal": terminal, "dealer": dealer}).all()
    found = [Limit(Scope(row.scope), *row[1:]) for row in rows]
    counted = {Scope.TERMINAL: terminal, Scope.DEALER: dealer, Scope.PAYER: account_number}
    unit = 10 ** exponent(currency)
    return Limits(
        currency,
        tuple((limit, counted[limit.scope]) for limit in sorted(found, key=_lock_order) if limit.is_per_day),
        Money(max(_given(limit.amount_min_minor for limit in found), default=_MAJOR_MIN * unit), currency),
        Money(min(_given(limit.amount_max_minor for limit in found), default=_MAJOR_MAX * unit), currency),
    )


def would_exceed(connection: Connection, held: Limits, amount: Money, business_on: date) -> bool:
    """Whether this payment is one too many, or too much, today. What was counted stays locked until the end."""
    for limit, owner in held.per_day:
        key = _key(limit.scope, owner, held.currency, business_on)
        connection.execute(_BEGIN_DAY[connection.dialect.name], {**key, "count": 0, "amount_minor": 0})
        count, total = connection.execute(_TOTALS.with_for_update(), _its(key)).one()
        if limit.day_count_max is not None and count + 1 > limit.day_count_max:
            return True
        if limit.day_amount_max_minor is not None and total + amount.minor > limit.day_amount_max_minor:
            return True
    return False


def count(connection: Connection, held: Limits, amount: Money, business_on: date) -> None:
    """Count a registered payment."""
    _add(connection, [(limit.scope, owner) for limit, owner in held.per_day], 1, amount, business_on)


def scopes_counted(held: Limits) -> str:
    """What a payment keeps about its being counted, for `give_back`."""
    return ",".join(limit.scope for limit, _ in held.per_day)


def give_back(
    connection: Connection,
    counted: Iterable[str],
    *,
    terminal: str,
    dealer: str,
    account_number: str,
    amount: Money,
    business_on: date,
) -> None:
    """Take a cancelled payment out of the day it was counted on: only where it was counted."""
    owner = {Scope.TERMINAL: terminal, Scope.DEALER: dealer, Scope.PAYER: account_number}
    _add(connection, [(Scope(scope), owner[Scope(scope)]) for scope in counted], -1, -amount, business_on)


def set_limit(connection: Connection, limit: Limit) -> None:
    """Set a limit, or change it."""
    row: dict[str, Any] = {column.name: getattr(limit, column.name) for column in limits.columns}
    dialect = {"sqlite": sqlite, "postgresql": postgresql}[connection.dialect.name]
    values = {name: row[name] for name in row if name not in ("scope", "owner", "currency")}
    statement = dialect.insert(limits).on_conflict_do_update(index_elements=["scope", "owner", "currency"], set_=values)
    connection.execute(statement, row)


def list_limits(connection: Connection) -> list[Limit]:
    """All limits that are set."""
    rows = connection.execute(select(limits).order_by(limits.c.scope, limits.c.owner, limits.c.currency))
    return [Limit(Scope(row.scope), *row[1:]) for row in rows]


def _add(
    connection: Connection, owners: Sequence[tuple[Scope, str]], more: int, amount: Money, business_on: date
) -> None:
    for scope, owner in owners:
        key = _key(scope, owner, amount.currency, business_on)
        connection.execute(_ADD, {**_its(key), "more": more, "amount": amount.minor})


def _key(scope: Scope, owner: str, currency: str, business_on: date) -> dict[str, Any]:
    return {"scope": scope, "owner": owner, "currency": currency, "business_on": business_on}


def _its(key: dict[str, Any]) -> dict[str, Any]:
    return {f"its_{name}": value for name, value in key.items()}


def _given(values: Iterable[int | None]) -> list[int]:
    return [value for value in values if value is not None]


def _lock_order(limit: Limit) -> str:
    return limit.scope
