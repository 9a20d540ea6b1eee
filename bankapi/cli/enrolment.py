"""Certificates in and out: requests answered by the home's CA, certificates registered, withdrawn and revoked.

The database decides on every request; the revocation list makes the TLS layer refuse too, before a message is read.
"""

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection

from bankapi.billing import directory, terminals
from bankapi.billing.directory import CertificateEntry
from bankapi.billing.terminals import CertificateRecord
from bankapi.cli import home
from bankapi.cli.administration import opened, read, require_installation
from bankapi.cli.authority import Authority, Purpose, certificate_pem, subject_name
from bankapi.cli.output import refused
from bankapi.cli.parameters import FINGERPRINT, Command
from bankapi.settings import Settings

_REQUEST_BYTES_MAX: Final = 64 * 1024

FindCertificates = Callable[[Connection], list[CertificateEntry]]


def request_options(command: Command) -> Command:
    """A certificate request in, a certificate out."""
    for option in (
        click.option(
            "--out",
            type=click.Path(dir_okay=False, path_type=Path),
            required=True,
            help="Write the certificate there; a file that exists is not overwritten.",
        ),
        click.option(
            "--csr",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            required=True,
            help="Certificate request (PKCS #10, PEM or DER), e.g. of: openssl req -new.",
        ),
    ):
        command = option(command)
    return command


def revocation_options(command: Command) -> Command:
    """Which certificates: one, or all."""
    for option in (
        click.option("--all", "are_all", is_flag=True, help="Revoke every certificate that is not revoked yet."),
        click.option("--fingerprint", type=FINGERPRINT, help="Revoke this one: SHA-256, hexadecimal, colons allowed."),
    ):
        command = option(command)
    return command


@contextmanager
def answered(
    settings: Settings, csr: Path, out: Path, name: str, dealer: str, now: datetime
) -> Iterator[x509.Certificate]:
    """A certificate for the request's key. The file `out` appears when the block has succeeded."""
    require_installation(settings)
    authority = Authority.load(settings.ca_certificate, settings.ca_key)
    if out.exists():
        raise refused(f"{out} exists already; name another file")
    try:
        certificate = authority.issue_for_request(_request(csr), subject_name(name, dealer), Purpose.TERMINAL, now)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise refused(f"{csr}: {error}") from error
    with home.staged(out, certificate_pem(certificate)):
        yield certificate


def _request(file: Path) -> x509.CertificateSigningRequest:
    with file.open("rb") as opened_file:
        content = opened_file.read(_REQUEST_BYTES_MAX)
    try:
        if b"-----BEGIN" in content:
            return x509.load_pem_x509_csr(content)
        return x509.load_der_x509_csr(content)
    except ValueError as error:
        raise ValueError("not a certificate request (PKCS #10, PEM or DER)") from error


def register(
    connection: Connection, certificate: x509.Certificate, *, dealer_id: int, terminal_id: int | None
) -> CertificateRecord:
    """Accept a certificate; refused when its key was ever registered: one key is one account, for one period."""
    record = home.certificate_record(certificate)
    assert record.subject_key_identifier is not None
    if directory.is_key_registered(connection, record.subject_key_identifier):
        raise refused("a certificate with this key was registered before; make a new key")
    terminals.register_certificate(connection, dealer_id=dealer_id, terminal_id=terminal_id, certificate=record)
    return record


def issued(record: CertificateRecord, out: Path) -> dict[str, Any]:
    """What an enrolment prints."""
    return {
        "certificate": out,
        "fingerprint": record.fingerprint,
        "valid_from": record.valid_from,
        "valid_until": record.valid_until,
    }


def shown(entries: Sequence[CertificateEntry], now: datetime) -> list[dict[str, Any]]:
    """Certificates as `show` and `list` print them."""
    return [
        {
            "fingerprint": entry.fingerprint,
            "state": _state(entry, now),
            "valid_from": entry.valid_from,
            "valid_until": entry.valid_until,
            "revoked_at": entry.revoked_at,
        }
        for entry in entries
    ]


def _state(entry: CertificateEntry, now: datetime) -> str:
    if entry.revoked_at is not None:
        return "REVOKED"
    if entry.valid_until < now:
        return "ENDED"
    return "NOT_YET" if now < entry.valid_from else "VALID"


def revoke(
    settings: Settings, find: FindCertificates, fingerprint: bytes | None, are_all: bool, now: datetime
) -> list[CertificateEntry]:
    """Revoke one certificate of those found, or all, and publish the list. Repeating it publishes the list again."""
    if (fingerprint is None) != are_all:
        raise click.UsageError("give exactly one of --fingerprint and --all")

    def work(connection: Connection) -> list[CertificateEntry]:
        these = [entry for entry in find(connection) if are_all or entry.fingerprint == fingerprint]
        if not these:
            raise refused("there is no such certificate")
        directory.revoke(connection, these, now)
        fingerprints = {entry.fingerprint for entry in these}
        return [entry for entry in find(connection) if entry.fingerprint in fingerprints]

    with opened(settings) as store:
        revoked = store.write(work)
    publish_revocations(settings, now)
    return revoked


def publish_revocations(
    settings: Settings, now: datetime, authorities: Sequence[x509.Certificate] | None = None
) -> None:
    """Write the revocation lists from the database, one of each CA that is trusted, or of `authorities`.

    Serial numbers are random, so every list names all that is revoked. One at a time, so that the last one written
    knows all.
    """
    with settings.ca_key.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        trusted = authorities or x509.load_pem_x509_certificates(settings.ca_certificate.read_bytes())
        signers = [Authority.of(certificate, _ca_keys(settings)) for certificate in trusted]
        revoked = read(settings, directory.revoked_serials)
        lists = [signer.revocation_list(revoked, now).public_bytes(Encoding.PEM) for signer in signers]
        home.write_public(settings.revocation_list, b"".join(lists))


def _ca_keys(settings: Settings) -> list[Path]:
    """The keys of all CAs that are trusted; more than one during a rollover."""
    files = (settings.ca_key, settings.ca_file("next-ca-key.pem"), settings.ca_file("last-ca-key.pem"))
    return [file for file in files if file.exists()]
