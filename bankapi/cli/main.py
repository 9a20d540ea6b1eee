"""`bankapi`: commands for staff, integrators and the demo ATM (design section 10).

Exit codes: 0 done, 1 refused, 2 usage, 3 failure.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from bankapi import __version__, settings
from bankapi.cli import contract, payments, service
from bankapi.cli.output import REFUSED, CommandFailed


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bankapi")
@click.pass_context
def cli(context: click.Context) -> None:
    """The signed SOAP gateway between payment systems and a telecom operator's billing.

    BANKAPI_HOME (default ./var) is the home: everything an installation owns.
    """
    try:
        context.obj = settings.load(settings.home_from(os.environ))
    except settings.SettingsError as error:
        raise click.UsageError(str(error)) from error


for _command in (*service.COMMANDS, *payments.COMMANDS, contract.contract):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> Any:
    """The console script."""
    try:
        return cli.main(args=list(arguments) if arguments is not None else None, prog_name="bankapi")
    except CommandFailed as failure:
        click.echo(f"bankapi: {failure}", err=True)
        sys.exit(failure.exit_code)
    except BrokenPipeError:
        sys.exit(REFUSED)
