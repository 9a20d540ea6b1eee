"""`bankapi report` and `bankapi day`: what finance reads, and closing the days it reads about."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import click
from sqlalchemy import Connection

from bankapi import clock
from bankapi.billing import dealers, directory
from bankapi.billing.directory import DealerEntry
from bankapi.cli.administration import found, opened, read
from bankapi.cli.document_files import dealers_heading, document_options, format_of, write_document
from bankapi.cli.output import CommandFailed, json_option, refused, show_all
from bankapi.cli.parameters import CURRENCY, DAY, SCHEMES, TIME_ZONE, Command
from bankapi.languages.texts import texts
from bankapi.reports import closing
from bankapi.reports.document import Document
from bankapi.reports.financial import BooksDisagree
from bankapi.reports.financial_document import financial_document
from bankapi.reports.headings import Heading
from bankapi.reports.transaction_document import transaction_document
from bankapi.reports.transactions import Event, Selection
from bankapi.reports.trial_balance_document import trial_balance_document
from bankapi.settings import Settings

_FIRST_ON: Final = date(2000, 1, 1)
"""No business day of the contract is earlier."""


def _period(command: Command) -> Command:
    for option in (
        click.option("--to", "last", type=DAY, help="The last business day, included.  [default: the first one]"),
        click.option("--from", "first", type=DAY, required=True, help="The first business day, e.g. 2026-11-01."),
    ):
        command = option(command)
    return command


def _selected(command: Command) -> Command:
    for option in (
        click.option("--currency", type=CURRENCY, help="Only payments in this currency."),
        click.option("--scheme", type=click.Choice(list(SCHEMES)), help="Only payments booked so."),
        click.option("--terminal", help="Only what happened at this terminal."),
        click.option("--dealer", required=True, help="Whose payments."),
    ):
        command = option(command)
    return _period(command)


@click.group()
def report() -> None:
    """Transaction and financial reports of any dealer, and the operator's trial balance."""


@report.command("transactions")
@_selected
@click.option(
    "--status",
    "events",
    type=click.Choice([event.lower() for event in Event]),
    multiple=True,
    help="Only these events; more than one may be given.",
)
@document_options
@click.pass_obj
def transactions_(settings: Settings, /, events: tuple[str, ...], **options: Any) -> None:
    """List what happened to a dealer's payments, event by event, in the dealer's time zone."""
    chosen = frozenset(Event(event.upper()) for event in events) or frozenset(Event)

    def make(connection: Connection, entry: DealerEntry) -> Document:
        selection = _selection(connection, entry, events=chosen, **options)
        return transaction_document(connection, dealers_heading(entry, options["language"]), selection)

    _write(settings, make, **options)


@report.command("financial")
@_selected
@document_options
@click.pass_obj
def financial_(settings: Settings, /, **options: Any) -> None:
    """Add up a dealer's days: opening balance, registered, cancelled, net, fees, closing balance.

    Ends with 3 when the payments do not add up to what the ledger moved.
    """

    def make(connection: Connection, entry: DealerEntry) -> Document:
        selection = _selection(connection, entry, **options)
        return financial_document(connection, dealers_heading(entry, options["language"]), selection, entry.name)

    _write(settings, make, **options)


@report.command("trial-balance")
@_period
@click.option(
    "--time-zone", type=TIME_ZONE, default="UTC", show_default=True, help="For the time the report was made at."
)
@document_options
@click.pass_obj
def trial_balance_(settings: Settings, /, time_zone: str, language: str, **options: Any) -> None:
    """Show what every kind of ledger account was debited and credited with. All of them add up to zero."""
    first_on, last_on = _days(**options)
    heading = Heading(None, ZoneInfo(time_zone), texts(language), clock.utc_now())
    _save(settings, lambda connection: trial_balance_document(connection, heading, first_on, last_on), **options)


@click.group()
def day() -> None:
    """Business days: close them, and see which are closed."""


@day.command("close")
@click.option("--dealer", help="Only this dealer's; without it, every dealer's days that have ended.")
@click.option(
    "--through", type=DAY, help="With --dealer: the last day to close; it may be today.  [default: yesterday]"
)
@json_option
@click.pass_obj
def close_(settings: Settings, /, dealer: str | None, through: datetime | None, as_json: bool) -> None:
    """Close business days: what comes later belongs to the next open day, and their reports never change again.

    The worker closes days that have ended by itself.
    """
    if through is not None and dealer is None:
        raise click.UsageError("--through needs --dealer")
    now = clock.utc_now()
    with opened(settings) as store:
        with store.read() as connection:
            entries = directory.list_dealers(connection) if dealer is None else [_dealer(connection, dealer)]
        closed = []
        for entry in entries:
            through_on = through.date() if through else dealers.calendar_day(entry.time_zone, now) - timedelta(days=1)
            try:
                days = closing.close(store, entry.name, through_on, now)
            except closing.CannotClose as error:
                raise refused(str(error)) from error
            except BooksDisagree as error:
                raise CommandFailed(
                    f"{entry.name}: payments and ledger disagree ({error}); run: bankapi audit verify"
                ) from error
            closed += [{"dealer": entry.name, "business_on": each} for each in days]
    show_all(closed, as_json)


@day.command("list")
@click.option("--dealer", required=True, help="Whose days.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=30, show_default=True, help="How many at most.")
@json_option
@click.pass_obj
def list_(settings: Settings, dealer: str, limit: int, as_json: bool) -> None:
    """List closed days, newest first, each with the digest of what it came to."""

    def look(connection: Connection) -> list[dict[str, Any]]:
        _dealer(connection, dealer)
        return [
            {"business_on": each.business_on, "closed_at": each.closed_at, "digest": each.digest}
            for each in closing.list_closed(connection, dealer, limit)
        ]

    show_all(read(settings, look), as_json)


def _disagreeing(error: BooksDisagree) -> CommandFailed:
    return CommandFailed(f"payments and ledger disagree ({error}); run: bankapi audit verify")


def _dealer(connection: Connection, name: str) -> DealerEntry:
    return found(directory.find_dealer(connection, name), "dealer", name)


def _days(first: datetime, last: datetime | None, **_: Any) -> tuple[date, date]:
    first_on = first.date()
    last_on = last.date() if last else first_on
    if first_on < _FIRST_ON:
        raise click.UsageError(f"--from is before {_FIRST_ON}")
    if last_on < first_on:
        raise click.UsageError("--to is before --from")
    return first_on, last_on


def _selection(
    connection: Connection,
    entry: DealerEntry,
    *,
    terminal: str | None,
    scheme: str | None,
    currency: str | None,
    events: frozenset[Event] = frozenset(Event),
    **options: Any,
) -> Selection:
    if terminal is not None and terminal not in {
        each.name for each in directory.list_terminals(connection, entry.name)
    }:
        raise refused(f"dealer {entry.name} has no terminal {terminal}")
    first_on, last_on = _days(**options)
    return Selection(entry.id, first_on, last_on, terminal, SCHEMES.get(scheme or ""), currency, events)


def _write(
    settings: Settings, make: Callable[[Connection, DealerEntry], Document], *, dealer: str, **options: Any
) -> None:
    _save(settings, lambda connection: make(connection, _dealer(connection, dealer)), **options)


def _save(
    settings: Settings,
    make: Callable[[Connection], Document],
    *,
    format_: str | None,
    output: Path | None,
    **_: Any,
) -> None:
    """Write the report from one snapshot of the books; a file appears when it is whole."""
    wanted = format_of(format_, output)
    with opened(settings) as store, store.read() as connection:
        try:
            write_document(connection, make(connection), wanted, output)
        except BooksDisagree as error:
            raise _disagreeing(error) from error
    if output is not None:
        click.echo(f"wrote {output}", err=True)
