"""`bankapi dealer`: banks and shops, what their agreements say, and the money they gave us."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import click
from sqlalchemy import Connection

from bankapi import clock
from bankapi.billing import dealers, directory, terminals
from bankapi.billing.directory import DealerEntry
from bankapi.billing.ledger import LedgerAccountKind, TransactionKind
from bankapi.billing.money import Money, exponent
from bankapi.billing.terminals import AccessStatus, CancelRule, Scheme
from bankapi.cli import enrolment
from bankapi.cli.administration import found, read, write
from bankapi.cli.output import json_option, refused, show, show_all
from bankapi.cli.parameters import (
    AMOUNT,
    CURRENCIES,
    CURRENCY,
    LANGUAGE,
    NAME,
    POSITIVE_AMOUNT,
    SCHEMES,
    TIME_ZONE,
    Command,
    Value,
    given,
    money,
)
from bankapi.settings import Settings

_RULES: Final = {rule.lower().replace("_", "-"): rule for rule in CancelRule if rule is not CancelRule.MINUTES}
_MINUTES_MAX: Final = 366 * 24 * 60


def _read_cancel_window(text: str) -> dict[str, Any]:
    if text.isdecimal() and 0 < int(text) <= _MINUTES_MAX:
        return {"cancel_rule": CancelRule.MINUTES, "cancel_minutes": int(text)}
    if text in _RULES:
        return {"cancel_rule": _RULES[text], "cancel_minutes": 0}
    raise ValueError(f"is none of {', '.join(_RULES)}, and not a number of minutes up to a year")


def agreement_options(command: Command) -> Command:
    """What an agreement says. What is not given has its default in a new one, and stays as it is in another."""
    for option in (
        json_option,
        click.option(
            "--misses-max",
            type=click.IntRange(1, 1_000_000),
            help="Unknown payers a terminal may ask for in ten minutes.  [new: 30]",
        ),
        click.option(
            "--cancel-window",
            type=Value(_read_cancel_window, "rule|minutes"),
            help="always, never, same-business-day, or a number of minutes.  [new: same-business-day]",
        ),
        click.option("--overdraft", type=AMOUNT, help="How far the deposit may go below zero, per currency.  [new: 0]"),
        click.option("--names-unmasked/--names-masked", default=None, help="Whether it sees customers' full names."),
        click.option("--currencies", type=CURRENCIES, help="ISO 4217 codes it may pay in.  [new: RUB]"),
        click.option("--language", type=LANGUAGE, help="Language (BCP 47) of its terminals.  [new: en]"),
        click.option("--time-zone", type=TIME_ZONE, help="Its business day, e.g. Europe/Moscow."),
        click.option(
            "--scheme",
            type=click.Choice(list(SCHEMES)),
            help="Credit adjustment (it settles afterwards) or debit adjustment (it pays ahead).",
        ),
    ):
        command = option(command)
    return command


def _agreed(options: dict[str, Any], currencies: tuple[str, ...]) -> dict[str, Any]:
    """The options as the billing model names them. `currencies` are those of the agreement as it will be."""
    agreed = given(options, "time_zone", "language", "currencies", "names_unmasked", "misses_max")
    agreed |= options["cancel_window"] or {}
    if options["scheme"] is not None:
        agreed["scheme"] = SCHEMES[options["scheme"]]
    if options["overdraft"] is not None:
        agreed["overdraft_minor"] = _overdraft(options["overdraft"], currencies)
    return agreed


def _overdraft(overdraft: Decimal, currencies: tuple[str, ...]) -> int:
    if overdraft < 0:
        raise click.UsageError("the overdraft is not below zero")
    minor = {money(overdraft, currency).minor for currency in currencies}
    if len(minor) > 1:
        raise click.UsageError("an overdraft needs currencies with the same number of decimals")
    return minor.pop()


@click.group()
def dealer() -> None:
    """Banks and shops: agreements, blocking, deposits and settlements."""


@dealer.command()
@click.argument("name", type=NAME)
@agreement_options
@click.pass_obj
def add(settings: Settings, /, name: str, as_json: bool, **options: Any) -> None:
    """Add a dealer. --scheme and --time-zone must be given."""
    for needed in ("scheme", "time_zone"):
        if options[needed] is None:
            raise click.UsageError(f"Missing option '--{needed.replace('_', '-')}'.")
    options["currencies"] = options["currencies"] or ("RUB",)
    options["language"] = options["language"] or "en"
    agreed = _agreed(options, options["currencies"])

    def work(connection: Connection) -> DealerEntry:
        if directory.find_dealer(connection, name) is not None:
            raise refused(f"dealer {name} exists already")
        terminals.add_dealer(connection, name=name, **agreed)
        return _found(connection, name)

    show(_fields(write(settings, work)), as_json)


@dealer.command("set")
@click.argument("name")
@agreement_options
@click.pass_obj
def set_(settings: Settings, /, name: str, as_json: bool, **options: Any) -> None:
    """Change an agreement. It takes effect with the next request; what is booked stays as it was booked."""

    def work(connection: Connection) -> DealerEntry:
        known = _found(connection, name)
        currencies = options["currencies"] or known.currencies
        agreed = _agreed(options, currencies)
        if not agreed:
            raise click.UsageError("say what to change")
        if (
            known.overdraft_minor
            and "overdraft_minor" not in agreed
            and _decimals(currencies) != _decimals(known.currencies)
        ):
            raise click.UsageError("these currencies have other decimals: give the --overdraft, too")
        return _changed(connection, name, agreed)

    show(_fields(write(settings, work)), as_json)


@dealer.command()
@click.argument("name")
@json_option
@click.pass_obj
def block(settings: Settings, name: str, as_json: bool) -> None:
    """Refuse everything the dealer's terminals send, from their next requests on."""
    _set_status(settings, name, AccessStatus.BLOCKED, as_json)


@dealer.command()
@click.argument("name")
@json_option
@click.pass_obj
def unblock(settings: Settings, name: str, as_json: bool) -> None:
    """Let a blocked dealer's terminals speak again."""
    _set_status(settings, name, AccessStatus.ACTIVE, as_json)


@dealer.command("list")
@json_option
@click.pass_obj
def list_(settings: Settings, as_json: bool) -> None:
    """List dealers."""
    shown = ("dealer", "scheme", "status", "time_zone", "language", "currencies")
    entries = [_fields(entry) for entry in read(settings, directory.list_dealers)]
    show_all([{name: entry[name] for name in shown} for entry in entries], as_json)


@dealer.command("show")
@click.argument("name")
@json_option
@click.pass_obj
def show_(settings: Settings, name: str, as_json: bool) -> None:
    """Show a dealer: its agreement, what it paid ahead, what it owes, its terminals and channel certificates."""

    def look(connection: Connection) -> dict[str, Any]:
        entry = _found(connection, name)
        return {
            **_fields(entry),
            **_standing(connection, name),
            "terminals": [
                {"terminal": each.name, "status": each.status} for each in directory.list_terminals(connection, name)
            ],
            "channels": enrolment.shown(directory.channel_certificates(connection, name), clock.utc_now()),
        }

    show(read(settings, look), as_json)


def _paying_in(command: Command) -> Command:
    for option in (
        click.pass_obj,
        json_option,
        click.option("--currency", type=CURRENCY, default="RUB", show_default=True, help="ISO 4217 code."),
        click.option("--amount", type=POSITIVE_AMOUNT, required=True, help="Major units, e.g. 100.00."),
        click.argument("name"),
    ):
        command = option(command)
    return command


@dealer.command("top-up")
@_paying_in
def top_up(settings: Settings, name: str, amount: Decimal, currency: str, as_json: bool) -> None:
    """Book money that a dealer on debit adjustment paid ahead."""

    def check(connection: Connection, entry: DealerEntry) -> None:
        if entry.scheme is not Scheme.DEBIT_ADJUSTMENT:
            raise refused(f"dealer {name} does not pay ahead; book what it pays with: bankapi dealer settle")
        if currency not in entry.currencies:
            raise refused(f"dealer {name} does not pay in {currency}")

    _pay_in(settings, TransactionKind.DEPOSIT, name, money(amount, currency), check, as_json)


@dealer.command()
@_paying_in
def settle(settings: Settings, name: str, amount: Decimal, currency: str, as_json: bool) -> None:
    """Book money with which a dealer paid what it owed for its payments. More than that is refused."""

    def check(connection: Connection, entry: DealerEntry) -> None:
        owed = {each.currency: each for each in _standing(connection, name)["receivable"]}
        if owed.get(currency, Money(0, currency)) < money(amount, currency):
            raise refused(f"dealer {name} owes {owed.get(currency, Money(0, currency))}, less than that")

    _pay_in(settings, TransactionKind.SETTLEMENT, name, money(amount, currency), check, as_json)


def _pay_in(
    settings: Settings,
    kind: TransactionKind,
    name: str,
    amount: Money,
    check: Callable[[Connection, DealerEntry], None],
    as_json: bool,
) -> None:
    now = clock.utc_now()

    def work(connection: Connection) -> dict[str, Any]:
        entry = _found(connection, name)
        check(connection, entry)
        dealers.pay_in(connection, kind, dealer=name, amount=amount, now=now)
        return {"dealer": name, "kind": kind, "amount": amount, **_standing(connection, name)}

    show(write(settings, work), as_json)


def _standing(connection: Connection, name: str) -> dict[str, list[Money]]:
    """What the dealer has with us and what it owes us, both more than zero as people say it."""
    sums = dealers.standing(connection, name)
    return {
        "deposit": sums[LedgerAccountKind.DEALER_DEPOSIT],
        "receivable": [-owed for owed in sums[LedgerAccountKind.DEALER_RECEIVABLE]],
    }


def _set_status(settings: Settings, name: str, status: AccessStatus, as_json: bool) -> None:
    show(_fields(write(settings, lambda connection: _changed(connection, name, {"status": status}))), as_json)


def _changed(connection: Connection, name: str, changes: dict[str, Any]) -> DealerEntry:
    return found(directory.change_dealer(connection, name, changes), "dealer", name)


def _found(connection: Connection, name: str) -> DealerEntry:
    return found(directory.find_dealer(connection, name), "dealer", name)


def _decimals(currencies: tuple[str, ...]) -> set[int]:
    return {exponent(currency) for currency in currencies}


def _fields(entry: DealerEntry) -> dict[str, Any]:
    minutes = entry.cancel_rule is CancelRule.MINUTES
    return {
        "dealer": entry.name,
        "scheme": entry.scheme,
        "status": entry.status,
        "time_zone": entry.time_zone,
        "language": entry.language,
        "currencies": entry.currencies,
        "names_unmasked": entry.names_unmasked,
        "overdraft": Money(entry.overdraft_minor, entry.currencies[0]).to_decimal(),
        "cancel_window": f"{entry.cancel_minutes} minutes" if minutes else entry.cancel_rule,
        "misses_max": entry.misses_max,
    }
