"""`bankapi terminal`: ATMs and tills, their certificates and what they may do."""

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import click
from sqlalchemy import Connection

from bankapi import clock
from bankapi.billing import directory, terminals
from bankapi.billing.directory import TerminalEntry
from bankapi.billing.terminals import AccessStatus
from bankapi.cli import enrolment, home
from bankapi.cli.administration import found, read, write
from bankapi.cli.authority import Authority
from bankapi.cli.output import json_option, refused, show, show_all
from bankapi.cli.parameters import LANGUAGE, NAME, Value, given, several
from bankapi.settings import Settings

ALL_OPERATIONS: Final = ("all",)


def _read_operation(text: str) -> str:
    from bankapi.contract.service import BankApi

    operations = sorted(BankApi.public_methods)
    if text not in (*ALL_OPERATIONS, *operations):
        raise ValueError(f"is none of {', '.join(operations)}")
    return text


_OPERATIONS: Final = Value(several(_read_operation), "name,...|all")
_dealer_option = click.option("--dealer", required=True, help="Whose terminal it is.")
_name_argument = click.argument("name", type=NAME)


@click.group()
def terminal() -> None:
    """A dealer's ATMs and tills: certificates in and out, blocking, allowed operations."""


@terminal.command()
@_name_argument
@_dealer_option
@click.option("--language", type=LANGUAGE, help="Its language; the dealer's by default.")
@click.option("--with-key", is_flag=True, help="Make a key and a certificate here. For demos and tests only.")
@json_option
@click.pass_obj
def add(settings: Settings, name: str, dealer: str, language: str | None, with_key: bool, as_json: bool) -> None:
    """Add a terminal. It can do nothing until a certificate is enrolled.

    With --with-key its key is made here, in terminals/NAME of the home. A bank's key never leaves the bank: have it
    send a request, and use `enrol`.
    """

    def work(connection: Connection) -> TerminalEntry:
        dealer_id = found(directory.find_dealer(connection, dealer), "dealer", dealer).id
        _refuse_known(connection, name)
        if with_key:
            authority = Authority.load(settings.ca_certificate, settings.ca_key)
            home.add_terminal_with_key(connection, settings, authority, dealer_id, dealer, name, clock.utc_now())
        else:
            terminals.add_terminal(connection, dealer_id=dealer_id, name=name)
        return _changed(connection, name, {"language": language})

    show(_fields(write(settings, work)), as_json)


@terminal.command()
@_name_argument
@_dealer_option
@enrolment.request_options
@json_option
@click.pass_obj
def enrol(settings: Settings, name: str, dealer: str, csr: Path, out: Path, as_json: bool) -> None:
    """Answer a certificate request: the terminal is added when it is new, and may speak at once.

    Refused while the terminal has a usable certificate: that is for `rotate`.
    """
    now = clock.utc_now()

    with enrolment.answered(settings, csr, out, name, dealer, now) as certificate:

        def work(connection: Connection) -> terminals.CertificateRecord:
            dealer_id = found(directory.find_dealer(connection, dealer), "dealer", dealer).id
            known = directory.find_terminal(connection, name)
            if known is not None and known.dealer != dealer:
                raise refused(f"terminal {name} belongs to another dealer")
            if any(each.is_usable(now) for each in directory.terminal_certificates(connection, name)):
                raise refused(f"terminal {name} has a certificate; replace it with: bankapi terminal rotate")
            terminal_id = known.id if known else terminals.add_terminal(connection, dealer_id=dealer_id, name=name)
            return enrolment.register(connection, certificate, dealer_id=dealer_id, terminal_id=terminal_id)

        record = write(settings, work)
    show({"terminal": name, "dealer": dealer, **enrolment.issued(record, out)}, as_json)


@terminal.command()
@_name_argument
@enrolment.request_options
@click.option(
    "--overlap-days",
    type=click.IntRange(0, 366),
    default=14,
    show_default=True,
    help="For so long the certificates it has now are still accepted.",
)
@json_option
@click.pass_obj
def rotate(settings: Settings, name: str, csr: Path, out: Path, overlap_days: int, as_json: bool) -> None:
    """Give a terminal a new certificate, valid at once; those it has now end after the overlap."""
    now = clock.utc_now()
    until = now + timedelta(days=overlap_days)
    dealer = read(settings, lambda connection: _found(connection, name)).dealer

    with enrolment.answered(settings, csr, out, name, dealer, now) as certificate:

        def work(connection: Connection) -> terminals.CertificateRecord:
            known = _found(connection, name)
            before = directory.terminal_certificates(connection, name)
            if not any(each.is_usable(now) for each in before):
                raise refused(f"terminal {name} has no certificate to replace; use: bankapi terminal enrol")
            directory.end_windows(connection, before, until)
            return enrolment.register(connection, certificate, dealer_id=known.dealer_id, terminal_id=known.id)

        record = write(settings, work)
    show({"terminal": name, "former_valid_until": until, **enrolment.issued(record, out)}, as_json)


@terminal.command()
@_name_argument
@enrolment.revocation_options
@json_option
@click.pass_obj
def revoke(settings: Settings, name: str, fingerprint: bytes | None, are_all: bool, as_json: bool) -> None:
    """Refuse certificates for ever, at once: on open connections, and at the TLS handshake of new ones."""
    now = clock.utc_now()

    def find(connection: Connection) -> list[directory.CertificateEntry]:
        _found(connection, name)
        return directory.terminal_certificates(connection, name)

    revoked = enrolment.revoke(settings, find, fingerprint, are_all, now)
    show_all(enrolment.shown(revoked, now), as_json)


@terminal.command("list")
@click.option("--dealer", help="Only this dealer's.")
@json_option
@click.pass_obj
def list_(settings: Settings, dealer: str | None, as_json: bool) -> None:
    """List terminals."""
    entries = read(settings, lambda connection: directory.list_terminals(connection, dealer))
    show_all([_fields(entry) for entry in entries], as_json)


@terminal.command("show")
@_name_argument
@json_option
@click.pass_obj
def show_(settings: Settings, name: str, as_json: bool) -> None:
    """Show a terminal with its certificates, past ones included."""

    def look(connection: Connection) -> dict[str, Any]:
        certificates = directory.terminal_certificates(connection, name)
        return {
            **_fields(_found(connection, name)),
            "certificates": enrolment.shown(certificates, clock.utc_now()),
        }

    show(read(settings, look), as_json)


@terminal.command("set")
@_name_argument
@click.option("--language", type=LANGUAGE, help="Its language.")
@click.option("--dealer-language", is_flag=True, help="Speak the dealer's language.")
@click.option("--operations", type=_OPERATIONS, help="Operations of the contract that it may call, or all.")
@json_option
@click.pass_obj
def set_(settings: Settings, /, name: str, dealer_language: bool, as_json: bool, **options: Any) -> None:
    """Change a terminal's language or what it may call. It takes effect with the next request."""
    changes = given(options, "language", "operations")
    if dealer_language:
        if "language" in changes:
            raise click.UsageError("give --language or --dealer-language, not both")
        changes["language"] = None
    if ALL_OPERATIONS[0] in changes.get("operations", ()):
        if changes["operations"] != ALL_OPERATIONS:
            raise click.UsageError("give operations or all, not both")
        changes["operations"] = None
    if not changes:
        raise click.UsageError("say what to change")
    show(_fields(write(settings, lambda connection: _changed(connection, name, changes))), as_json)


@terminal.command()
@_name_argument
@json_option
@click.pass_obj
def block(settings: Settings, name: str, as_json: bool) -> None:
    """Refuse everything the terminal sends, from its next request on."""
    _set_status(settings, name, AccessStatus.BLOCKED, as_json)


@terminal.command()
@_name_argument
@json_option
@click.pass_obj
def unblock(settings: Settings, name: str, as_json: bool) -> None:
    """Let a blocked terminal speak again."""
    _set_status(settings, name, AccessStatus.ACTIVE, as_json)


def _set_status(settings: Settings, name: str, status: AccessStatus, as_json: bool) -> None:
    show(_fields(write(settings, lambda connection: _changed(connection, name, {"status": status}))), as_json)


def _changed(connection: Connection, name: str, changes: dict[str, Any]) -> TerminalEntry:
    return found(directory.change_terminal(connection, name, changes), "terminal", name)


def _found(connection: Connection, name: str) -> TerminalEntry:
    return found(directory.find_terminal(connection, name), "terminal", name)


def _refuse_known(connection: Connection, name: str) -> None:
    if directory.find_terminal(connection, name) is not None:
        raise refused(f"terminal {name} exists already")


def _fields(entry: TerminalEntry) -> dict[str, Any]:
    return {
        "terminal": entry.name,
        "dealer": entry.dealer,
        "status": entry.status,
        "language": entry.language,
        "operations": list(entry.operations or ALL_OPERATIONS),
    }
