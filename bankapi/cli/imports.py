"""Reading CSV files whole or not at all (RFC 4180): UTF-8, commas, a heading; every mistake with its line and column.

A file is read as a stream, twice: once to check it, which changes and locks nothing, and once to write it. What is
wrong is said by line and column, never by its content: files hold people's names.
"""

import codecs
import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from sqlalchemy import Connection

from bankapi.cli.administration import opened
from bankapi.cli.output import REFUSED, refused
from bankapi.cli.parameters import Read
from bankapi.settings import Settings

T = TypeVar("T")

MISTAKES_SHOWN_MAX: Final = 100
_ROWS_AT_ONCE: Final = 1000
_LINE_BYTES_MAX: Final = 16 * 1024
_LONG_BYTES: Final = 1024 * 1024
"""From this size on a person who waits is shown how far it is."""
_REPLACEMENT: Final = "\ufffd"

file_argument: Final = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@dataclass(frozen=True, slots=True)
class Column:
    """One column: how its values are read, and the default when it is absent or empty; required without one."""

    name: str
    read: Read
    is_required: bool = False
    default: Any = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line's values by column name."""

    line: int
    values: Mapping[str, Any]


@dataclass
class Mistakes:
    """What is wrong with a file: the first hundred in words, the rest counted."""

    count: int = 0
    shown: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, column: str | None, what: str) -> None:
        self.count += 1
        if len(self.shown) < MISTAKES_SHOWN_MAX:
            self.shown.append((line, f"{column}: {what}" if column else what))

    def refuse(self, file: Path) -> None:
        """End the command with the report when there was any mistake."""
        if not self.count:
            return
        for line, mistake in sorted(self.shown, key=itemgetter(0)):
            click.echo(f"line {line}: {mistake}", err=True)
        if self.count > len(self.shown):
            click.echo(f"and {self.count - len(self.shown)} more", err=True)
        click.echo(f"bankapi: {file}: mistakes: {self.count}; nothing was imported", err=True)
        click.get_current_context().exit(REFUSED)


class Seen:
    """Where each value of a column that must be unique in the file was first seen."""

    def __init__(self, mistakes: Mistakes) -> None:
        self._mistakes = mistakes
        self._lines: dict[str, dict[Any, int]] = {}

    def add(self, line: int, column: str, value: Any) -> None:
        first = self._lines.setdefault(column, {}).setdefault(value, line)
        if first != line:
            self._mistakes.add(line, column, f"stands on line {first} already")


def rows(file: Path, columns: Sequence[Column], mistakes: Mistakes, label: str) -> Iterator[Row]:
    """The file's good rows in order; what is wrong goes to `mistakes`. `label` says what a waiting person waits for."""
    reader = csv.reader(_lines(file, mistakes, label), strict=True)
    by_name = {column.name: column for column in columns}
    try:
        heading = [name.strip() for name in next(reader, [])]
        if not _is_heading(heading, by_name, mistakes):
            return
        ordered = [by_name[name] for name in heading]
        absent = {column.name: column.default for column in columns if column.name not in heading}
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(ordered):
                mistakes.add(reader.line_num, None, f"has {len(cells)} values, not {len(ordered)}")
                continue
            before = mistakes.count
            values = absent | {
                column.name: _value(column, cell, reader.line_num, mistakes)
                for column, cell in zip(ordered, cells, strict=True)
            }
            if mistakes.count == before:
                yield Row(reader.line_num, values)
    except csv.Error:
        mistakes.add(reader.line_num, None, "is not CSV (a quote is not closed, perhaps); the rest was not read")


def imported(
    settings: Settings,
    file: Path,
    read_rows: Callable[[Mistakes, str], Iterator[tuple[int, T]]],
    taken: Callable[[Connection, Sequence[tuple[int, T]], Mistakes], None],
    add: Callable[[Connection, Sequence[T]], None],
    clear: Callable[[Connection], None] | None = None,
) -> int:
    """Check the whole file, then write all of it in one transaction; how many rows that were.

    `taken` reports rows that the database has already, `add` writes; both are given a thousand rows at a time. `clear`
    comes before the first, for a file that replaces what is there.
    """
    mistakes = Mistakes()
    with opened(settings) as store:
        with store.read() as connection:
            for part in _in_parts(read_rows(mistakes, "checking")):
                taken(connection, part, mistakes)
        mistakes.refuse(file)

        def work(connection: Connection) -> int:
            late, count = Mistakes(), 0
            if clear is not None:
                clear(connection)
            for part in _in_parts(read_rows(late, "writing")):
                add(connection, [row for _, row in part])
                count += len(part)
            if late.count:
                raise refused(f"{file} has changed while it was read; nothing was imported")
            return count

        return store.write(work)


def _in_parts(all_rows: Iterable[T]) -> Iterator[list[T]]:
    """A thousand at a time, for the database."""
    iterator = iter(all_rows)
    while part := list(islice(iterator, _ROWS_AT_ONCE)):
        yield part


def _is_heading(heading: Sequence[str], columns: Mapping[str, Column], mistakes: Mistakes) -> bool:
    before = mistakes.count
    for name, column in columns.items():
        if column.is_required and name not in heading:
            mistakes.add(1, name, "this column is missing")
    for position, name in enumerate(heading, 1):
        if name not in columns:
            mistakes.add(1, None, f"column {position} has no name that is known here")
        elif name in heading[: position - 1]:
            mistakes.add(1, name, "stands there twice")
    return mistakes.count == before


def _value(column: Column, cell: str, line: int, mistakes: Mistakes) -> Any:
    text = cell.strip()
    if not text:
        if column.is_required:
            mistakes.add(line, column.name, "is missing")
        return column.default
    if _REPLACEMENT in text:
        mistakes.add(line, column.name, "is not UTF-8")
        return None
    try:
        return column.read(text)
    except ValueError as error:
        mistakes.add(line, column.name, str(error))
        return None


def _lines(file: Path, mistakes: Mistakes, label: str) -> Iterator[str]:
    """The lines of the file, decoded one by one so that what is not UTF-8 has its place."""
    size = file.stat().st_size
    is_watched = size >= _LONG_BYTES and sys.stderr.isatty()
    bar = click.progressbar(length=size, label=label, file=sys.stderr, update_min_steps=64 * 1024)
    with file.open("rb") as content, bar if is_watched else nullcontext() as watched:
        number = 0
        while line := content.readline(_LINE_BYTES_MAX + 1):
            number += 1
            if len(line) > _LINE_BYTES_MAX:
                mistakes.add(number, None, f"is longer than {_LINE_BYTES_MAX} bytes; the rest was not read")
                return
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if watched is not None:
                watched.update(len(line))
            yield line.decode("utf-8", "replace")
