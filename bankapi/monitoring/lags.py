"""How far background work is behind, each by a few index look-ups however many rows there are."""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select

from bankapi.evidence.tables import checkpoints, exchanges, tree_leaves
from bankapi.notices.tables import notices

_NONE: Final = timedelta()


def evidence_lag(connection: Connection, now: datetime) -> timedelta:
    """The age of the oldest exchange that no signed checkpoint covers; zero when all are covered."""
    covered = connection.execute(select(func.max(checkpoints.c.tree_size))).scalar() or 0
    sealed = (
        select(exchanges.c.answered_at)
        .join_from(tree_leaves, exchanges, exchanges.c.id == tree_leaves.c.exchange_row_id)
        .where(tree_leaves.c.leaf_index == covered)
    )
    since = connection.execute(sealed).scalar() or connection.execute(_oldest_unsealed(connection)).scalar()
    return _NONE if since is None else max(_NONE, now - since)


def _oldest_unsealed(connection: Connection) -> Select[Any]:
    return (
        select(exchanges.c.answered_at)
        .where(exchanges.c.id > newest_sealed(connection))
        .order_by(exchanges.c.id)
        .limit(1)
    )


def newest_sealed(connection: Connection) -> int:
    """The row number of the newest sealed exchange; 0 when none is."""
    return connection.execute(select(func.max(tree_leaves.c.exchange_row_id))).scalar() or 0


def notice_lag(connection: Connection, now: datetime) -> timedelta:
    """For how long the notice that is overdue longest should have been taken up; zero when none is overdue."""
    oldest = select(notices.c.due_at).where(notices.c.due_at <= now).order_by(notices.c.due_at).limit(1)
    due_at = connection.execute(oldest).scalar()
    return _NONE if due_at is None else now - due_at
