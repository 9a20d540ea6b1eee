"""The sandbox's customers: each really is what its number shows, so that the ordinary code decides about it.

Nothing here is used up: debts are larger than all payments that can be made, deposits than all that can be spent, and
a limit of no payments a day stays exceeded.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection

from bankapi.billing import customers, dealers, limits, rates
from bankapi.billing.ledger import TransactionKind
from bankapi.billing.limits import Limit, Scope
from bankapi.billing.money import Money
from bankapi.billing.payers import ServiceStatus
from bankapi.sandbox.numbers import Behaviour, table

CURRENCIES: Final = ("RUB", "EUR", "USD")
"""What the sandbox's dealers may pay in."""
ENDLESS_MINOR: Final = 10**13
"""Six million of the largest payments."""
LIMITED: Final = "SANDBOX-LIMIT"
"""The name under which nothing may be paid on any day; no terminal has it."""

_NAME: Final = "Sandbox Customer"
_INTO_EUR: Final = {"RUB": "0.0111", "USD": "0.9020"}
_CURRENCY: Final = {Behaviour.CONVERTS: "EUR", Behaviour.NO_RATE: "XTS"}
_STATUS: Final = {
    Behaviour.SUSPENDED: ServiceStatus.SUSPENDED,
    Behaviour.BLOCKED: ServiceStatus.BLOCKED,
    Behaviour.TERMINATED: ServiceStatus.TERMINATED,
}
_INDEBTED: Final = frozenset({Behaviour.SUSPENDED, Behaviour.TERMINATED})


def add(connection: Connection, paid_ahead: Iterable[str], now: datetime) -> None:
    """Add a customer for each number that has one, rates, the limit, and an endless deposit where it is paid ahead."""
    for line in table():
        if line.behaviour is Behaviour.UNKNOWN:
            continue
        customers.add_customer(
            connection,
            customer_number=line.number,
            name=_NAME,
            account_number=line.number,
            currency=_CURRENCY.get(line.behaviour, "RUB"),
            msisdns=(line.number,),
            now=now,
            business_on=now.date(),
            service_status=_STATUS.get(line.behaviour, ServiceStatus.ACTIVE),
            opening_balance_minor=-ENDLESS_MINOR if line.behaviour in _INDEBTED else 0,
        )
    for base, rate in _INTO_EUR.items():
        rates.add_rate(connection, base, "EUR", Decimal(rate), now)
    for currency in CURRENCIES:
        limits.set_limit(connection, Limit(Scope.TERMINAL, LIMITED, currency, day_count_max=0))
        for dealer in paid_ahead:
            deposit = Money(ENDLESS_MINOR, currency)
            dealers.pay_in(connection, TransactionKind.DEPOSIT, dealer=dealer, amount=deposit, now=now)
