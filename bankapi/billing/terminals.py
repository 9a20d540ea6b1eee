"""Dealers' terminals and the certificates that identify them: one account per ATM."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, LargeBinary, bindparam, select, update

from bankapi.billing.tables import certificates, dealers, terminals
from bankapi.storage.rows import insert

MISSES_MAX: Final = 30
"""Unknown payers a terminal may ask for in ten minutes, unless its dealer's agreement says otherwise."""


class Scheme(StrEnum):
    """How a dealer's payments are booked (design section 5)."""

    CREDIT_ADJUSTMENT = "CREDIT_ADJUSTMENT"
    """The dealer owes us: dealer receivable → customer."""
    DEBIT_ADJUSTMENT = "DEBIT_ADJUSTMENT"
    """The dealer paid ahead: dealer deposit → customer."""


class CancelRule(StrEnum):
    """Until when a dealer may cancel its payments."""

    ALWAYS = "ALWAYS"
    NEVER = "NEVER"
    SAME_BUSINESS_DAY = "SAME_BUSINESS_DAY"
    """On the payment's own business day."""
    MINUTES = "MINUTES"
    """For so many minutes after registration."""


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
    currencies: frozenset[str]
    cancel_rule: CancelRule
    cancel_minutes: int
    misses_max: int
    operations: frozenset[str] | None
    """The operations it may call; None means all."""
    closed_through_on: date | None
    """The dealer's last closed business day."""

    def may_call(self, operation: str) -> bool:
        """Whether this terminal is allowed an operation of the contract."""
        return self.operations is None or operation in self.operations


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
    currencies: Sequence[str],
    names_unmasked: bool = False,
    overdraft_minor: int = 0,
    cancel_rule: CancelRule = CancelRule.SAME_BUSINESS_DAY,
    cancel_minutes: int = 0,
    misses_max: int = MISSES_MAX,
) -> int:
    """A new active dealer; returns its id."""
    row = {
        "name": name,
        "scheme": scheme,
        "status": AccessStatus.ACTIVE,
        "time_zone": time_zone,
        "language": language,
        "currencies": ",".join(currencies),
        "names_unmasked": names_unmasked,
        "overdraft_minor": overdraft_minor,
        "cancel_rule": cancel_rule,
        "cancel_minutes": cancel_minutes,
        "misses_max": misses_max,
    }
    return insert(connection, dealers.insert(), row)


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


@dataclass(frozen=True, slots=True)
class Account:
    """What is registered about a pair of certificates: whose they are, and whether those may use the gateway."""

    sender: RegisteredCertificate | None
    """The TLS certificate; None when it is not registered."""
    signer: RegisteredCertificate | None
    terminal: Terminal | None
    """The signer's terminal; None when its certificate is no terminal's."""
    terminal_status: AccessStatus | None
    dealer_status: AccessStatus | None


CERTIFICATE_FIELDS: Final = ("dealer_id", "terminal_id", "valid_from", "valid_until", "revoked_at")
"""The columns a RegisteredCertificate is read from, in its order."""
_sender = certificates.alias("sender")
_signer = certificates.alias("signer")
_asked = select(
    bindparam("tls_fingerprint", type_=LargeBinary).label("tls"),
    bindparam("signing_fingerprint", type_=LargeBinary).label("signing"),
).subquery("asked")
_TERMINAL: Final = (
    terminals.c.id,
    terminals.c.name,
    dealers.c.id,
    dealers.c.name,
    dealers.c.scheme,
    dealers.c.time_zone,
    terminals.c.language,
    dealers.c.language,
    dealers.c.names_unmasked,
    dealers.c.overdraft_minor,
    dealers.c.currencies,
    dealers.c.cancel_rule,
    dealers.c.cancel_minutes,
    dealers.c.misses_max,
    terminals.c.operations,
    dealers.c.closed_through_on,
)
_ACCOUNT: Final = (
    select(
        *(_sender.c[name] for name in CERTIFICATE_FIELDS),
        *(_signer.c[name] for name in CERTIFICATE_FIELDS),
        *_TERMINAL,
        terminals.c.status,
        dealers.c.status,
    )
    .select_from(_asked)
    .outerjoin(_sender, _sender.c.fingerprint == _asked.c.tls)
    .outerjoin(_signer, _signer.c.fingerprint == _asked.c.signing)
    .outerjoin(terminals, terminals.c.id == _signer.c.terminal_id)
    .outerjoin(dealers, dealers.c.id == terminals.c.dealer_id)
)
_named = select(
    bindparam("tls_fingerprint", type_=LargeBinary).label("tls"), bindparam("terminal").label("terminal")
).subquery("named")
_FORWARDED: Final = (
    select(*(_sender.c[name] for name in CERTIFICATE_FIELDS), *_TERMINAL, terminals.c.status, dealers.c.status)
    .select_from(_named)
    .outerjoin(_sender, _sender.c.fingerprint == _named.c.tls)
    .outerjoin(terminals, (terminals.c.name == _named.c.terminal) & (terminals.c.dealer_id == _sender.c.dealer_id))
    .outerjoin(dealers, dealers.c.id == terminals.c.dealer_id)
)
_TERMINAL_FIELDS: Final = tuple(field.name for field in fields(Terminal))
_SIGNER_AT: Final = len(CERTIFICATE_FIELDS)
_TERMINAL_AT: Final = 2 * len(CERTIFICATE_FIELDS)
_STATUS_AT: Final = _TERMINAL_AT + len(_TERMINAL)


def find_account(connection: Connection, tls_fingerprint: bytes, signing_fingerprint: bytes) -> Account:
    """Everything admission asks, in one query: it runs on every request."""
    asked = {"tls_fingerprint": tls_fingerprint, "signing_fingerprint": signing_fingerprint}
    return _account(tuple(connection.execute(_ACCOUNT, asked).one()))


def find_forwarded(connection: Connection, tls_fingerprint: bytes, terminal: str) -> Account:
    """The same for a message without a signature, which names its terminal: one of the sender's own dealer."""
    asked = {"tls_fingerprint": tls_fingerprint, "terminal": terminal}
    row = tuple(connection.execute(_FORWARDED, asked).one())
    return _account((*row[:_SIGNER_AT], *(None for _ in CERTIFICATE_FIELDS), *row[_SIGNER_AT:]))


def _account(row: tuple[Any, ...]) -> Account:
    terminal_status, dealer_status = row[_STATUS_AT:]
    return Account(
        sender=_registered(row[:_SIGNER_AT]),
        signer=_registered(row[_SIGNER_AT:_TERMINAL_AT]),
        terminal=_terminal(row[_TERMINAL_AT:_STATUS_AT]),
        terminal_status=terminal_status and AccessStatus(terminal_status),
        dealer_status=dealer_status and AccessStatus(dealer_status),
    )


def find_terminal(connection: Connection, name: str) -> Terminal | None:
    """A terminal by its name."""
    query = select(*_TERMINAL).join_from(terminals, dealers).where(terminals.c.name == name)
    row = connection.execute(query).first()
    return None if row is None else _terminal(tuple(row))


def _registered(row: tuple[Any, ...]) -> RegisteredCertificate | None:
    return None if row[0] is None else RegisteredCertificate(*row)


def _terminal(row: tuple[Any, ...]) -> Terminal | None:
    if row[0] is None:
        return None
    known = dict(zip(_TERMINAL_FIELDS, row, strict=True))
    operations = known["operations"]
    return Terminal(
        **known
        | {
            "scheme": Scheme(known["scheme"]),
            "cancel_rule": CancelRule(known["cancel_rule"]),
            "currencies": frozenset(known["currencies"].split(",")),
            "operations": None if operations is None else frozenset(operations.split(",")),
        }
    )


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
