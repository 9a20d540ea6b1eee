"""`bankapi channel`: certificates of processing centres that forward for all terminals of a dealer."""

from pathlib import Path

import click
from sqlalchemy import Connection

from bankapi import clock
from bankapi.billing import directory, terminals
from bankapi.billing.directory import CertificateEntry
from bankapi.cli import enrolment
from bankapi.cli.administration import found, read, write
from bankapi.cli.output import json_option, show, show_all
from bankapi.settings import Settings


@click.group()
def channel() -> None:
    """Channel certificates: the TLS of a dealer's processing centre. Each message is still signed by its terminal."""


@channel.command()
@click.argument("dealer")
@enrolment.request_options
@json_option
@click.pass_obj
def enrol(settings: Settings, dealer: str, csr: Path, out: Path, as_json: bool) -> None:
    """Answer a certificate request. A dealer may have several channels, so rotating is enrolling and revoking."""
    dealer_id = read(settings, lambda connection: found(directory.find_dealer(connection, dealer), "dealer", dealer)).id

    with enrolment.answered(settings, csr, out, f"{dealer} channel"[:64], dealer, clock.utc_now()) as certificate:

        def work(connection: Connection) -> terminals.CertificateRecord:
            return enrolment.register(connection, certificate, dealer_id=dealer_id, terminal_id=None)

        record = write(settings, work)
    show({"dealer": dealer, **enrolment.issued(record, out)}, as_json)


@channel.command("list")
@click.option("--dealer", help="Only this dealer's.")
@json_option
@click.pass_obj
def list_(settings: Settings, dealer: str | None, as_json: bool) -> None:
    """List channel certificates, past ones included."""
    entries = read(settings, lambda connection: directory.channel_certificates(connection, dealer))
    shown = enrolment.shown(entries, clock.utc_now())
    show_all([{"dealer": entry.dealer, **fields} for entry, fields in zip(entries, shown, strict=True)], as_json)


@channel.command()
@click.argument("dealer")
@enrolment.revocation_options
@json_option
@click.pass_obj
def revoke(settings: Settings, dealer: str, fingerprint: bytes | None, are_all: bool, as_json: bool) -> None:
    """Refuse channel certificates for ever, at once, as `terminal revoke` does."""
    now = clock.utc_now()

    def find(connection: Connection) -> list[CertificateEntry]:
        return directory.channel_certificates(connection, dealer)

    revoked = enrolment.revoke(settings, find, fingerprint, are_all, now)
    show_all(enrolment.shown(revoked, now), as_json)
