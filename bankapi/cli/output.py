"""What commands print and how they end."""

import json
from collections.abc import Mapping
from typing import Any, Final

import click

DONE: Final = 0
REFUSED: Final = 1
FAILURE: Final = 3

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON with the contract's own names.")


class CommandFailed(Exception):
    """Ends a command with a sentence on standard error and an exit code: 1 refused, 3 failure."""

    def __init__(self, sentence: str, exit_code: int = FAILURE) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


def show(fields: Mapping[str, Any], as_json: bool) -> None:
    """Print an answer for a program, or for a person."""
    if as_json:
        click.echo(json.dumps(fields, ensure_ascii=False, indent=2))
        return
    width = max((len(name) for name in fields), default=0)
    for name, value in fields.items():
        click.echo(f"{name:<{width}}  {_line(value, width)}")


def _line(value: Any, indent: int) -> str:
    if isinstance(value, list):
        return f"\n{' ' * (indent + 2)}".join(_line(each, indent) for each in value)
    if isinstance(value, Mapping):
        return " ".join(str(part) for part in value.values())
    return str(value).lower() if isinstance(value, bool) else str(value)
