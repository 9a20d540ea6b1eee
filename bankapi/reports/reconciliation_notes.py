"""The gateway's signature under a reconciliation: whoever has the note can hold us to the result.

A signed note (`evidence/notes.py`) over four lines: the origin, `reconciliation` and its id, `digest` and the SHA-256
of its text (`reconciliation_text`) in hexadecimal, `signed-at` and the time. The second line tells it from a
checkpoint, whose second line is a number.
"""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from bankapi.evidence import notes, sealing
from bankapi.reports.register_tables import reconciliation_notes, reconciliation_results
from bankapi.storage.engine import Store
from bankapi.wsse.signing import SigningIdentity

_UNSIGNED: Final = (
    select(reconciliation_results.c.reconciliation_id, reconciliation_results.c.digest)
    .outerjoin_from(
        reconciliation_results,
        reconciliation_notes,
        reconciliation_notes.c.reconciliation_id == reconciliation_results.c.reconciliation_id,
    )
    .where(reconciliation_notes.c.reconciliation_id.is_(None))
    .order_by(reconciliation_results.c.reconciliation_id)
)


def has_unsigned(connection: Connection) -> bool:
    """Whether any result waits for its note."""
    return connection.execute(_UNSIGNED.limit(1)).first() is not None


def sign_results(store: Store, origin: str, identity: SigningIdentity, now: datetime) -> int:
    """Sign every result that is not signed; returns how many that were. Any number of processes may do so at once."""
    with store.read() as connection:
        waiting = connection.execute(_UNSIGNED).all()
    if waiting:
        sealing.remember_signer(store, identity, now)
    for reconciliation_id, digest in waiting:
        note = sign(origin, reconciliation_id, digest, identity, now)
        row = {"reconciliation_id": reconciliation_id, "signed_at": now, "note": note}
        with suppress(IntegrityError):  # somebody else was faster; that note is as good
            store.write(lambda connection, row=row: connection.execute(reconciliation_notes.insert(), row) and None)  # type: ignore[misc]
    return len(waiting)


def sign(origin: str, reconciliation_id: str, digest: bytes, identity: SigningIdentity, now: datetime) -> str:
    """The note of one result."""
    signed_at = now.astimezone(UTC)
    lines = (origin, f"reconciliation {reconciliation_id}", f"digest {digest.hex()}", f"signed-at {signed_at:%FT%TZ}")
    return notes.sign("".join(f"{line}\n" for line in lines), origin, identity)


def note_of(connection: Connection, reconciliation_id: str) -> str | None:
    """The note that was given away; None while a result is not signed."""
    query = select(reconciliation_notes.c.note).where(reconciliation_notes.c.reconciliation_id == reconciliation_id)
    note: str | None = connection.execute(query).scalar()
    return note
