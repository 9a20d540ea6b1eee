"""Dealers' terminals and the certificates that identify them: one account per ATM."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, bindparam, select, update

from bankapi.billing.tables import certificates, dealers, terminals
from bankapi.storage.rows import insert


class Scheme(StrEnum):
    """How a dealer's payments are booked (design section 5)."""

    CREDIT_ADJUSTMENT = "CREDIT_ADJUSTMENT"
    """The dealer owes us: dealer receivable → customer."""
    DEBIT_ADJUSTMENT = "DEBIT_ADJUSTMENT"
    """The dealer paid ahead: dealer deposit → customer."""


class AccessStatus(StrEnum):
    """Whether a dealer or terminal may use the gateway; read on every request."""

    ACTIVE = "ACTIVE"
    BLOCKED = "BLOCKED"


@dataclass(frozen=True, slots=True)
class Terminal:
    """An admitted terminal with what its dealer's agreement says. Made only by gateway/admission."""

    id: int
    name: str
    dealer_id: int
    dealer_name: str
    scheme: Scheme
    time_zone: str
    language: str | None
    dealer_language: str
    names_unmasked: bool
    overdraft_minor: int


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """A certificate as it is registered: whose it is and when we accept it."""

    fingerprint: bytes
    valid_from: datetime
    valid_until: datetime
    der: bytes
    serial_number: str
    subject_key_identifier: bytes | None
    thumbprint_sha1: bytes


def add_dealer(
    connection: Connection,
    *,
    name: str,
    scheme: Scheme,
    time_zone: str,
    language: str,
    names_unmasked: bool = False,
    overdraft_minor: int = 0,
) -> int:
    """A new active dealer; returns its id."""
    return insert(
        connection,
        dealers.insert(),
        {
            "name": name,
            "scheme": scheme,
            "status": AccessStatus.ACTIVE,
            "time_zone": time_zone,
            "language": language,
            "names_unmasked": names_unmasked,
            "overdraft_minor": overdraft_minor,
        },
    )


def add_terminal(connection: Connection, *, dealer_id: int, name: str, language: str | None = None) -> int:
    """A new active terminal of a dealer; returns its id. It can do nothing until a certificate is registered."""
    row = {"dealer_id": dealer_id, "name": name, "status": AccessStatus.ACTIVE, "language": language}
    return insert(connection, terminals.insert(), row)


def register_certificate(
    connection: Connection, *, dealer_id: int, terminal_id: int | None, certificate: CertificateRecord
) -> None:
    """Accept a certificate as a terminal's, or without a terminal as the dealer's channel certificate."""
    connection.execute(
        certificates.insert(),
        {
            "fingerprint": certificate.fingerprint,
            "dealer_id": dealer_id,
            "terminal_id": terminal_id,
            "valid_from": certificate.valid_from,
            "valid_until": certificate.valid_until,
            "der": certificate.der,
            "serial_number": certificate.serial_number,
            "subject_key_identifier": certificate.subject_key_identifier,
            "thumbprint_sha1": certificate.thumbprint_sha1,
        },
    )


def set_terminal_status(connection: Connection, name: str, status: AccessStatus) -> bool:
    """Block or unblock; False when there is no such terminal. Takes effect with the next request."""
    changed = connection.execute(update(terminals).where(terminals.c.name == name).values(status=status))
    return changed.rowcount == 1


@dataclass(frozen=True, slots=True)
class RegisteredCertificate:
    """Where a fingerprint leads. `terminal_id` is None for a channel certificate."""

    dealer_id: int
    terminal_id: int | None
    valid_from: datetime
    valid_until: datetime
    revoked_at: datetime | None


_CERTIFICATES: Final = select(
    certificates.c.fingerprint,
    certificates.c.dealer_id,
    certificates.c.terminal_id,
    certificates.c.valid_from,
    certificates.c.valid_until,
    certificates.c.revoked_at,
).where(certificates.c.fingerprint.in_(bindparam("fingerprints", expanding=True)))

_TERMINAL: Final = (
    select(
        terminals.c.id,
        terminals.c.name,
        terminals.c.status.label("terminal_status"),
        terminals.c.language,
        dealers.c.id.label("dealer_id"),
        dealers.c.name.label("dealer_name"),
        dealers.c.status.label("dealer_status"),
        dealers.c.scheme,
        dealers.c.time_zone,
        dealers.c.language.label("dealer_language"),
        dealers.c.names_unmasked,
        dealers.c.overdraft_minor,
    )
    .join_from(terminals, dealers)
    .where(terminals.c.id == bindparam("terminal_id"))
)


def find_certificates(connection: Connection, fingerprints: Sequence[bytes]) -> dict[bytes, RegisteredCertificate]:
    """The registered ones among these SHA-256 fingerprints."""
    rows = connection.execute(_CERTIFICATES, {"fingerprints": fingerprints})
    return {bytes(row[0]): RegisteredCertificate(*row[1:]) for row in rows}


def find_terminal(connection: Connection, terminal_id: int) -> tuple[Terminal, AccessStatus, AccessStatus]:
    """A terminal with its own and its dealer's status."""
    row = connection.execute(_TERMINAL, {"terminal_id": terminal_id}).one()
    terminal = Terminal(
        id=row.id,
        name=row.name,
        dealer_id=row.dealer_id,
        dealer_name=row.dealer_name,
        scheme=Scheme(row.scheme),
        time_zone=row.time_zone,
        language=row.language,
        dealer_language=row.dealer_language,
        names_unmasked=row.names_unmasked,
        overdraft_minor=row.overdraft_minor,
    )
    return terminal, AccessStatus(row.terminal_status), AccessStatus(row.dealer_status)


_CERTIFICATE_KEYS: Final = {
    "serial_number": certificates.c.serial_number,
    "subject_key_identifier": certificates.c.subject_key_identifier,
    "thumbprint_sha1": certificates.c.thumbprint_sha1,
}


def signing_certificates(connection: Connection, key: str, value: str | bytes) -> list[bytes]:
    """The DER of every terminal certificate with this serial number, key identifier or thumbprint."""
    named = _CERTIFICATE_KEYS[key] == value
    query = select(certificates.c.der).where(certificates.c.terminal_id.is_not(None), named)
    return [bytes(der) for der in connection.execute(query).scalars()]
