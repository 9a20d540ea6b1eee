"""Writing reports: the options of every command that does, and the file that comes of it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final
from zoneinfo import ZoneInfo

import click
from sqlalchemy import Connection

from bankapi import clock
from bankapi.billing.directory import DealerEntry
from bankapi.cli.files import appearing
from bankapi.cli.output import refused
from bankapi.cli.parameters import LANGUAGE, Command
from bankapi.languages.texts import texts
from bankapi.reports import render
from bankapi.reports.document import Document
from bankapi.reports.headings import Heading
from bankapi.reports.render import Format
from bankapi.sandbox import installation

_TOLD_ROWS: Final = 10_000
"""A person who waits hears of every so many rows."""


def document_options(command: Command) -> Command:
    """Where to, in which format, and in whose language."""
    for option in (
        click.option("--language", type=LANGUAGE, default="en", show_default=True, help="The reader's (BCP 47)."),
        click.option(
            "--format",
            "format_",
            type=click.Choice([each.value for each in Format]),
            help="What to write; by default what the name of the file says.",
        ),
        click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="The file to write."),
    ):
        command = option(command)
    return command


def dealers_heading(entry: DealerEntry, language: str) -> Heading:
    """The heading of a dealer's report, made now."""
    return Heading(entry.name, ZoneInfo(entry.time_zone), texts(language), clock.utc_now(), entry.closed_through_on)


def format_of(given: str | None, output: Path | None) -> Format:
    """What was said, or what the file's name says. Standard output takes CSV only: the rest is not text."""
    if output is None:
        if given not in (None, Format.CSV):
            raise click.UsageError(f"--format {given} needs an --output file")
        return Format.CSV
    try:
        return Format(given or output.suffix.removeprefix(".").lower())
    except ValueError as error:
        raise click.UsageError(f"the name of {output} does not say which --format") from error


def write_document(connection: Connection, document: Document, wanted: Format, output: Path | None) -> None:
    """Write a report to a file, or without one to standard output. What is too long for a format is refused.

    The title says when the books it was read from are a sandbox's.
    """
    if installation.is_marked(connection):
        title = texts(document.language).gettext("SANDBOX: {title}", title=document.title)
        document = replace(document, title=title)
    try:
        with _file(output) as file, _progress() as progress:
            render.write(document, wanted, file, progress)
    except render.TooManyRows as error:
        raise refused(str(error)) from error


@contextmanager
def _file(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
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
