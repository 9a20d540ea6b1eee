"""What was tried in vain: so that what fails once fails once, whichever process is asked."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from bankapi.sandbox.tables import sandbox_tries

_INSERT: Final = {
    dialect: insert(sandbox_tries).on_conflict_do_nothing().returning(sandbox_tries.c.dealer_id)
    for dialect, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_FIND: Final = select(sandbox_tries.c.tried_at).where(
    sandbox_tries.c.dealer_id == bindparam("dealer_id"),
    sandbox_tries.c.operation == bindparam("operation"),
    sandbox_tries.c.reference == bindparam("reference"),
)

Try = tuple[int, str, str]
"""Dealer, operation, and the reference it was called with."""


def is_known(connection: Connection, tried: Try) -> bool:
    """Whether it was tried before."""
    return connection.execute(_FIND, _key(tried)).first() is not None


def record(connection: Connection, tried: Try, now: datetime) -> bool:
    """Remember a try; False when it was tried before (after waiting for whoever is just trying)."""
    row = {**_key(tried), "tried_at": now}
    return connection.execute(_INSERT[connection.dialect.name], row).first() is not None


def _key(tried: Try) -> dict[str, object]:
    return dict(zip(("dealer_id", "operation", "reference"), tried, strict=True))
