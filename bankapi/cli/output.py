"""What commands print and how they end: exit code 0 done, 1 refused, 2 usage, 3 failure."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import IO, Any, Final

import click

from bankapi.billing.money import Money

DONE: Final = 0
REFUSED: Final = 1
FAILURE: Final = 3
_GAP: Final = "  "

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON with the contract's own names.")


class CommandFailed(click.ClickException):
    """Ends a command with a sentence on standard error and an exit code: 1 refused, 3 failure."""

    def __init__(self, sentence: str, exit_code: int = FAILURE) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"bankapi: {self.message}", file=file, err=file is None)


def refused(sentence: str) -> CommandFailed:
    """Raise it: what was asked is understood, and not done."""
    return CommandFailed(sentence, REFUSED)


def show(fields: Mapping[str, Any], as_json: bool) -> None:
    """Print one thing, for a program or for a person. A field that is a list of things becomes a table of its own."""
    plain = _plain(fields)
    if as_json:
        click.echo(json.dumps(plain, ensure_ascii=False, indent=2))
        return
    tables = {name: value for name, value in plain.items() if _is_table(value)}
    width = max((len(name) for name in plain if name not in tables), default=0)
    for name, value in plain.items():
        if name not in tables:
            click.echo(f"{name:<{width}}{_GAP}{_line(value, width)}")
    for name, rows in tables.items():
        click.echo(f"\n{name}")
        _print_table(rows)


def show_all(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print a list of things with the same fields: a JSON array, or a table with a heading."""
    plain = [_plain(row) for row in rows]
    if as_json:
        click.echo(json.dumps(plain, ensure_ascii=False, indent=2))
    else:
        _print_table(plain)


def _print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    lines = [list(rows[0])] + [[_line(value, 0) for value in row.values()] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo(_GAP.join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def _plain(value: Any) -> Any:
    """What JSON has a word for; amounts and instants as the contract writes them."""
    match value:
        case Money():
            return {"amount": str(value.to_decimal()), "currency": value.currency}
        case Mapping():
            return {name: _plain(part) for name, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case bytes():
            return value.hex()
        case bool() | int() | None:
            return value
        case Decimal():
            return f"{value:f}"
        case _:
            return str(value)


def _is_table(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, Mapping) and "currency" not in each for each in value)
    )


def _line(value: Any, indent: int) -> str:
    """One value as a person reads it; a list goes on below itself, or in one line where there is no indent."""
    match value:
        case None | []:
            return "-"
        case bool():
            return str(value).lower()
        case list():
            between = f"\n{' ' * (indent + len(_GAP))}" if indent else ", "
            return between.join(_line(each, indent) for each in value)
        case Mapping():
            return " ".join(str(part) for part in value.values())
        case _:
            return str(value)
