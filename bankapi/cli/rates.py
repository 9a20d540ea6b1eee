"""`bankapi rate`: what a payment in one currency is worth in another."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
from sqlalchemy import Connection

from bankapi import clock
from bankapi.billing import rates
from bankapi.billing.rates import DatedRate
from bankapi.cli import imports
from bankapi.cli.administration import read, write
from bankapi.cli.imports import Column, Mistakes, Seen
from bankapi.cli.output import json_option, refused, show, show_all
from bankapi.cli.parameters import CURRENCY, INSTANT, RATE, read_currency, read_instant, read_rate
from bankapi.settings import Settings

COLUMNS: Final = (
    Column("base", read_currency, is_required=True),
    Column("quote", read_currency, is_required=True),
    Column("rate", read_rate, is_required=True),
    Column("valid_from", read_instant),
)


@click.group()
def rate() -> None:
    """Exchange rates. They are facts: a wrong one is followed by a right one, never changed."""


@rate.command()
@click.argument("base", type=CURRENCY)
@click.argument("quote", type=CURRENCY)
@click.argument("value", type=RATE, metavar="RATE")
@click.option(
    "--from", "valid_from", type=INSTANT, help="From when on, e.g. 2026-03-01T00:00:00+03:00; now by default."
)
@json_option
@click.pass_obj
def add(settings: Settings, base: str, quote: str, value: Decimal, valid_from: datetime | None, as_json: bool) -> None:
    """One unit of BASE is RATE units of QUOTE: a payment in BASE to an account in QUOTE is credited so."""
    if base == quote:
        raise click.UsageError("a rate is between two currencies")
    new = DatedRate(base, quote, valid_from or clock.utc_now(), value)

    def work(connection: Connection) -> None:
        if rates.is_set(connection, new):
            raise refused("this pair has a rate from this instant already")
        _add_all(connection, [new])

    write(settings, work)
    show(_fields(new), as_json)


@rate.command("list")
@click.option("--base", type=CURRENCY, help="Only from this currency.")
@click.option("--quote", type=CURRENCY, help="Only into this currency.")
@json_option
@click.pass_obj
def list_(settings: Settings, base: str | None, quote: str | None, as_json: bool) -> None:
    """List the rates, each pair's newest first."""
    show_all([_fields(each) for each in read(settings, lambda c: rates.list_rates(c, base, quote))], as_json)


@rate.command("import")
@imports.file_argument
@json_option
@click.pass_obj
def import_(settings: Settings, file: Path, as_json: bool) -> None:
    """Add rates from a CSV file, all or none of them.

    UTF-8, commas, and a heading with these columns in any order:

    \b
    base         ISO 4217 code; required
    quote        ISO 4217 code; required
    rate         units of quote for one unit of base; required
    valid_from   an instant with its time zone, e.g. 2026-03-01T00:00:00Z; now when empty

    Mistakes are listed by line and column on standard error, the first hundred of them, and then nothing is added.
    """
    now = clock.utc_now()

    def taken(connection: Connection, part: Sequence[tuple[int, DatedRate]], mistakes: Mistakes) -> None:
        for line, new in part:
            if rates.is_set(connection, new):
                mistakes.add(line, "valid_from", "this pair has a rate from this instant already")

    count = imports.imported(settings, file, partial(_new_rates, file, now), taken, _add_all)
    show({"imported": count}, as_json)


def _new_rates(file: Path, now: datetime, mistakes: Mistakes, label: str) -> Iterator[tuple[int, DatedRate]]:
    seen = Seen(mistakes)
    for row in imports.rows(file, COLUMNS, mistakes, label):
        values = row.values
        new = DatedRate(values["base"], values["quote"], values["valid_from"] or now, values["rate"])
        if new.base == new.quote:
            mistakes.add(row.line, "quote", "is the base currency")
        seen.add(row.line, "valid_from", (new.base, new.quote, new.valid_from))
        yield row.line, new


def _add_all(connection: Connection, new: Sequence[DatedRate]) -> None:
    for each in new:
        rates.add_rate(connection, each.base, each.quote, each.rate, each.valid_from)


def _fields(entry: DatedRate) -> dict[str, Any]:
    return {"base": entry.base, "quote": entry.quote, "rate": entry.rate, "valid_from": entry.valid_from}
