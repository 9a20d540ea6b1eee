"""A terminal's commands: a real signed client over mutual TLS, the first the demo ATM has."""

import time
from datetime import UTC, datetime
from typing import Any, Final

import click
from ulid import ULID

from bankapi.cli.client import AnswerNotTrusted, TerminalClient
from bankapi.cli.documents import Amount, Fields
from bankapi.cli.output import REFUSED, CommandFailed, json_option, show
from bankapi.cli.parameters import Command
from bankapi.operations.cancel_payment import CancelReason
from bankapi.settings import Settings

PAYER_KINDS: Final = {"msisdn": "Msisdn", "account": "AccountNumber", "customer": "CustomerNumber"}


def terminal_options(command: Command) -> Command:
    """Who asks, where and in which language."""
    for option in (
        json_option,
        click.option("--language", help="Language of the answer (BCP 47), e.g. en."),
        click.option("--url", help="The gateway's address; the home's own by default."),
        click.option("--terminal", default="ATM-0001", show_default=True, help="The terminal to sign as."),
    ):
        command = option(command)
    return command


def payer_options(command: Command) -> Command:
    """Who is paid for: exactly one of three."""
    for option in (
        click.option("--customer", help="Customer number."),
        click.option("--account", help="Account number."),
        click.option("--msisdn", help="Phone number, E.164 without the plus."),
    ):
        command = option(command)
    return command


def amount_options(command: Command) -> Command:
    """How much."""
    command = click.option("--currency", default="RUB", show_default=True, help="ISO 4217 code.")(command)
    return click.option("--amount", required=True, help="Major units, e.g. 100.00.")(command)


def key_options(command: Command) -> Command:
    """Which payment: exactly one of two."""
    command = click.option("--payment-id", help="The gateway's payment id.")(command)
    return click.option("--reference", help="The caller's reference.")(command)


def key_field(reference: str | None, payment_id: str | None) -> tuple[str, str]:
    """The `Reference` or `PaymentId` element from the one option that was given."""
    if (reference is None) == (payment_id is None):
        raise click.UsageError("give exactly one of --reference and --payment-id")
    return ("Reference", reference) if reference is not None else ("PaymentId", str(payment_id))


def payer_fields(**given: str | None) -> Fields:
    """The `Payer` element from the one option that was given."""
    chosen = [(PAYER_KINDS[kind], value) for kind, value in given.items() if value is not None]
    if len(chosen) != 1:
        raise click.UsageError("name the payer by exactly one of --msisdn, --account, --customer")
    return [("Payer", chosen)]


@click.command()
@payer_options
@amount_options
@terminal_options
@click.pass_obj
def validate(settings: Settings, /, msisdn: str, account: str, customer: str, **options: Any) -> None:
    """Ask whether a payment would be taken, without making it."""
    payer = payer_fields(msisdn=msisdn, account=account, customer=customer)
    fields = [*payer, ("Amount", Amount(options["amount"], options["currency"]))]
    ask(settings, "ValidatePayment", fields, **options)


@click.command()
@payer_options
@amount_options
@click.option("--reference", help="The caller's reference; a new one when not given.")
@click.option("--card-bin", help="First 6 to 8 digits of the card.")
@terminal_options
@click.pass_obj
def pay(
    settings: Settings,
    /,
    msisdn: str,
    account: str,
    customer: str,
    reference: str | None,
    card_bin: str | None,
    **options: Any,
) -> None:
    """Register a payment. The same --reference again gives the first answer again."""
    fields: list[Any] = [("Reference", reference or f"CLI-{ULID()}")]
    fields += payer_fields(msisdn=msisdn, account=account, customer=customer)
    fields.append(("Amount", Amount(options["amount"], options["currency"])))
    fields.append(("PaidAt", datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")))
    if card_bin:
        fields.append(("CardBin", card_bin))
    ask(settings, "RegisterPayment", fields, **options)


@click.command()
@key_options
@terminal_options
@click.pass_obj
def status(settings: Settings, /, reference: str | None, payment_id: str | None, **options: Any) -> None:
    """Ask what became of a payment."""
    ask(settings, "GetPaymentStatus", [key_field(reference, payment_id)], **options)


@click.command()
@key_options
@amount_options
@click.option(
    "--reason",
    type=click.Choice(list(CancelReason)),
    default=CancelReason.CUSTOMER_REQUEST.value,
    show_default=True,
    help="Why.",
)
@terminal_options
@click.pass_obj
def cancel(settings: Settings, /, reference: str | None, payment_id: str | None, reason: str, **options: Any) -> None:
    """Cancel a payment; the amount is the payment's, as a check. A reference never seen can never be paid then."""
    amount = ("Amount", Amount(options["amount"], options["currency"]))
    ask(settings, "CancelPayment", [key_field(reference, payment_id), amount, ("Reason", str(reason))], **options)


@click.command()
@payer_options
@terminal_options
@click.pass_obj
def balance(settings: Settings, /, msisdn: str, account: str, customer: str, **options: Any) -> None:
    """Ask for a customer's balance sheet."""
    ask(settings, "GetBalance", payer_fields(msisdn=msisdn, account=account, customer=customer), **options)


@click.command()
@payer_options
@terminal_options
@click.pass_obj
def statement(settings: Settings, /, msisdn: str, account: str, customer: str, **options: Any) -> None:
    """Ask for a customer's last ten transactions, newest first."""
    ask(settings, "GetMiniStatement", payer_fields(msisdn=msisdn, account=account, customer=customer), **options)


@click.command()
@click.option("--wait", "wait_s", type=float, default=0, help="Keep trying for so many seconds until it answers.")
@terminal_options
@click.pass_obj
def ping(settings: Settings, /, wait_s: float, **options: Any) -> None:
    """Ask whether the gateway can take payments now."""
    give_up_at = time.monotonic() + wait_s
    while True:
        try:
            ask(settings, "Ping", [], **options)
        except CommandFailed:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.1)
        else:
            return


COMMANDS: Final = (validate, pay, status, cancel, balance, statement, ping)


def ask(
    settings: Settings,
    operation: str,
    fields: Fields,
    *,
    terminal: str,
    as_json: bool,
    url: str | None = None,
    language: str | None = None,
    **_: Any,
) -> None:
    """Make one call, print the answer, and end with 1 when the answer is a "no"."""
    if language:
        fields = [("Language", language), *fields]
    try:
        answer = terminal_client(settings, terminal, url).call(operation, fields)
    except FileNotFoundError as error:
        raise CommandFailed(f"no such terminal here: {terminal} ({error.filename} is missing)") from error
    except (OSError, AnswerNotTrusted) as error:
        raise CommandFailed(str(error)) from error
    show(answer.fields, as_json)
    if answer.is_fault or answer.fields.get("code") != "OK":
        click.get_current_context().exit(REFUSED)


def terminal_client(settings: Settings, terminal: str, url: str | None = None) -> TerminalClient:
    """The client of a terminal whose key is in this home."""
    return TerminalClient(
        url or settings.gateway.url,
        certificate=settings.terminal_file(terminal, "cert.pem"),
        key=settings.terminal_file(terminal, "key.pem"),
        ca=settings.ca_certificate,
        gateway_certificates=settings.signing_certificates,
    )
