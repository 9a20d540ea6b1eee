"""Whose a TLS certificate is, when no message says more: the terminal or the dealer that holds it."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, select

from bankapi.billing.tables import certificates, dealers, terminals
from bankapi.billing.terminals import CERTIFICATE_FIELDS, AccessStatus, RegisteredCertificate


@dataclass(frozen=True, slots=True)
class Holder:
    """A registered certificate with the names and the standing of who holds it."""

    certificate: RegisteredCertificate
    dealer: str
    dealer_status: AccessStatus
    terminal: str | None
    """None for a channel, which belongs to the dealer as a whole."""
    terminal_status: AccessStatus | None


_HOLDER: Final = (
    select(
        *(certificates.c[name] for name in CERTIFICATE_FIELDS),
        dealers.c.name,
        dealers.c.status,
        terminals.c.name,
        terminals.c.status,
    )
    .select_from(certificates)
    .join(dealers, dealers.c.id == certificates.c.dealer_id)
    .outerjoin(terminals, terminals.c.id == certificates.c.terminal_id)
    .where(certificates.c.fingerprint == bindparam("tls_fingerprint"))
)


def find_holder(connection: Connection, tls_fingerprint: bytes) -> Holder | None:
    """Who is registered with the certificate of this SHA-256; None when it is not registered."""
    row = connection.execute(_HOLDER, {"tls_fingerprint": tls_fingerprint}).first()
    if row is None:
        return None
    *certificate, dealer, dealer_status, terminal, terminal_status = row
    return Holder(
        RegisteredCertificate(*certificate),
        dealer,
        AccessStatus(dealer_status),
        terminal,
        terminal_status and AccessStatus(terminal_status),
    )
