"""What every operation is given."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bankapi.billing.terminals import Terminal


@dataclass(frozen=True, slots=True)
class Call:
    """One admitted request: the open transaction, who asks, when, and in which language to answer.

    An operation reads and writes only through `connection`; it never commits.
    """

    connection: Connection
    terminal: Terminal
    now: datetime
    language: str
    exchange_id: str
