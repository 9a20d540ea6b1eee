"""Closing a dealer's business day: from then on nothing more belongs to it, and what it came to is kept.

Closing itself is one short write: it waits for the events that are being booked and stops no longer than they take.
The sheets of closed days are worked out afterwards from facts that cannot change any more, so a process that is
killed between the two, or two that do it at once, do no harm.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, select, update
from sqlalchemy.exc import IntegrityError

from bankapi.billing.dealers import calendar_day
from bankapi.billing.tables import billing_transactions, cancellations, dealers, payments, postings
from bankapi.reports.financial import (
    Balance,
    DealerAccount,
    Line,
    Moved,
    Standing,
    assert_agree,
    booked_by_day,
    dealer_accounts,
    first_posting_after,
    kept_standing,
    worked_out_lines,
)
from bankapi.reports.tables import closed_days, day_sheet_balances, day_sheet_lines, day_sheets
from bankapi.storage.engine import Store

VERSION: Final = "bankapi-day-sheet-v1"
"""The first line of the text a sheet's digest is over."""
_A_DAY: Final = timedelta(days=1)


class CannotClose(Exception):
    """There is no such dealer, or its day is not over yet by any clock."""


@dataclass(frozen=True, slots=True)
class ClosedDay:
    """One closed day; `digest` is None while its sheet is not worked out."""

    business_on: date
    closed_at: datetime
    digest: bytes | None


def close(store: Store, dealer: str, through_on: date, now: datetime) -> list[date]:
    """Close the dealer's days through this one, and keep their sheets; returns the days that were open until now.

    Today may be closed, too: what comes later today belongs to tomorrow. CannotClose when the day has not begun.
    """
    closed = store.write(lambda connection: _close(connection, dealer, through_on, now))
    keep_sheets(store, dealer)
    return closed


def close_ended(store: Store, now: datetime, after: timedelta) -> int:
    """Close every dealer's days that ended so long ago; returns how many days that were."""
    with store.read() as connection:
        known = connection.execute(select(dealers.c.name, dealers.c.time_zone, dealers.c.closed_through_on)).all()
    count = 0
    for dealer, time_zone, closed_through_on in known:
        ended_on = calendar_day(time_zone, now - after) - _A_DAY
        if closed_through_on is None or closed_through_on < ended_on:
            count += len(close(store, dealer, ended_on, now))
        else:
            keep_sheets(store, dealer)
    return count


def keep_sheets(store: Store, dealer: str) -> None:
    """Work out and keep the sheets of closed days that have none. BooksDisagree when payments and ledger differ."""
    books = _Books(dealer)
    while True:
        with store.read() as connection:
            work = _next_sheet(connection, books)
        if work is None:
            return
        with suppress(IntegrityError):  # somebody else was faster, with the same facts
            store.write(work.write)


def list_closed(connection: Connection, dealer: str, most: int) -> list[ClosedDay]:
    """The dealer's closed days, newest first."""
    query = (
        select(closed_days.c.business_on, closed_days.c.closed_at, day_sheets.c.digest)
        .join_from(closed_days, dealers, dealers.c.id == closed_days.c.dealer_id)
        .outerjoin(
            day_sheets,
            (day_sheets.c.dealer_id == closed_days.c.dealer_id)
            & (day_sheets.c.business_on == closed_days.c.business_on),
        )
        .where(dealers.c.name == dealer)
        .order_by(closed_days.c.business_on.desc())
        .limit(most)
    )
    return [ClosedDay(*row) for row in connection.execute(query)]


def _close(connection: Connection, dealer: str, through_on: date, now: datetime) -> list[date]:
    # Changing the dealer's row waits for every event that holds its day open (storage/append_only.late).
    row = connection.execute(
        select(dealers.c.id, dealers.c.time_zone, dealers.c.closed_through_on)
        .where(dealers.c.name == dealer)
        .with_for_update(key_share=True)
    ).first()
    if row is None:
        raise CannotClose(f"there is no dealer {dealer}")
    if through_on > calendar_day(row.time_zone, now):
        raise CannotClose(f"{through_on} has not begun")
    last_on = row.closed_through_on
    first_on = _first_event_on(connection, row.id, dealer) if last_on is None else last_on + _A_DAY
    days = list(_days(first_on or through_on, through_on))
    if days:
        connection.execute(update(dealers).where(dealers.c.id == row.id).values(closed_through_on=through_on))
        rows = [{"dealer_id": row.id, "business_on": day, "closed_at": now} for day in days]
        connection.execute(closed_days.insert(), rows)
    return days


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A closed day's sheet, worked out."""

    dealer_id: int
    business_on: date
    lines: Sequence[Line]
    standings: Sequence[tuple[DealerAccount, Standing]]

    def write(self, connection: Connection) -> None:
        key: dict[str, Any] = {"dealer_id": self.dealer_id, "business_on": self.business_on}
        connection.execute(day_sheets.insert(), {**key, "digest": hashlib.sha256(self.text()).digest()})
        rows = [
            {
                **line.key._asdict(),
                "dealer_id": self.dealer_id,
                "registered_count": line.registered_count,
                "registered_minor": line.registered_minor,
                "cancelled_count": line.cancelled_count,
                "cancelled_minor": line.cancelled_minor,
                "fees_minor": line.fees_minor,
            }
            for line in self.lines
        ]
        if rows:
            connection.execute(day_sheet_lines.insert(), rows)
        balances = [
            {
                **key,
                "ledger_account_id": account.id,
                "registered_minor": standing.moved.registered_minor,
                "cancelled_minor": standing.moved.cancelled_minor,
                "paid_in_minor": standing.moved.paid_in_minor,
                "corrected_minor": standing.moved.corrected_minor,
                "next_posting_id": standing.next_posting_id,
            }
            for account, standing in self.standings
        ]
        if balances:
            connection.execute(day_sheet_balances.insert(), balances)

    def text(self) -> bytes:
        """Version and day, then lines and balances as they sort, one per line."""
        written = [VERSION, self.business_on.isoformat()]
        for line in self.lines:
            numbers = (line.registered_count, line.registered_minor, line.cancelled_count, line.cancelled_minor)
            written.append(" ".join(map(str, ("line", *line.key[1:], *numbers, line.fees_minor))))
        for account, standing in self.standings:
            written.append(" ".join(map(str, ("balance", account.scheme, account.currency, *standing.moved.parts))))
        return "".join(f"{each}\n" for each in written).encode()


class _Books:
    """What the ledger moved on closed days. It is read once for all days, whose postings lie among each other."""

    def __init__(self, dealer: str) -> None:
        self.dealer = dealer
        self._read: dict[int, tuple[date, dict[date, Moved]]] = {}
        """Ledger account → through which day, and what was booked on each."""

    def moved(
        self, connection: Connection, account: DealerAccount, first_posting_id: int, day: date, last_on: date
    ) -> Moved:
        """What was booked on a closed day, by postings from this one on; `last_on` is the last closed day."""
        through_on, found = self._read.get(account.id, (date.min, {}))
        if through_on < day:
            found = booked_by_day(connection, account, first_posting_id, day, last_on)
            self._read[account.id] = last_on, found
        return found.get(day, Moved())


def _next_sheet(connection: Connection, books: _Books) -> _Sheet | None:
    """The first closed day without a sheet, worked out; None when there is none."""
    row = connection.execute(
        select(closed_days.c.dealer_id, func.min(closed_days.c.business_on), func.max(closed_days.c.business_on))
        .join_from(closed_days, dealers, dealers.c.id == closed_days.c.dealer_id)
        .outerjoin(
            day_sheets,
            (day_sheets.c.dealer_id == closed_days.c.dealer_id)
            & (day_sheets.c.business_on == closed_days.c.business_on),
        )
        .where(dealers.c.name == books.dealer, day_sheets.c.business_on.is_(None))
        .group_by(closed_days.c.dealer_id)
    ).first()
    return None if row is None else _worked_out(connection, *row, books)


def _worked_out(connection: Connection, dealer_id: int, day: date, last_on: date, books: _Books) -> _Sheet:
    lines = worked_out_lines(connection, dealer_id, day, day)
    standings, balances = [], []
    for account in dealer_accounts(connection, books.dealer):
        before = kept_standing(connection, dealer_id, account, day - _A_DAY)
        moved = books.moved(connection, account, before.next_posting_id, day, last_on)
        later = first_posting_after(connection, account, before.next_posting_id, day)
        standings.append((account, Standing(before.moved + moved, later)))
        balances.append(Balance(account, before.moved.balance_minor, moved))
    assert_agree(lines, balances)
    return _Sheet(dealer_id, day, lines, standings)


def _first_event_on(connection: Connection, dealer_id: int, dealer: str) -> date | None:
    """The business day of the dealer's first event."""
    firsts = [
        connection.execute(select(func.min(events.c.business_on)).where(events.c.dealer_id == dealer_id)).scalar()
        for events in (payments, cancellations)
    ]
    for account in dealer_accounts(connection, dealer):
        first = (
            select(func.min(billing_transactions.c.business_on))
            .join_from(postings, billing_transactions)
            .where(postings.c.ledger_account_id == account.id)
        )
        firsts.append(connection.execute(first).scalar())
    return min((day for day in firsts if day is not None), default=None)


def _days(first_on: date, last_on: date) -> Iterator[date]:
    for ordinal in range(first_on.toordinal(), last_on.toordinal() + 1):
        yield date.fromordinal(ordinal)
