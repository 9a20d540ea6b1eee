"""`bankapi sandbox`: what integrators need to know of a sandbox. It is made by `bankapi init --sandbox`."""

import click

from bankapi.cli.output import json_option, show_all
from bankapi.sandbox import numbers as sandbox_numbers


@click.group()
def sandbox() -> None:
    """The sandbox for integrators: its numbers, and how each of them answers."""


@sandbox.command()
@json_option
def numbers(as_json: bool) -> None:
    """Show the numbers of every sandbox and what happens to whoever pays to them.

    Each is Msisdn, AccountNumber and CustomerNumber alike.
    """
    shown = [
        {"number": line.number, "behaviour": line.behaviour, "what_happens": line.words}
        for line in sandbox_numbers.table()
    ]
    show_all(shown, as_json)


@sandbox.command()
@json_option
def codes(as_json: bool) -> None:
    """Show how to be answered with each result code that depends on what is sent, and not on the number."""
    shown = [{"code": code, "how": words} for code, words in sandbox_numbers.recipes()]
    show_all(shown, as_json)
