"""`bankapi way4`: messages of Way4 for tests and demos, and its end-of-day files."""

import secrets
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import click

from bankapi import clock
from bankapi.cli.administration import require_installation
from bankapi.cli.home import DEMO_CHANNEL, write_public
from bankapi.cli.output import REFUSED, CommandFailed
from bankapi.settings import Settings
from bankapi.way4 import LABEL, door, samples
from bankapi.way4.client import ChannelClient, ReceiptNotTrusted
from bankapi.way4.configuration import Operation

_OPERATIONS: Final = {operation.name.lower(): operation for operation in Operation}
_DEMO_ZONE: Final = ZoneInfo("Europe/Moscow")


@click.group(help=f"The Way4 adapter: UFX, {LABEL}.")
def way4() -> None:
    """Only a group; its help has a label in it."""


@way4.command()
@click.argument("file", type=click.File("rb"))
@click.option("--channel", default=DEMO_CHANNEL, show_default=True, help="Send as this dealer's channel.")
@click.option("--terminal", help="Send as this terminal instead.")
@click.option("--url", help="The address of the adapter, when it is not this home's.")
@click.option("--receipt", type=click.Path(dir_okay=False, path_type=Path), help="Write the signed receipt there.")
@click.pass_obj
def send(
    settings: Settings,
    /,
    file: IO[bytes],
    channel: str,
    terminal: str | None,
    url: str | None,
    receipt: Path | None,
) -> None:
    """Send one UFX message (`-` is standard input) and print the answer.

    Exit code 1 when the answer is a no. The receipt that comes with it is verified.
    """
    require_installation(settings)
    try:
        reply = channel_client(settings, channel=channel, terminal=terminal, url=url).send(file.read())
    except FileNotFoundError as error:
        raise CommandFailed(f"there is no key of {terminal or channel} here ({error.filename} is missing)") from error
    except (OSError, ReceiptNotTrusted) as error:
        raise CommandFailed(str(error)) from error
    if not reply.body:
        raise CommandFailed(f"the gateway answers {reply.status}: is there a way4.ini in its home?")
    click.echo(reply.body.decode())
    if receipt is not None and reply.receipt is not None:
        write_public(receipt, reply.receipt.note.encode())
    if not reply.is_success:
        click.get_current_context().exit(REFUSED)


@way4.command()
@click.argument("operation", type=click.Choice(list(_OPERATIONS)))
@click.option("--rrn", help="12 digits; new ones when not given.")
@click.option("--local-at", type=click.DateTime(), help="The terminal's clock; now in the demo's zone when not given.")
@click.option("--terminal", default="ATM-0001", show_default=True, help="The terminal's contract number.")
@click.option("--msisdn", default="79160000001", show_default=True, help="The subscriber's number.")
@click.option("--amount", default="100.00", show_default=True, help="Major units.")
@click.option("--currency", default="RUB", show_default=True, help="ISO 4217, letters or digits.")
def sample(operation: str, rrn: str | None, local_at: datetime | None, **values: Any) -> None:
    """Print a worked sample of a request, as the demo home's way4.ini understands it."""
    chosen = local_at or clock.utc_now().astimezone(_DEMO_ZONE)
    number = rrn or f"{secrets.randbelow(10**12):012}"
    click.echo(samples.sample(_OPERATIONS[operation], local_at=chosen, rrn=number, **values), nl=False)


def channel_client(
    settings: Settings, *, channel: str = DEMO_CHANNEL, terminal: str | None = None, url: str | None = None
) -> ChannelClient:
    """The client of a channel or terminal whose key is in this home."""
    address = urlsplit(settings.gateway.url)
    certificate, key = (
        settings.channel_file(channel, name) if terminal is None else settings.terminal_file(terminal, name)
        for name in ("cert.pem", "key.pem")
    )
    return ChannelClient(
        url or address._replace(path=door.PATH, query="").geturl(),
        certificate=certificate,
        key=key,
        ca=settings.ca_certificate,
        gateway_certificates=settings.signing_certificates,
    )
