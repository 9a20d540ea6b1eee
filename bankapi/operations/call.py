"""What every operation is given."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from bankapi.billing import dealers
from bankapi.billing.terminals import Terminal
from bankapi.notices.outbox import Outbox


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
    outbox: Outbox | None = None
    """Where subscribers' notices are queued; none when the installation sends no SMS."""
    is_late: Callable[[], bool] = lambda: False
    """Whether payments, the journal or notices are late now, as far as the gateway knows: what Ping asks."""

    @property
    def business_on(self) -> date:
        """The dealer's business day this request falls on."""
        return dealers.business_day(self.terminal, self.now)
