"""Protection of customers' numbers: who asks for many that do not exist is trying them out."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from bankapi.billing.tables import misses
from bankapi.billing.terminals import Terminal

WINDOW: Final = timedelta(minutes=10)

_COUNT: Final = select(func.count()).where(
    misses.c.terminal_id == bindparam("terminal_id"), misses.c.missed_at > bindparam("since")
)


def too_many_misses(connection: Connection, terminal: Terminal, now: datetime) -> bool:
    """Whether this terminal has asked for so many unknown payers lately that it gets no more answers."""
    missed = connection.execute(_COUNT, {"terminal_id": terminal.id, "since": now - WINDOW}).scalar_one()
    return int(missed) >= terminal.misses_max


def count_miss(connection: Connection, terminal: Terminal, now: datetime) -> None:
    """Remember that an unknown payer was asked for."""
    connection.execute(misses.insert(), {"terminal_id": terminal.id, "missed_at": now})
