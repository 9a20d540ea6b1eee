"""What the owner of a number asked for: no notices, or another language."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from bankapi.billing.tables import subscriptions
from bankapi.notices.tables import notice_preferences

_UPSERT: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def is_known(connection: Connection, msisdn: str) -> bool:
    """Whether it is a subscriber's number."""
    query = select(subscriptions.c.id).where(subscriptions.c.msisdn == msisdn)
    return connection.execute(query).first() is not None


def has_opted_out(connection: Connection, msisdn: str) -> bool:
    """Whether the number wants no notices."""
    query = select(notice_preferences.c.opted_out_at).where(notice_preferences.c.msisdn == msisdn)
    return connection.execute(query).scalar() is not None


def opt_out(connection: Connection, msisdn: str, now: datetime) -> None:
    """No more notices to this number, those in the queue included."""
    _set(connection, msisdn, {"opted_out_at": now})


def opt_in(connection: Connection, msisdn: str) -> None:
    """Notices again, from now on."""
    _set(connection, msisdn, {"opted_out_at": None})


def set_language(connection: Connection, msisdn: str, language: str | None) -> None:
    """Notices of this number in another language than the customer's; None for the customer's."""
    _set(connection, msisdn, {"language": language})


def _set(connection: Connection, msisdn: str, values: dict[str, Any]) -> None:
    statement = _UPSERT[connection.dialect.name](notice_preferences).values(msisdn=msisdn, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["msisdn"], set_=values))
