"""`bankapi`: commands for staff, integrators and the demo ATM (design section 10).

Exit codes: 0 done, 1 refused, 2 usage, 3 failure.
"""

import os
from collections.abc import Sequence
from typing import Any

import click
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from bankapi import __version__, settings
from bankapi.cli import (
    atm,
    audit,
    channels,
    contract,
    customers,
    database,
    dealers,
    inquiries,
    keys,
    kit,
    languages,
    limits,
    message,
    monitor,
    notices,
    payments,
    rates,
    reconcile,
    reconciliations,
    reports,
    rollover,
    sandbox,
    service,
    terminals,
    way4,
    worker,
)
from bankapi.cli.output import CommandFailed, refused


class Commands(click.Group):
    """The root: every way a command can fail ends in one sentence and its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except IntegrityError as error:
            raise refused("this contradicts what is in the database already; nothing was done") from error
        except OperationalError as error:
            raise CommandFailed(f"the database: {str(error.orig).strip().splitlines()[0]}") from error
        except DBAPIError as error:
            raise CommandFailed(f"the database failed: {type(error).__name__}") from error
        except BrokenPipeError:
            raise
        except OSError as error:
            raise CommandFailed(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
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


for _command in (
    *service.COMMANDS,
    worker.worker,
    monitor.monitor,
    *payments.COMMANDS,
    atm.atm,
    dealers.dealer,
    terminals.terminal,
    channels.channel,
    customers.customer,
    limits.limit,
    rates.rate,
    languages.language,
    languages.card_range,
    keys.key,
    rollover.ca,
    kit.kit,
    *database.COMMANDS,
    inquiries.payment,
    reports.report,
    reports.day,
    notices.notice,
    *reconcile.COMMANDS,
    reconciliations.reconciliation_,
    audit.audit,
    sandbox.sandbox,
    message.message,
    contract.contract,
    way4.way4,
):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> Any:
    """The console script."""
    return cli.main(args=list(arguments) if arguments is not None else None, prog_name="bankapi")


if __name__ == "__main__":
    main()
