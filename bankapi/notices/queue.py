"""The queue of notices: who sends one is decided by a conditional UPDATE, and a claim that is not kept lapses.

Any number of processes may take from it. A sender that dies leaves a claim that lapses; whether its submission was
taken nobody knows, so it is counted as uncertain, and `uncertain_max` bounds how many SMS a notice can become.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, and_, bindparam, func, select, update
from ulid import ULID

from bankapi.billing.money import Money
from bankapi.notices import preferences
from bankapi.notices.outbox import Event, Status
from bankapi.notices.receipts import PartState, Receipt
from bankapi.notices.tables import notice_attempts, notice_parts, notice_receipts, notices


class Verdict(StrEnum):
    """How one attempt ended."""

    ACCEPTED = "ACCEPTED"
    THROTTLED = "THROTTLED"
    REFUSED = "REFUSED"
    REJECTED = "REJECTED"
    UNCERTAIN = "UNCERTAIN"
    RELEASED = "RELEASED"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notice that is ours to send until `until`."""

    id: str
    claim: str
    until: datetime
    event: Event
    payment_id: str
    msisdn: str
    language: str
    amount: Money
    dealer: str
    text: str | None
    series: int
    failures: int
    parts_taken: frozenset[int]
    """Those an SMSC has taken already."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of a claim. `taken` are the parts an SMSC took in it, each with its message id."""

    claimed: Claimed
    verdict: Verdict
    result: str
    smsc: str | None = None
    text: str | None = None
    parts: int | None = None
    taken: Sequence[tuple[int, str]] = ()
    retry_after: timedelta = timedelta()


LAPSED: Final = "SENDER_LOST"
_CANDIDATES: Final = 20
_RECEIPTS: Final = 200
_UNKNOWN_RECEIPT: Final = timedelta(hours=1)
"""A receipt that matches no part by then never will: it is for somebody else's message."""

_earlier: Final = notices.alias("earlier")
# A cancellation is not told before the registration it cancels has been, or is given up.
_IN_TURN: Final = ~(
    select(_earlier.c.id)
    .where(
        _earlier.c.payment_id == notices.c.payment_id,
        _earlier.c.id != notices.c.id,
        _earlier.c.event == Event.PAYMENT_REGISTERED,
        _earlier.c.due_at.is_not(None),
        notices.c.event == Event.PAYMENT_CANCELLED,
    )
    .exists()
)
_DUE: Final = (
    select(notices)
    .where(notices.c.due_at <= bindparam("now", type_=notices.c.due_at.type), _IN_TURN)
    .order_by(notices.c.due_at, notices.c.id)
    .limit(_CANDIDATES)
)
_MATCHES: Final = (
    select(notice_receipts.c.id, notice_receipts.c.state, func.max(notice_parts.c.id).label("part_id"))
    .join_from(
        notice_receipts,
        notice_parts,
        and_(
            notice_parts.c.smsc == notice_receipts.c.smsc,
            notice_parts.c.message_id == notice_receipts.c.message_id,
        ),
    )
    .where(notice_receipts.c.settled_at.is_(None))
    .group_by(notice_receipts.c.id, notice_receipts.c.state)
    .order_by(notice_receipts.c.id)
    .limit(_RECEIPTS)
)


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether there is anything to claim."""
    return connection.execute(_DUE.limit(1), {"now": now}).first() is not None


def claim(connection: Connection, now: datetime, lease: timedelta, uncertain_max: int) -> Claimed | None:
    """Take the notice that is due the longest; those that are not to be sent any more end here."""
    for row in connection.execute(_DUE, {"now": now}).all():
        if row.status == Status.SENDING and not _give_up_claim(connection, row, now):
            continue
        uncertain = row.uncertain + (row.status == Status.SENDING)
        if (end := _end(connection, row, now, uncertain, uncertain_max)) is not None:
            _change(connection, row, status=end[0], result=end[1], due_at=None, claim=None, uncertain=uncertain)
            continue
        own = str(ULID())
        until = now + lease
        if _change(connection, row, status=Status.SENDING, claim=own, due_at=until, uncertain=uncertain):
            return _claimed(connection, row, own, until)
    return None


def _give_up_claim(connection: Connection, row: Any, now: datetime) -> bool:
    """A claim that lapsed: its sender died or was cut off, and what it submitted may have been taken."""
    return _attempted(connection, row.id, now, None, Verdict.UNCERTAIN, LAPSED, if_claim=row.claim)


def _end(
    connection: Connection, row: Any, now: datetime, uncertain: int, uncertain_max: int
) -> tuple[Status, str] | None:
    if uncertain >= uncertain_max:
        return Status.FAILED, Verdict.UNCERTAIN
    if row.expires_at <= now:
        return Status.EXPIRED, "NOT_SENT_IN_TIME"
    if preferences.has_opted_out(connection, row.msisdn):
        return Status.SUPPRESSED, "OPTED_OUT"
    return None


def _change(connection: Connection, seen: Any, **values: Any) -> bool:
    """Change a notice that still is as it was seen."""
    still = (notices.c.id == seen.id, notices.c.status == seen.status, notices.c.due_at == seen.due_at)
    return connection.execute(update(notices).where(*still).values(**values)).rowcount == 1


def _attempted(
    connection: Connection,
    notice_id: str,
    now: datetime,
    smsc: str | None,
    verdict: Verdict,
    result: str,
    *,
    if_claim: str | None,
) -> bool:
    """Add the fact of an attempt; with `if_claim` only while the notice has this claim, held until the end."""
    if if_claim is not None:
        query = select(notices.c.id).where(notices.c.id == notice_id, notices.c.claim == if_claim).with_for_update()
        if connection.execute(query).first() is None:
            return False
    row = {"notice_id": notice_id, "ended_at": now, "smsc": smsc, "verdict": verdict, "result": result}
    connection.execute(notice_attempts.insert(), row)
    return True


def _claimed(connection: Connection, row: Any, claim: str, until: datetime) -> Claimed:
    parts = select(notice_parts.c.part).where(notice_parts.c.notice_id == row.id, notice_parts.c.series == row.series)
    return Claimed(
        id=row.id,
        claim=claim,
        until=until,
        event=Event(row.event),
        payment_id=row.payment_id,
        msisdn=row.msisdn,
        language=row.language,
        amount=Money(row.amount_minor, row.currency),
        dealer=row.dealer,
        text=row.text,
        series=row.series,
        failures=row.failures,
        parts_taken=frozenset(connection.execute(parts).scalars()),
    )


def record(connection: Connection, attempt: Attempt, now: datetime, uncertain_max: int) -> bool:
    """Write down what came of a claim. False when the claim had lapsed: then somebody else may send it again."""
    notice = attempt.claimed
    _attempted(connection, notice.id, now, attempt.smsc, attempt.verdict, attempt.result, if_claim=None)
    for part, message_id in attempt.taken:
        fields = {"notice_id": notice.id, "series": notice.series, "part": part}
        connection.execute(notice_parts.insert(), {**fields, "smsc": attempt.smsc, "message_id": message_id})
    values: dict[str, Any] = {"claim": None, "result": attempt.result}
    if attempt.text is not None:
        values |= {"text": attempt.text, "parts": attempt.parts}
    again = {"status": Status.PENDING, "due_at": now + attempt.retry_after}
    match attempt.verdict:
        case Verdict.ACCEPTED:
            values |= {"status": Status.SENT, "due_at": None}
        case Verdict.REJECTED:
            values |= {"status": Status.FAILED, "due_at": None}
        case Verdict.REFUSED:
            values |= {**again, "failures": notices.c.failures + 1}
        case Verdict.UNCERTAIN:
            values |= {**again, "uncertain": notices.c.uncertain + 1, "failures": notices.c.failures + 1}
        case Verdict.THROTTLED | Verdict.RELEASED:
            values |= again
    ours = (notices.c.id == notice.id, notices.c.claim == notice.claim)
    if connection.execute(update(notices).where(*ours).values(**values)).rowcount != 1:
        return False
    if attempt.verdict is Verdict.UNCERTAIN:
        spent = (notices.c.id == notice.id, notices.c.uncertain >= uncertain_max)
        connection.execute(update(notices).where(*spent).values(status=Status.FAILED, due_at=None))
    _conclude(connection, notice.id)
    return True


def expire(connection: Connection, now: datetime) -> int:
    """End what was not sent in time, while nobody can send anything."""
    late = (notices.c.status == Status.PENDING, notices.c.due_at.is_not(None), notices.c.expires_at <= now)
    ended = {"status": Status.EXPIRED, "due_at": None, "result": "NOT_SENT_IN_TIME"}
    return connection.execute(update(notices).where(*late).values(**ended)).rowcount


def keep_receipt(connection: Connection, smsc: str, receipt: Receipt, now: datetime) -> None:
    """Keep a receipt, so that it may be acknowledged."""
    row = {"smsc": smsc, "message_id": receipt.message_id, "state": receipt.state, "received_at": now}
    connection.execute(notice_receipts.insert(), row)


def receipts_wait(connection: Connection, now: datetime) -> bool:
    """Whether `settle` has anything to do."""
    if connection.execute(_MATCHES.limit(1)).first() is not None:
        return True
    return connection.execute(select(notice_receipts.c.id).where(*_unknown(now)).limit(1)).first() is not None


def settle(connection: Connection, now: datetime) -> int:
    """Match receipts with the parts they are about, and end the notices they complete; returns how many matched."""
    matches = connection.execute(_MATCHES).all()
    for match in matches:
        connection.execute(update(notice_parts).where(notice_parts.c.id == match.part_id).values(state=match.state))
        connection.execute(update(notice_receipts).where(notice_receipts.c.id == match.id).values(settled_at=now))
        notice_id = select(notice_parts.c.notice_id).where(notice_parts.c.id == match.part_id)
        _conclude(connection, connection.execute(notice_id).scalar_one())
    connection.execute(update(notice_receipts).where(*_unknown(now)).values(settled_at=now))
    return len(matches)


def _unknown(now: datetime) -> tuple[Any, ...]:
    return notice_receipts.c.settled_at.is_(None), notice_receipts.c.received_at <= now - _UNKNOWN_RECEIPT


def _conclude(connection: Connection, notice_id: str) -> None:
    """A notice that was sent is DELIVERED when all its parts are, and FAILED when one of them is lost."""
    parts = notice_parts
    query = (
        select(notices.c.parts, parts.c.part, parts.c.state)
        .join_from(notices, parts, and_(parts.c.notice_id == notices.c.id, parts.c.series == notices.c.series))
        .where(notices.c.id == notice_id, notices.c.status == Status.SENT)
    )
    rows = connection.execute(query).all()
    lost = [row.state for row in rows if row.state not in (None, PartState.DELIVERED)]
    delivered = {row.part for row in rows if row.state == PartState.DELIVERED}
    if lost:
        end = {"status": Status.FAILED, "result": lost[0]}
    elif rows and len(delivered) == rows[0].parts:
        end = {"status": Status.DELIVERED, "result": PartState.DELIVERED}
    else:
        return
    sent = (notices.c.id == notice_id, notices.c.status == Status.SENT)
    connection.execute(update(notices).where(*sent).values(**end))


def retry(connection: Connection, now: datetime, expiry: timedelta, notice_id: str | None = None) -> int:
    """Send again, from the start, what FAILED or EXPIRED: one notice or all of them."""
    ended: list[Any] = [notices.c.status.in_((Status.FAILED, Status.EXPIRED))]
    if notice_id is not None:
        ended.append(notices.c.id == notice_id)
    values = {
        "status": Status.PENDING,
        "due_at": now,
        "expires_at": now + expiry,
        "failures": 0,
        "uncertain": 0,
        "series": notices.c.series + 1,
        "text": None,
        "parts": None,
        "result": None,
    }
    return connection.execute(update(notices).where(*ended).values(**values)).rowcount


def list_notices(connection: Connection, *, status: Status | None, since: datetime | None, most: int) -> list[Any]:
    """Notices, newest first, each with the number of its submissions that may have become one SMS more."""
    possible = (
        select(func.count())
        .where(notice_attempts.c.notice_id == notices.c.id, notice_attempts.c.verdict == Verdict.UNCERTAIN)
        .scalar_subquery()
    )
    query = select(notices, possible.label("possible_duplicates")).order_by(notices.c.id.desc()).limit(most)
    if status is not None:
        query = query.where(notices.c.status == status)
    if since is not None:
        query = query.where(notices.c.created_at >= since)
    return list(connection.execute(query).all())


def count(connection: Connection) -> dict[str, int]:
    """How many notices there are in each status, and how many SMS may have been sent once too often."""
    by_status = select(notices.c.status, func.count()).group_by(notices.c.status)
    counted = dict.fromkeys(Status, 0) | {row[0]: int(row[1]) for row in connection.execute(by_status)}
    uncertain = select(func.count()).where(notice_attempts.c.verdict == Verdict.UNCERTAIN)
    return {**counted, "possible_duplicates": int(connection.execute(uncertain).scalar_one())}
