"""`bankapi reconcile` and `bankapi register`: comparing a dealer's register with the books, and giving out ours."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any, BinaryIO, Final

import click

from bankapi import clock
from bankapi.billing import dealers, directory
from bankapi.billing.directory import DealerEntry
from bankapi.cli.administration import found, opened
from bankapi.cli.document_files import document_options
from bankapi.cli.files import appearing
from bankapi.cli.output import REFUSED, json_option, refused, show
from bankapi.cli.parameters import DAY
from bankapi.cli.reconciliations import fields_of, sign, write_differences
from bankapi.gateway import cards
from bankapi.reports import expected, reconciliation, register_files, registers
from bankapi.reports.register_files import Contents, Form, RegisterFileError
from bankapi.reports.registers import (
    PART_ROWS_MAX,
    REFERENCE,
    Announcement,
    Register,
    RegisterRow,
    RegisterState,
    SubmissionOutcome,
)
from bankapi.settings import Settings
from bankapi.storage.engine import Store

_LONG_BYTES: Final = 1024 * 1024
"""From this size on a person who waits is shown how far it is."""
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("file", type=_FILE)
@click.option("--dealer", required=True, help="Whose register it is.")
@click.option("--on", "day", type=DAY, required=True, help="The business day, e.g. 2026-11-23.")
@click.option("--reference", help="The dealer's name of the register.  [default: what the file says, or its name]")
@click.option("--limit", type=click.IntRange(0, 10_000), default=100, show_default=True, help="Differences shown.")
@document_options
@json_option
@click.pass_obj
def reconcile(
    settings: Settings,
    /,
    file: Path,
    dealer: str,
    day: datetime,
    reference: str | None,
    limit: int,
    output: Path | None,
    format_: str | None,
    language: str,
    as_json: bool,
) -> None:
    """Compare a dealer's register of a business day with what is booked here.

    FILE is CSV with the heading reference,status,amount,currency[,occurred_at,terminal,payment_id] and a last line
    #TOTAL,<rows>,<sum of all amounts>,... or XML by schemas/bankapi-register-v1.xsd. It is kept as it came, the result
    is signed, and both stay for ever: see bankapi reconciliation.

    Exit code 0 when everything matches, 1 when there are differences or the file is refused. Repeating the command
    compares the same register again.
    """
    with opened(settings) as store:
        with store.read() as connection:
            entry = found(directory.find_dealer(connection, dealer), "dealer", dealer)
        with _reading(file, "checking") as content:
            contents = _checked(file, content)
        announced = _announced(file, contents, entry, day.date(), reference)
        with _reading(file, "keeping") as content:
            register = _kept(store, entry, announced, content, file)
        result = reconciliation.reconcile(store, register.id, clock.utc_now())
        sign(settings, store)
        with store.read() as connection:
            shown = fields_of(connection, result, limit, is_brief=not as_json)
            if output is not None:
                write_differences(connection, result, output, format_, language)
    show(shown, as_json)
    if result.difference_count:
        click.get_current_context().exit(REFUSED)


@click.group()
def register() -> None:
    """Registers: what a dealer and the operator compare."""


@register.command("export")
@click.option("--dealer", required=True, help="Whose payments.")
@click.option("--on", "day", type=DAY, required=True, help="The business day, e.g. 2026-11-23.")
@click.option(
    "--format", "format_", type=click.Choice([each.value for each in Form]), default=Form.CSV.value, show_default=True
)
@click.option("--reference", help="The register's name in XML.  [default: the day]")
@click.option("--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file to write.")
@json_option
@click.pass_obj
def export_(
    settings: Settings, dealer: str, day: datetime, format_: str, reference: str | None, output: Path, as_json: bool
) -> None:
    """Write our side as a register of the day: a bank that compares by itself reads it, and sends the same back."""
    name = reference or day.date().isoformat()
    _require_reference(name)
    with opened(settings) as store, store.read() as connection:
        entry = found(directory.find_dealer(connection, dealer), "dealer", dealer)
        rows = expected.our_register(connection, entry.id, day.date())
        with appearing(output) as file, _counting(rows) as counted:
            totals = register_files.write(file, Form(format_), name, day.date(), counted)
    show({"rows": totals.row_count, "hash_total": totals.hash_total, "file": str(output)}, as_json)


def _checked(file: Path, content: BinaryIO) -> Contents:
    """What the whole file comes to; ends the command with its mistakes."""
    try:
        return register_files.check(content, register_files.form_of(content), _is_forbidden)
    except RegisterFileError as error:
        for mistake in error.mistakes:
            click.echo(mistake, err=True)
        if error.count > len(error.mistakes):
            click.echo(f"and {error.count - len(error.mistakes)} more", err=True)
        raise refused(f"{file}: mistakes: {error.count}; nothing was kept") from error


def _announced(file: Path, contents: Contents, entry: DealerEntry, day: date, reference: str | None) -> Announcement:
    if contents.business_on not in (None, day):
        raise refused(f"{file} is a register of {contents.business_on}, not of {day}")
    if day > dealers.calendar_day(entry.time_zone, clock.utc_now()):
        raise refused(f"{day} has not begun")
    name = reference or contents.reference or file.stem
    _require_reference(name)
    if contents.reference not in (None, name):
        raise refused(f"{file} has another reference; leave --reference out")
    parts = max(1, ceil(contents.totals.row_count / PART_ROWS_MAX))
    try:
        return Announcement(name, day, parts, contents.totals)
    except ValueError as error:
        raise refused(f"{file}: {error}") from error


def _kept(store: Store, entry: DealerEntry, announced: Announcement, content: BinaryIO, file: Path) -> Register:
    """Keep the register part by part; one that was kept before, or partly, is the same one."""
    rows = register_files.rows(content, register_files.form_of(content), _is_forbidden)
    try:
        for part in range(1, announced.parts + 1):
            some = list(islice(rows, PART_ROWS_MAX))
            kept = _keep_part(store, entry, announced, part, some)
    except RegisterFileError as error:
        raise refused(f"{file} has changed while it was read") from error
    if next(rows, None) is not None or kept.state is not RegisterState.ACCEPTED:
        raise refused(f"{file} has changed while it was read")
    return kept


def _keep_part(
    store: Store, entry: DealerEntry, announced: Announcement, part: int, rows: Sequence[RegisterRow]
) -> Register:
    done = store.write(
        lambda connection: registers.submit_part(connection, entry.id, announced, part, rows, now=clock.utc_now())
    )
    if done.outcome is SubmissionOutcome.CONFLICT or done.register is None:
        raise refused("another register was kept under this reference; a corrected one needs a new --reference")
    return done.register


def _is_forbidden(text: str) -> bool:
    return cards.are_in([text])


def _require_reference(name: str) -> None:
    if not REFERENCE.fullmatch(name) or _is_forbidden(name):
        raise click.UsageError("the register needs a --reference of 1 to 64 letters, digits and . _ : / -")


@contextmanager
def _reading(file: Path, label: str) -> Iterator[BinaryIO]:
    """The file; somebody who waits for a large one sees how far it is."""
    size = file.stat().st_size
    with file.open("rb") as content:
        if size < _LONG_BYTES or not sys.stderr.isatty():
            yield content
            return
        with click.progressbar(length=size, label=label, file=sys.stderr, update_min_steps=64 * 1024) as bar:
            yield _Watched(content, bar)  # type: ignore[misc]  # what readers ask for, it can


class _Watched:
    """A file whose reading moves a bar."""

    def __init__(self, file: BinaryIO, bar: Any) -> None:
        self._file = file
        self._bar = bar

    def read(self, size: int = -1) -> bytes:
        return self._told(self._file.read(size))

    def readline(self, size: int = -1) -> bytes:
        return self._told(self._file.readline(size))

    def seek(self, offset: int) -> int:
        return self._file.seek(offset)

    def _told(self, octets: bytes) -> bytes:
        self._bar.update(len(octets))
        return octets


@contextmanager
def _counting(rows: Iterable[RegisterRow]) -> Iterator[Iterable[RegisterRow]]:
    """The rows; somebody who waits sees how many they are so far."""
    if not sys.stderr.isatty():
        yield rows
        return
    with click.progressbar(rows, label="writing", file=sys.stderr, show_pos=True, update_min_steps=10_000) as bar:
        yield bar


COMMANDS: Final = (reconcile, register)
