"""`bankapi report` and `bankapi day`: what finance reads, and closing the days it reads about."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final
from zoneinfo import ZoneInfo

import click
from sqlalchemy import Connection

from bankapi import clock
from bankapi.billing import dealers, directory
from bankapi.billing.directory import DealerEntry
from bankapi.billing.terminals import Scheme
from bankapi.cli.administration import found, opened, read
from bankapi.cli.files import appearing
from bankapi.cli.output import CommandFailed, json_option, refused, show_all
from bankapi.cli.parameters import CURRENCY, DAY, LANGUAGE, TIME_ZONE, Command
from bankapi.languages.texts import texts
from bankapi.reports import closing, render
from bankapi.reports.document import Document
from bankapi.reports.financial import BooksDisagree
from bankapi.reports.financial_document import financial_document
from bankapi.reports.headings import Heading
from bankapi.reports.render import Format
from bankapi.reports.transaction_document import transaction_document
from bankapi.reports.transactions import Event, Selection
from bankapi.reports.trial_balance_document import trial_balance_document
from bankapi.settings import Settings

_SCHEMES: Final = {"credit": Scheme.CREDIT_ADJUSTMENT, "debit": Scheme.DEBIT_ADJUSTMENT}
_FIRST_ON: Final = date(2000, 1, 1)
"""No business day of the contract is earlier."""
_TOLD_ROWS: Final = 10_000
"""A person who waits hears of every so many rows."""


def _shown(command: Command) -> Command:
    for option in (
        click.pass_obj,
        click.option(
            "--output", type=click.Path(dir_okay=False, path_type=Path), help="A new file; - for CSV to stdout."
        ),
        click.option(
            "--format",
            "format_",
            type=click.Choice([each.value for each in Format]),
            help="What to write; by default what the name of the file says, or CSV.",
        ),
        click.option("--language", type=LANGUAGE, default="en", show_default=True, help="The reader's (BCP 47)."),
    ):
        command = option(command)
    return command


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
        click.option("--scheme", type=click.Choice(list(_SCHEMES)), help="Only payments booked so."),
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
@_shown
def transactions_(settings: Settings, /, events: tuple[str, ...], **options: Any) -> None:
    """List what happened to a dealer's payments, event by event, in the dealer's time zone."""
    chosen = frozenset(Event(event.upper()) for event in events) or frozenset(Event)

    def make(connection: Connection, entry: DealerEntry) -> Document:
        selection = _selection(connection, entry, events=chosen, **options)
        return transaction_document(connection, _heading(entry, **options), selection)

    _write(settings, make, **options)


@report.command("financial")
@_selected
@_shown
def financial_(settings: Settings, /, **options: Any) -> None:
    """Add up a dealer's days: opening balance, registered, cancelled, net, fees, closing balance.

    Ends with 3 when the payments do not add up to what the ledger moved.
    """

    def make(connection: Connection, entry: DealerEntry) -> Document:
        selection = _selection(connection, entry, **options)
        return financial_document(connection, _heading(entry, **options), selection, entry.name)

    _write(settings, make, **options)


@report.command("trial-balance")
@_period
@click.option(
    "--time-zone", type=TIME_ZONE, default="UTC", show_default=True, help="For the time the report was made at."
)
@_shown
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
    return Selection(entry.id, first_on, last_on, terminal, _SCHEMES.get(scheme or ""), currency, events)


def _heading(entry: DealerEntry, *, language: str, **_: Any) -> Heading:
    return Heading(entry.name, ZoneInfo(entry.time_zone), texts(language), clock.utc_now(), entry.closed_through_on)


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
    wanted = _format(format_, output)
    with opened(settings) as store, store.read() as connection:
        try:
            document = make(connection)
            with _file(output) as file, _progress() as progress:
                render.write(document, wanted, file, progress)
        except render.TooManyRows as error:
            raise refused(str(error)) from error
        except BooksDisagree as error:
            raise _disagreeing(error) from error
    if output is not None and str(output) != "-":
        click.echo(f"wrote {output}", err=True)


def _format(given: str | None, output: Path | None) -> Format:
    """What was said, or what the file's name says, or CSV. Standard output takes CSV only: the rest is not text."""
    is_standard = output is None or str(output) == "-"
    if given is not None:
        wanted = Format(given)
    elif is_standard:
        wanted = Format.CSV
    else:
        try:
            wanted = Format(str(output).rpartition(".")[2].lower())
        except ValueError as error:
            raise click.UsageError(f"the name of {output} does not say which --format") from error
    if is_standard and wanted is not Format.CSV:
        raise click.UsageError(f"--format {wanted} needs an --output file")
    return wanted


@contextmanager
def _file(output: Path | None) -> Iterator[BinaryIO]:
    """Where the report goes: a file, or without a name standard output."""
    if output is None or str(output) == "-":
        yield sys.stdout.buffer
        return
    with appearing(output) as file:
        yield file


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """A line that counts rows, when somebody is looking."""
    if not sys.stderr.isatty():
        yield lambda rows: None
        return
    told = 0

    def progress(rows: int) -> None:
        nonlocal told
        if rows - told >= _TOLD_ROWS:
            told = rows
            click.echo(f"\r{rows:,} rows", err=True, nl=False)

    yield progress
    if told:
        click.echo("\r", err=True, nl=False)
