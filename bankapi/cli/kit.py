"""`bankapi kit`: everything a bank's developer needs for one terminal, as one ZIP file."""

import hashlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click
from cryptography import x509
from sqlalchemy import Connection

from bankapi import clock
from bankapi.billing import directory
from bankapi.billing.directory import CertificateEntry, TerminalEntry
from bankapi.billing.terminals import AccessStatus
from bankapi.cli.administration import found, read
from bankapi.cli.files import appearing
from bankapi.cli.output import json_option, refused, show
from bankapi.cli.parameters import NAME
from bankapi.gateway import keys
from bankapi.kit import archive
from bankapi.kit.contents import TEST_KEY, Contents
from bankapi.sandbox import installation
from bankapi.settings import Settings
from bankapi.wsse.trust import fingerprint


@click.command()
@click.argument("terminal", type=NAME)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file; bankapi-kit-TERMINAL.zip by default."
)
@click.option("--test-key", is_flag=True, help="Put the terminal's private key in, if it was made here for tests.")
@json_option
@click.pass_obj
def kit(settings: Settings, /, terminal: str, output: Path | None, test_key: bool, as_json: bool) -> None:
    """Make the kit of a terminal for a bank's developer: contract, certificates, samples, code tables, clients.

    A terminal may have no certificate yet: the kit then says how to ask for one. A file that exists is not overwritten.
    """
    file = output or Path(f"{archive.folder(terminal)}.zip")
    if file.exists():
        raise refused(f"{file} exists already; name another file")
    contents = read(settings, lambda connection: _contents(settings, connection, terminal, clock.utc_now()))
    if test_key:
        contents = _with_test_key(settings, contents)
    try:
        made = archive.build(contents)
    except ValueError as error:
        raise refused(str(error)) from error
    with appearing(file) as written:
        written.write(made)
    show(
        {
            "kit": file,
            "sha256": hashlib.sha256(made).hexdigest(),
            "terminal": contents.terminal,
            "dealer": contents.dealer,
            "certificates": [fingerprint(each).hex() for each in contents.terminal_certificates],
            "private_key": TEST_KEY if contents.test_key else None,
        },
        as_json,
    )


def _contents(settings: Settings, connection: Connection, name: str, now: datetime) -> Contents:
    terminal = found(directory.find_terminal(connection, name), "terminal", name)
    _refuse_silenced(connection, terminal)
    entries = directory.terminal_certificates(connection, name)
    accepted = [each for each in entries if each.is_usable(now)]
    if entries and not accepted:
        raise refused(
            f"every certificate of terminal {name} has ended or is revoked; give it one with: bankapi terminal enrol"
        )
    return Contents(
        terminal=name,
        dealer=terminal.dealer,
        url=settings.gateway.url,
        authorities=x509.load_pem_x509_certificates(settings.ca_certificate.read_bytes()),
        terminal_certificates=[_certificate(connection, each) for each in reversed(accepted)],
        signing={f"gateway-{file.name}": keys.load_certificate(file) for file in settings.signing_certificates},
        is_sandbox=installation.is_sandbox(settings),
    )


def _refuse_silenced(connection: Connection, terminal: TerminalEntry) -> None:
    """No kit for somebody whom the gateway would not answer."""
    if terminal.status is not AccessStatus.ACTIVE:
        raise refused(f"terminal {terminal.name} is blocked; let it speak first: bankapi terminal unblock")
    dealer = found(directory.find_dealer(connection, terminal.dealer), "dealer", terminal.dealer)
    if dealer.status is not AccessStatus.ACTIVE:
        raise refused(f"dealer {dealer.name} is blocked; let it speak first: bankapi dealer unblock")


def _certificate(connection: Connection, entry: CertificateEntry) -> x509.Certificate:
    return x509.load_der_x509_certificate(directory.certificate_der(connection, entry))


def _with_test_key(settings: Settings, contents: Contents) -> Contents:
    """The contents with the key that this home made itself, and the certificate it belongs to as the one to use."""
    file = settings.terminal_file(contents.terminal, "key.pem")
    if not file.exists():
        raise refused(
            f"the key of terminal {contents.terminal} was not made here, and a bank's key never leaves the bank; "
            "leave --test-key out"
        )
    own = keys.load_identity(settings.terminal_file(contents.terminal, "cert.pem"), file).certificate
    if own not in contents.terminal_certificates:
        raise refused(f"the key that was made here for terminal {contents.terminal} is not in use any more")
    others = [each for each in contents.terminal_certificates if each != own]
    return replace(contents, terminal_certificates=[own, *others], test_key=file.read_bytes())
