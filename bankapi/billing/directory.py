"""Dealers, terminals and certificates as the operator's staff see and change them.

Admission asks `terminals` instead, which answers everything about one request in one query.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, select, update

from bankapi.billing.tables import certificates, dealers, terminals
from bankapi.billing.terminals import AccessStatus, CancelRule, Scheme


@dataclass(frozen=True, slots=True)
class DealerEntry:
    """A dealer and what its agreement says."""

    id: int
    name: str
    scheme: Scheme
    status: AccessStatus
    time_zone: str
    language: str
    currencies: tuple[str, ...]
    names_unmasked: bool
    overdraft_minor: int
    cancel_rule: CancelRule
    cancel_minutes: int
    misses_max: int
    closed_through_on: date | None
    """The last closed business day."""


@dataclass(frozen=True, slots=True)
class TerminalEntry:
    """A terminal; `operations` is None when it may call all."""

    id: int
    name: str
    dealer_id: int
    dealer: str
    status: AccessStatus
    language: str | None
    operations: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class CertificateEntry:
    """A registered certificate; `terminal` is None for a channel certificate."""

    id: int
    fingerprint: bytes
    dealer: str
    terminal: str | None
    valid_from: datetime
    valid_until: datetime
    revoked_at: datetime | None

    def is_usable(self, now: datetime) -> bool:
        """Whether admission accepts it, now or later."""
        return self.valid_until >= now and self.revoked_at is None


_TERMINALS: Final = select(
    terminals.c.id,
    terminals.c.name,
    terminals.c.dealer_id,
    dealers.c.name.label("dealer"),
    terminals.c.status,
    terminals.c.language,
    terminals.c.operations,
).join_from(terminals, dealers)
_CERTIFICATES: Final = (
    select(
        certificates.c.id,
        certificates.c.fingerprint,
        dealers.c.name.label("dealer"),
        terminals.c.name.label("terminal"),
        certificates.c.valid_from,
        certificates.c.valid_until,
        certificates.c.revoked_at,
    )
    .join_from(certificates, dealers)
    .outerjoin(terminals, terminals.c.id == certificates.c.terminal_id)
    .order_by(dealers.c.name, terminals.c.name, certificates.c.id)
)


def list_dealers(connection: Connection) -> list[DealerEntry]:
    """All dealers, by name."""
    return [_dealer(row) for row in connection.execute(select(dealers).order_by(dealers.c.name))]


def find_dealer(connection: Connection, name: str) -> DealerEntry | None:
    """A dealer by its name."""
    row = connection.execute(select(dealers).where(dealers.c.name == name)).first()
    return None if row is None else _dealer(row)


def change_dealer(connection: Connection, name: str, changes: Mapping[str, Any]) -> DealerEntry | None:
    """Change a dealer's status or agreement, by the names of `DealerEntry`; None when there is no such dealer."""
    values = dict(changes)
    if "currencies" in values:
        values["currencies"] = ",".join(values["currencies"])
    connection.execute(update(dealers).where(dealers.c.name == name).values(values))
    return find_dealer(connection, name)


def list_terminals(connection: Connection, dealer: str | None = None) -> list[TerminalEntry]:
    """All terminals, or one dealer's, by name."""
    query = _TERMINALS.order_by(terminals.c.name)
    if dealer is not None:
        query = query.where(dealers.c.name == dealer)
    return [_terminal(row) for row in connection.execute(query)]


def find_terminal(connection: Connection, name: str) -> TerminalEntry | None:
    """A terminal by its name."""
    row = connection.execute(_TERMINALS.where(terminals.c.name == name)).first()
    return None if row is None else _terminal(row)


def change_terminal(connection: Connection, name: str, changes: Mapping[str, Any]) -> TerminalEntry | None:
    """Change a terminal, by the names of `TerminalEntry`; None when there is no such terminal."""
    values = dict(changes)
    if values.get("operations") is not None:
        values["operations"] = ",".join(values["operations"])
    connection.execute(update(terminals).where(terminals.c.name == name).values(values))
    return find_terminal(connection, name)


def terminal_certificates(connection: Connection, terminal: str) -> list[CertificateEntry]:
    """A terminal's certificates, past ones included, in the order of their registration."""
    return _certificates(connection, terminals.c.name == terminal)


def certificate_der(connection: Connection, entry: CertificateEntry) -> bytes:
    """A registered certificate itself (DER)."""
    return bytes(connection.execute(select(certificates.c.der).where(certificates.c.id == entry.id)).scalar_one())


def channel_certificates(connection: Connection, dealer: str | None = None) -> list[CertificateEntry]:
    """All channel certificates, or one dealer's."""
    of_dealer = () if dealer is None else (dealers.c.name == dealer,)
    return _certificates(connection, certificates.c.terminal_id.is_(None), *of_dealer)


def is_key_registered(connection: Connection, subject_key_identifier: bytes) -> bool:
    """Whether any certificate, past ones included, is about this key."""
    named = certificates.c.subject_key_identifier == subject_key_identifier
    return connection.execute(select(func.count()).where(named)).scalar_one() > 0


def end_windows(connection: Connection, ended: Sequence[CertificateEntry], valid_until: datetime) -> None:
    """Accept these certificates until then only; those that end earlier keep their end."""
    later = certificates.c.id.in_([each.id for each in ended]) & (certificates.c.valid_until > valid_until)
    connection.execute(update(certificates).where(later).values(valid_until=valid_until))


def revoke(connection: Connection, revoked: Sequence[CertificateEntry], now: datetime) -> None:
    """Refuse these certificates from now on. One that is revoked already keeps its time."""
    these = certificates.c.id.in_([each.id for each in revoked]) & certificates.c.revoked_at.is_(None)
    connection.execute(update(certificates).where(these).values(revoked_at=now))


def revoked_serials(connection: Connection) -> list[tuple[int, datetime]]:
    """Serial number and time of every revocation, for the revocation list."""
    query = (
        select(certificates.c.serial_number, certificates.c.revoked_at)
        .where(certificates.c.revoked_at.is_not(None))
        .order_by(certificates.c.id)
    )
    return [(int(serial_number), revoked_at) for serial_number, revoked_at in connection.execute(query)]


def certificates_in_use(connection: Connection, now: datetime) -> list[bytes]:
    """Every registered certificate (DER) that is accepted now or will be."""
    query = select(certificates.c.der).where(certificates.c.revoked_at.is_(None), certificates.c.valid_until >= now)
    return [bytes(der) for der in connection.execute(query.order_by(certificates.c.id)).scalars()]


def _certificates(connection: Connection, *conditions: ColumnElement[bool]) -> list[CertificateEntry]:
    return [CertificateEntry(*row) for row in connection.execute(_CERTIFICATES.where(*conditions))]


def _dealer(row: Any) -> DealerEntry:
    columns = dict(row._mapping)
    return DealerEntry(
        **columns
        | {
            "scheme": Scheme(row.scheme),
            "status": AccessStatus(row.status),
            "currencies": tuple(row.currencies.split(",")),
            "cancel_rule": CancelRule(row.cancel_rule),
        }
    )


def _terminal(row: Any) -> TerminalEntry:
    operations = None if row.operations is None else tuple(row.operations.split(","))
    return TerminalEntry(**dict(row._mapping) | {"status": AccessStatus(row.status), "operations": operations})
