"""`bankapi customer`: who is paid for. Names are masked unless they are asked for."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
from sqlalchemy import Connection

from bankapi import clock
from bankapi.billing import customers, intake
from bankapi.billing.customers import Account, CustomerSheet, masked_name
from bankapi.billing.intake import NewCustomer
from bankapi.billing.money import AmountError, Money
from bankapi.billing.payers import ServiceStatus
from bankapi.cli import imports
from bankapi.cli.administration import found, read, write
from bankapi.cli.imports import Column, Mistakes, Row, Seen
from bankapi.cli.output import json_option, refused, show, show_all
from bankapi.cli.parameters import (
    AMOUNT,
    CURRENCY,
    LANGUAGE,
    MSISDN,
    NUMBER,
    PERSON,
    POSITIVE_AMOUNT,
    STATUS,
    money,
    read_amount,
    read_currency,
    read_language,
    read_msisdn,
    read_number,
    read_person,
    read_service_status,
    several,
)
from bankapi.sandbox import installation
from bankapi.sandbox.numbers import PREFIX
from bankapi.settings import Settings

COLUMNS: Final = (
    Column("customer_number", read_number, is_required=True),
    Column("name", read_person, is_required=True),
    Column("language", read_language),
    Column("account_number", read_number, is_required=True),
    Column("currency", read_currency, is_required=True),
    Column("msisdns", several(read_msisdn, ";"), default=()),
    Column("opening_balance", read_amount, default=Decimal(0)),
    Column("credit_limit", read_amount, default=Decimal(0)),
    Column("service_status", read_service_status, default=ServiceStatus.ACTIVE),
)

_number_argument: Final = click.argument("customer_number", metavar="NUMBER")
_unmasked_option: Final = click.option("--unmasked", is_flag=True, help="Print the full name.")


@click.group()
def customer() -> None:
    """Customers, their billing accounts and phone numbers."""


@customer.command()
@click.argument("customer_number", metavar="NUMBER", type=NUMBER)
@click.option("--name", type=PERSON, required=True, help="Full name.")
@click.option("--account", "account_number", type=NUMBER, required=True, help="Account number.")
@click.option("--currency", type=CURRENCY, default="RUB", show_default=True, help="ISO 4217 code of the account.")
@click.option(
    "--msisdn", "msisdns", type=MSISDN, multiple=True, help="Phone number, E.164 without the plus; repeatable."
)
@click.option("--language", type=LANGUAGE, help="Language (BCP 47).")
@click.option("--opening-balance", type=AMOUNT, default="0", help="Major units; negative is a debt.")
@click.option("--credit-limit", type=AMOUNT, default="0", help="How far the balance may go below zero.")
@click.option("--service-status", type=STATUS, default="ACTIVE", show_default=True, help="ACTIVE, SUSPENDED, ...")
@json_option
@click.pass_obj
def add(settings: Settings, /, as_json: bool, **options: Any) -> None:
    """Add a customer with one billing account."""
    opening, limit = options["opening_balance"], options["credit_limit"]
    if limit < 0:
        raise click.UsageError("the credit limit is not below zero")
    if len(set(options["msisdns"])) < len(options["msisdns"]):
        raise click.UsageError("a phone number is given twice")
    amounts = {
        "opening_balance": money(opening, options["currency"]),
        "credit_limit": money(limit, options["currency"]),
    }
    new = NewCustomer(**options | amounts)

    def work(connection: Connection) -> CustomerSheet:
        for column in _conflicts(intake.taken(connection, [new]), new):
            raise refused(f"this {column.removesuffix('s').replace('_', ' ')} is in use already")
        _add_all(connection, [new])
        return _found(connection, new.customer_number)

    show(_fields(write(settings, work)), as_json)


@customer.command("import")
@imports.file_argument
@json_option
@click.pass_obj
def import_(settings: Settings, file: Path, as_json: bool) -> None:
    """Add customers from a CSV file, all or none of them.

    UTF-8, commas, and a heading with these columns in any order:

    \b
    customer_number   1 to 20 letters, digits, hyphens; required
    name              full name; required
    language          language tag (BCP 47), e.g. ru
    account_number    1 to 20 letters, digits, hyphens; required
    currency          ISO 4217 code; required
    msisdns           phone numbers, E.164 without the plus, separated by ;
    opening_balance   major units, negative is a debt; 0 when empty
    credit_limit      major units; 0 when empty
    service_status    ACTIVE when empty, SUSPENDED, BLOCKED or TERMINATED

    Mistakes are listed by line and column on standard error, the first hundred of them, and then nothing is added.
    With SQLite, payments wait while the file is written (not while it is checked): import large files at a quiet hour.
    """

    def taken(connection: Connection, part: Sequence[tuple[int, NewCustomer]], mistakes: Mistakes) -> None:
        known = intake.taken(connection, [new for _, new in part])
        for line, new in part:
            for column in _conflicts(known, new):
                mistakes.add(line, column, "is in the database already")

    count = imports.imported(settings, file, partial(_new_customers, file), taken, _add_all)
    show({"imported": count}, as_json)


def _add_all(connection: Connection, new: Sequence[NewCustomer]) -> None:
    numbers = (msisdn for each in new for msisdn in each.msisdns)
    if installation.is_marked(connection) and not all(msisdn.startswith(PREFIX) for msisdn in numbers):
        raise refused(f"this is a sandbox: its customers' numbers begin with {PREFIX}, which is nobody's")
    now = clock.utc_now()
    intake.add_customers(connection, new, now=now, business_on=now.date())


def _new_customers(file: Path, mistakes: Mistakes, label: str) -> Iterator[tuple[int, NewCustomer]]:
    seen = Seen(mistakes)
    for row in imports.rows(file, COLUMNS, mistakes, label):
        amounts = {name: _money(row, name, mistakes) for name in ("opening_balance", "credit_limit")}
        if amounts["credit_limit"].minor < 0:
            mistakes.add(row.line, "credit_limit", "is below zero")
        for name in ("customer_number", "account_number"):
            seen.add(row.line, name, row.values[name])
        for msisdn in row.values["msisdns"]:
            seen.add(row.line, "msisdns", msisdn)
        yield row.line, NewCustomer(**{**row.values, **amounts})


def _money(row: Row, name: str, mistakes: Mistakes) -> Money:
    currency = row.values["currency"]
    try:
        return Money.from_decimal(row.values[name], currency)
    except AmountError as error:
        mistakes.add(row.line, name, str(error))
        return Money(0, currency)


def _conflicts(known: intake.Taken, new: NewCustomer) -> Iterator[str]:
    """The columns of a newcomer whose numbers are in use."""
    if new.customer_number in known.customer_numbers:
        yield "customer_number"
    if new.account_number in known.account_numbers:
        yield "account_number"
    if not known.msisdns.isdisjoint(new.msisdns):
        yield "msisdns"


@customer.command("list")
@click.option("--after", default="", help="Begin behind this customer number.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most.")
@_unmasked_option
@json_option
@click.pass_obj
def list_(settings: Settings, after: str, limit: int, unmasked: bool, as_json: bool) -> None:
    """List customers in the order of their numbers, a line for each account."""
    sheets = read(settings, lambda connection: customers.list_customers(connection, after=after, most=limit))
    rows = [
        {"customer": sheet.customer_number, "name": _name(sheet, unmasked), **_account(account, msisdns)}
        for sheet in sheets
        for account, msisdns in sheet.accounts
    ]
    show_all(rows, as_json)


@customer.command("show")
@_number_argument
@_unmasked_option
@json_option
@click.pass_obj
def show_(settings: Settings, customer_number: str, unmasked: bool, as_json: bool) -> None:
    """Show a customer with all accounts."""
    sheet = read(settings, lambda connection: _found(connection, customer_number))
    show(_fields(sheet, unmasked), as_json)


@customer.command()
@_number_argument
@json_option
@click.pass_obj
def block(settings: Settings, customer_number: str, as_json: bool) -> None:
    """Take no payments for a customer's accounts for now."""

    def blocked(account: Account) -> ServiceStatus:
        if account.service_status is ServiceStatus.TERMINATED:
            raise refused("the customer's contract has ended")
        return ServiceStatus.BLOCKED

    _set_status(settings, customer_number, blocked, as_json)


@customer.command()
@_number_argument
@json_option
@click.pass_obj
def unblock(settings: Settings, customer_number: str, as_json: bool) -> None:
    """Take payments again. An account that owes more than its credit limit stays suspended until it is paid."""

    def unblocked(account: Account) -> ServiceStatus:
        if account.service_status is not ServiceStatus.BLOCKED:
            return account.service_status
        in_debt = account.balance.minor + account.credit_limit.minor < 0
        return ServiceStatus.SUSPENDED if in_debt else ServiceStatus.ACTIVE

    _set_status(settings, customer_number, unblocked, as_json)


@customer.command()
@_number_argument
@json_option
@click.pass_obj
def terminate(settings: Settings, customer_number: str, as_json: bool) -> None:
    """End a customer's contract. What is still owed can be paid by account number."""
    _set_status(settings, customer_number, lambda _: ServiceStatus.TERMINATED, as_json)


@customer.command()
@_number_argument
@click.option("--amount", type=POSITIVE_AMOUNT, required=True, help="Major units of the account's currency.")
@click.option("--account", "account_number", help="Which account; needed when the customer has several.")
@json_option
@click.pass_obj
def charge(
    settings: Settings, customer_number: str, amount: Decimal, account_number: str | None, as_json: bool
) -> None:
    """Take from a customer's balance for service used."""
    now = clock.utc_now()

    def work(connection: Connection) -> CustomerSheet:
        opened = [account for account, _ in _found(connection, customer_number).accounts]
        chosen = [each for each in opened if account_number in (None, each.account_number)]
        if len(chosen) != 1:
            raise refused("name one of the customer's accounts: " + ", ".join(each.account_number for each in opened))
        charged = money(amount, chosen[0].currency)
        customers.charge(connection, chosen[0], charged, now=now, business_on=now.date())
        return _found(connection, customer_number)

    show(_fields(write(settings, work)), as_json)


def _set_status(
    settings: Settings, customer_number: str, decide: Callable[[Account], ServiceStatus], as_json: bool
) -> None:
    def work(connection: Connection) -> CustomerSheet:
        for account, _ in _found(connection, customer_number).accounts:
            customers.set_service_status(connection, account.account_number, decide(account))
        return _found(connection, customer_number)

    show(_fields(write(settings, work)), as_json)


def _found(connection: Connection, customer_number: str) -> CustomerSheet:
    return found(customers.find_customer(connection, customer_number), "customer", customer_number)


def _name(sheet: CustomerSheet, unmasked: bool) -> str:
    return sheet.name if unmasked else masked_name(sheet.name)


def _fields(sheet: CustomerSheet, unmasked: bool = False) -> dict[str, Any]:
    return {
        "customer": sheet.customer_number,
        "name": _name(sheet, unmasked),
        "language": sheet.language,
        "accounts": [_account(account, msisdns) for account, msisdns in sheet.accounts],
    }


def _account(account: Account, msisdns: tuple[str, ...]) -> dict[str, Any]:
    return {
        "account": account.account_number,
        "service_status": account.service_status,
        "balance": account.balance,
        "credit_limit": account.credit_limit,
        "msisdns": msisdns,
    }
