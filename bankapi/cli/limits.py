"""`bankapi limit`: how much may be paid, per payment and per business day."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any, Final

import click
from sqlalchemy import Connection

from bankapi.billing import directory, limits
from bankapi.billing.limits import EVERY_PAYER, Limit, Scope
from bankapi.billing.money import Money
from bankapi.cli.administration import found, read, write
from bankapi.cli.output import json_option, show, show_all
from bankapi.cli.parameters import CURRENCY, POSITIVE_AMOUNT, money
from bankapi.settings import Settings

_AMOUNTS: Final = {"min": "amount_min_minor", "max": "amount_max_minor", "day_amount": "day_amount_max_minor"}


@click.group()
def limit() -> None:
    """Limits per payment and per business day. The narrowest of all that are set decides about an amount."""


@limit.command("set")
@click.option(
    "--scope",
    type=click.Choice([scope.lower() for scope in Scope]),
    required=True,
    help="Whose payments count together; payer: each account alone.",
)
@click.option("--name", help="The terminal or dealer. Not with --scope payer.")
@click.option("--currency", type=CURRENCY, default="RUB", show_default=True, help="ISO 4217 code.")
@click.option("--min", "min", type=POSITIVE_AMOUNT, help="The least of one payment, in major units.")
@click.option("--max", "max", type=POSITIVE_AMOUNT, help="The most of one payment.")
@click.option("--day-count", type=click.IntRange(0, 10**9), help="How many payments a business day.")
@click.option("--day-amount", type=POSITIVE_AMOUNT, help="How much a business day.")
@json_option
@click.pass_obj
def set_(
    settings: Settings,
    /,
    scope: str,
    name: str | None,
    currency: str,
    day_count: int | None,
    as_json: bool,
    **amounts: Any,
) -> None:
    """State a limit, whole: what is not given here is not limited here any more.

    A limit per day counts the payments from now on.
    """
    of = Scope(scope.upper())
    if (name is None) != (of is Scope.PAYER):
        raise click.UsageError("--scope terminal and dealer need a --name, --scope payer has none")
    stated = Limit(
        of,
        EVERY_PAYER if name is None else name,
        currency,
        day_count_max=day_count,
        **{_AMOUNTS[option]: _minor(amount, currency) for option, amount in amounts.items()},
    )
    if (stated.amount_min_minor or 0) > (stated.amount_max_minor or stated.amount_min_minor or 0):
        raise click.UsageError("--min is more than --max")

    def work(connection: Connection) -> None:
        if of is Scope.TERMINAL:
            found(directory.find_terminal(connection, stated.owner), "terminal", stated.owner)
        elif of is Scope.DEALER:
            found(directory.find_dealer(connection, stated.owner), "dealer", stated.owner)
        limits.set_limit(connection, stated)

    write(settings, work)
    show(_fields(stated), as_json)


@limit.command("list")
@json_option
@click.pass_obj
def list_(settings: Settings, as_json: bool) -> None:
    """List the limits that are set. Where none is, one payment is 1 to 15 000 major units."""
    show_all([_fields(each) for each in read(settings, limits.list_limits)], as_json)


def _minor(amount: Decimal | None, currency: str) -> int | None:
    return None if amount is None else money(amount, currency).minor


def _fields(stated: Limit) -> dict[str, Any]:
    values = asdict(stated)
    amounts = {
        option: None if values[field] is None else Money(values[field], stated.currency).to_decimal()
        for option, field in _AMOUNTS.items()
    }
    return {
        "scope": stated.scope,
        "name": stated.owner or None,
        "currency": stated.currency,
        "min": amounts["min"],
        "max": amounts["max"],
        "day_count": stated.day_count_max,
        "day_amount": amounts["day_amount"],
    }
