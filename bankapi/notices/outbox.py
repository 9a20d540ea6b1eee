"""The outbox: a notice is queued by the transaction that makes it true, with one INSERT, and sent by somebody else."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, bindparam, case, func, insert, literal, select
from ulid import ULID

from bankapi.billing.money import Money
from bankapi.billing.payers import ServiceStatus
from bankapi.billing.tables import accounts, customers, subscriptions
from bankapi.notices.tables import notice_preferences, notices
from bankapi.settings import Settings
from bankapi.storage.columns import Instant


class Event(StrEnum):
    """What a subscriber is told of."""

    PAYMENT_REGISTERED = "PAYMENT_REGISTERED"
    PAYMENT_CANCELLED = "PAYMENT_CANCELLED"


class Status(StrEnum):
    """How far a notice came."""

    PENDING = "PENDING"
    SENDING = "SENDING"
    SENT = "SENT"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    SUPPRESSED = "SUPPRESSED"


def _given(name: str, type_: Any = None) -> Any:
    return bindparam(name, type_=type_)


_FIELDS: Final[dict[str, Any]] = {
    "id": _given("id", notices.c.id.type),
    "event": _given("event", notices.c.event.type),
    "payment_id": _given("payment_id", notices.c.payment_id.type),
    "msisdn": subscriptions.c.msisdn,
    "language": func.coalesce(notice_preferences.c.language, customers.c.language, _given("language")),
    "amount_minor": _given("amount_minor", notices.c.amount_minor.type),
    "currency": _given("currency", notices.c.currency.type),
    "dealer": _given("dealer", notices.c.dealer.type),
    "created_at": _given("now", Instant()),
    "status": literal(Status.PENDING.value),
    "expires_at": _given("expires_at", Instant()),
    "due_at": _given("now", Instant()),
    "failures": literal(0),
    "uncertain": literal(0),
    "series": literal(1),
}
# To the number that was paid for, else to the account's first. No number, no notice; and none once the service has
# ended, for the number may be somebody else's by then.
_QUEUE: Final = insert(notices).from_select(
    list(_FIELDS),
    select(*_FIELDS.values())
    .join_from(subscriptions, accounts)
    .join(customers)
    .outerjoin(notice_preferences, notice_preferences.c.msisdn == subscriptions.c.msisdn)
    .where(
        subscriptions.c.account_id == bindparam("account_id"),
        accounts.c.service_status != ServiceStatus.TERMINATED.value,
    )
    .order_by(case((subscriptions.c.msisdn == bindparam("payer"), 0), else_=1), subscriptions.c.id)
    .limit(1),
)


@dataclass(frozen=True, slots=True)
class Outbox:
    """Where an installation that sends SMS queues them."""

    language: str
    """For subscribers whose language is not known."""
    expiry: timedelta

    def queue(
        self,
        connection: Connection,
        event: Event,
        *,
        payment_id: str,
        payer: str | None,
        account_id: int,
        amount: Money,
        dealer: str,
        now: datetime,
    ) -> None:
        """Queue a notice in the caller's transaction. `payer` is the identifier that the payment named."""
        row = {
            "id": str(ULID()),
            "event": event,
            "payment_id": payment_id,
            "payer": payer,
            "account_id": account_id,
            "language": self.language,
            "amount_minor": amount.minor,
            "currency": amount.currency,
            "dealer": dealer,
            "now": now,
            "expires_at": now + self.expiry,
        }
        connection.execute(_QUEUE, row)


def of(settings: Settings) -> Outbox | None:
    """The outbox of an installation; None when it sends no SMS."""
    sms = settings.sms
    return Outbox(sms.language, timedelta(hours=sms.expiry_h)) if sms.host else None
