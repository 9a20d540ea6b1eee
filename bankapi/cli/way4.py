"""`bankapi way4`: messages of Way4 for tests and demos, and its end-of-day files."""

import secrets
import tempfile
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import click

from bankapi import clock
from bankapi.billing import directory
from bankapi.cli import reconcile
from bankapi.cli.administration import found, opened, read, require_installation
from bankapi.cli.files import appearing
from bankapi.cli.home import DEMO_CHANNEL, write_public
from bankapi.cli.output import REFUSED, CommandFailed, json_option, refused, show
from bankapi.cli.parameters import DAY
from bankapi.reports import expected, register_files
from bankapi.reports.register_files import Form
from bankapi.reports.registers import REFERENCE
from bankapi.settings import Settings, SettingsError
from bankapi.way4 import LABEL, configuration, door, files, samples
from bankapi.way4.client import ChannelClient, ReceiptNotTrusted
from bankapi.way4.configuration import Operation
from bankapi.way4.files import DocFileError, Header, Records
from bankapi.way4.message import Conformity

_OPERATIONS: Final = {operation.name.lower(): operation for operation in Operation}


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
    chosen = local_at or clock.utc_now().astimezone(samples.DEMO_ZONE)
    number = rrn or f"{secrets.randbelow(10**12):012}"
    click.echo(samples.sample(_OPERATIONS[operation], local_at=chosen, rrn=number, **values), nl=False)


@way4.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dealer", required=True, help="Whose payments are in it.")
@click.option("--on", "day", type=DAY, required=True, help="The business day, e.g. 2026-11-23.")
@click.option("--reference", help="The register's name.  [default: sender, day and number of the file]")
@json_option
@click.pass_context
def import_(
    context: click.Context, file: Path, dealer: str, day: datetime, reference: str | None, as_json: bool
) -> None:
    """Reconcile an end-of-day file (DocFile): count and hash total are checked, then it is a register of the day.

    Exit code 0 when everything matches, 1 when there are differences or the file is refused, as bankapi reconcile.
    """
    settings: Settings = context.obj
    records = _records(settings, dealer)
    with file.open("rb") as content, tempfile.NamedTemporaryFile(suffix=".xml") as register:
        try:
            header = files.check(content, records).header
            name = reference or f"{header.sender}/{header.created_at:%Y-%m-%d}/{header.number}"
            if not REFERENCE.fullmatch(name):
                raise click.UsageError("the file's sender makes no name of a register; give one with --reference")
            register_files.write(register, Form.XML, name, day.date(), files.rows(content, records))  # type: ignore[arg-type]
        except DocFileError as error:
            raise refused(f"{file}: {error}; nothing was kept") from error
        register.flush()
        compared = Path(register.name)
        context.invoke(
            reconcile.reconcile, file=compared, dealer=dealer, day=day, reference=name, limit=100, as_json=as_json
        )


@way4.command()
@click.option("--dealer", required=True, help="Whose payments.")
@click.option("--on", "day", type=DAY, required=True, help="The business day, e.g. 2026-11-23.")
@click.option("--receiver", help="Who the file is for.  [default: the dealer]")
@click.option("--sender", default="BANKAPI", show_default=True, help="Who made it.")
@click.option("--number", type=click.IntRange(1, 999_999), default=1, show_default=True, help="FileSeqNumber.")
@click.option("--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file to write.")
@json_option
@click.pass_obj
def export(
    settings: Settings,
    /,
    dealer: str,
    day: datetime,
    receiver: str | None,
    sender: str,
    number: int,
    output: Path,
    as_json: bool,
) -> None:
    """Write our side of a business day as an end-of-day file. Imported again, it matches."""
    records = _records(settings, dealer)
    created_at = clock.utc_now().astimezone(records.zone).replace(tzinfo=None, microsecond=0)
    header = Header(sender=sender, receiver=receiver or dealer, number=number, created_at=created_at)
    with opened(settings) as store, store.read() as connection:
        entry = found(directory.find_dealer(connection, dealer), "dealer", dealer)
        payments = expected.our_register(connection, entry.id, day.date())
        try:
            with appearing(output) as file:
                totals = files.write(file, header, payments, records)
        except DocFileError as error:
            raise refused(str(error)) from error
    show({"records": totals.row_count, "hash_total": totals.hash_total, "file": str(output)}, as_json)


def _records(settings: Settings, dealer: str) -> Records:
    """By what the records of a dealer's files are read."""
    entry = read(settings, lambda connection: found(directory.find_dealer(connection, dealer), "dealer", dealer))
    try:
        by = configuration.load(settings.way4_configuration)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    if by is None:
        raise CommandFailed(f"there is no {settings.way4_configuration}")
    return Records(by, Conformity(), ZoneInfo(entry.time_zone))


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
