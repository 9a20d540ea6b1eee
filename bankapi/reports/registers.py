"""Registers: a dealer's own list of a business day, received in parts and kept as it came.

A row is one payment reference with its state at the end of that day. How many rows there are and what their amounts
add up to comes with every part, so that a register that lost something on the way is never taken for the truth: it is
kept as rejected, and a corrected one comes under a new reference.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, Select, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from ulid import ULID

from bankapi.billing.money import Money
from bankapi.billing.tables import dealers
from bankapi.reports.register_tables import complete_registers, register_parts, register_rows, registers
from bankapi.storage.rows import stream

VERSION: Final = "bankapi-register-v1"
"""The first line of the text a register's digest is over."""
PART_ROWS_MAX: Final = 900
"""Rows of one part: a signed message of 256 KiB and 5000 elements holds so many."""
PARTS_MAX: Final = 10_000
HASH_TOTAL_MAX: Final = 10**18 - 1
_DECIMALS_MAX: Final = 4
REFERENCE: Final = re.compile(r"[A-Za-z0-9._:/-]{1,64}")
"""What a dealer may call a register or a payment (`Reference` in the contract)."""


class RowStatus(StrEnum):
    """What a dealer says of a payment at the end of the day."""

    REGISTERED = "REGISTERED"
    """It stands."""
    CANCELLED = "CANCELLED"
    """Nothing of it stands."""


class RegisterRow(NamedTuple):
    """One payment reference, as the dealer has it."""

    reference: str
    status: RowStatus
    amount: Money
    occurred_at: datetime | None = None
    terminal: str | None = None
    payment_id: str | None = None


class Totals(NamedTuple):
    """How many rows, and the sum of their amounts in major units over all currencies: a checksum, not money."""

    row_count: int
    hash_total: Decimal


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the dealer says of a register, the same with every part. ValueError when no register can be so."""

    reference: str
    business_on: date
    parts: int
    totals: Totals

    def __post_init__(self) -> None:
        if not REFERENCE.fullmatch(self.reference):
            raise ValueError("a register's reference has 1 to 64 letters, digits and . _ : / -")
        if not 1 <= self.parts <= PARTS_MAX:
            raise ValueError(f"a register has 1 to {PARTS_MAX} parts")
        if not 0 <= self.totals.row_count <= self.parts * PART_ROWS_MAX:
            raise ValueError(f"a part has at most {PART_ROWS_MAX} rows")
        total = self.totals.hash_total
        if not (0 <= total < HASH_TOTAL_MAX + 1 and total == round(total, _DECIMALS_MAX)):
            raise ValueError("a hash total is not negative and has at most 18 digits and 4 decimals")


class RegisterState(StrEnum):
    """How far a register has come."""

    RECEIVING = "RECEIVING"
    """Parts are missing."""
    ACCEPTED = "ACCEPTED"
    """Complete, and its totals hold: it is reconciled."""
    TOTALS_DIFFER = "TOTALS_DIFFER"
    """Complete, but the rows are not what was announced: it is kept, and never reconciled."""


@dataclass(frozen=True, slots=True)
class Register:
    """A register as it is kept."""

    id: str
    dealer_id: int
    dealer: str
    announced: Announcement
    received_at: datetime
    state: RegisterState


class SubmissionOutcome(StrEnum):
    """What became of one part."""

    KEPT = "KEPT"
    CONFLICT = "CONFLICT"
    """It contradicts what is kept under this reference, or its own announcement; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What became of one part, and of its register so far. `is_repeated` marks a part that was there already."""

    outcome: SubmissionOutcome
    register: Register | None
    """None when there is no such register, and a conflict prevented it."""
    parts_received: int
    counted: Totals
    """The rows that have come."""
    is_repeated: bool = False


_SELECT: Final = (
    select(registers, dealers.c.name.label("dealer"), complete_registers.c.is_accepted)
    .join_from(registers, dealers)
    .outerjoin(complete_registers, complete_registers.c.register_id == registers.c.id)
)
_BY_REFERENCE: Final = _SELECT.where(
    registers.c.dealer_id == bindparam("dealer_id"), registers.c.reference == bindparam("reference")
)
_BY_ID: Final = _SELECT.where(registers.c.id == bindparam("register_id"))
# RETURNING tells whether the row is ours: psycopg forgets how many rows an INSERT wrote.
_ANNOUNCE: Final = {
    dialect: insert(registers)
    .on_conflict_do_nothing(index_elements=["dealer_id", "reference"])
    .returning(registers.c.id)
    for dialect, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_LOCK: Final = select(registers.c.id).where(registers.c.id == bindparam("register_id")).with_for_update()
_PART: Final = select(register_parts.c.digest).where(
    register_parts.c.register_id == bindparam("register_id"), register_parts.c.part == bindparam("part")
)
_PARTS: Final = select(register_parts.c.row_count, register_parts.c.hash_total).where(
    register_parts.c.register_id == bindparam("register_id")
)
_STATES: Final = {None: RegisterState.RECEIVING, True: RegisterState.ACCEPTED, False: RegisterState.TOTALS_DIFFER}
"""By whether a complete register is accepted; None for one that is not complete."""
_INSERT_ROWS: Final = register_rows.insert().inline()


def submit_part(
    connection: Connection,
    dealer_id: int,
    announced: Announcement,
    part: int,
    rows: Sequence[RegisterRow],
    *,
    now: datetime,
    exchange_id: str | None = None,
) -> Submission:
    """Keep one part of a register; parts come in any order, and again after a lost answer.

    With the last one the rows are counted and the register is accepted or rejected, for good.
    """
    assert len(rows) <= PART_ROWS_MAX, "the contract and the readers allow no larger part"
    if not 1 <= part <= announced.parts:
        return _conflict(connection, find(connection, dealer_id, announced.reference))
    _announce(connection, dealer_id, announced, now)
    register = find(connection, dealer_id, announced.reference)
    assert register is not None
    if register.announced != announced:
        return _conflict(connection, register)
    # Of parts that come at the same time, one is the last: it sees the others.
    connection.execute(_LOCK, {"register_id": register.id})
    digest = hashlib.sha256("".join(map(row_line, rows)).encode()).digest()
    kept = connection.execute(_PART, {"register_id": register.id, "part": part}).scalar()
    if kept is None:
        _keep(connection, register, part, rows, digest, now, exchange_id)
    elif kept != digest:
        return _conflict(connection, register)
    parts_received, counted = _counted(connection, register.id)
    if kept is None and parts_received == announced.parts:
        is_accepted = counted == announced.totals
        row = {"register_id": register.id, "completed_at": now, "is_accepted": is_accepted}
        connection.execute(complete_registers.insert(), row)
        register = replace(register, state=_STATES[is_accepted])
    return Submission(SubmissionOutcome.KEPT, register, parts_received, counted, kept is not None)


def find(connection: Connection, dealer_id: int, reference: str) -> Register | None:
    """A dealer's own register."""
    return _register(connection.execute(_BY_REFERENCE, {"dealer_id": dealer_id, "reference": reference}).first())


def find_by_id(connection: Connection, register_id: str) -> Register | None:
    """Any dealer's register: not for the dealers themselves."""
    return _register(connection.execute(_BY_ID, {"register_id": register_id}).first())


def rows_of(connection: Connection, register_id: str) -> Iterator[RegisterRow]:
    """The rows in their order, as they came. Memory does not depend on how many there are."""
    columns = register_rows.c
    query: Select[Any] = (
        select(*(each for each in columns if each.name not in ("register_id", "part", "number")))
        .where(columns.register_id == register_id)
        .order_by(columns.part, columns.number)
    )
    for row in stream(connection, query):
        amount = Money(row.amount_minor, row.currency)
        yield RegisterRow(row.reference, RowStatus(row.status), amount, row.occurred_at, row.terminal, row.payment_id)


def totals_of(rows: Iterable[RegisterRow]) -> Totals:
    """How many rows, and what they add up to."""
    count, total = 0, Decimal(0)
    for row in rows:
        count += 1
        total += row.amount.to_decimal()
    return Totals(count, total)


def text(connection: Connection, register: Register) -> Iterator[str]:
    """The text a register's digest is over, in pieces: every line is one fact, ended by a newline.

    Version, register id, dealer, reference, business day, rows, hash total; then every row as `row_line` writes it.
    """
    announced = register.announced
    head = (VERSION, register.id, register.dealer, announced.reference, announced.business_on.isoformat())
    totals = (str(announced.totals.row_count), total_text(announced.totals.hash_total))
    yield "".join(f"{line}\n" for line in (*head, *totals))
    yield from map(row_line, rows_of(connection, register.id))


def row_line(row: RegisterRow) -> str:
    """Reference, status, amount, currency, time, terminal and payment id with a space between; `-` for none."""
    amount = f"{row.amount.to_decimal()} {row.amount.currency}"
    return (
        f"{row.reference} {row.status} {amount} {instant_text(row.occurred_at)} "
        f"{row.terminal or '-'} {row.payment_id or '-'}\n"
    )


def instant_text(instant: datetime | None) -> str:
    """An instant in UTC with microseconds, as the leaves of the journal have it; `-` for none."""
    return "-" if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def total_text(total: Decimal) -> str:
    """A hash total without zeros that mean nothing: databases differ in how many they keep."""
    whole, _, decimals = f"{total:f}".partition(".")
    decimals = decimals.rstrip("0")
    return f"{whole}.{decimals}" if decimals else whole


def _announce(connection: Connection, dealer_id: int, announced: Announcement, now: datetime) -> None:
    row = {
        "id": str(ULID()),
        "dealer_id": dealer_id,
        "reference": announced.reference,
        "business_on": announced.business_on,
        "parts": announced.parts,
        "row_count": announced.totals.row_count,
        "hash_total": announced.totals.hash_total,
        "received_at": now,
    }
    connection.execute(_ANNOUNCE[connection.dialect.name], row)


def _keep(
    connection: Connection,
    register: Register,
    part: int,
    rows: Sequence[RegisterRow],
    digest: bytes,
    now: datetime,
    exchange_id: str | None,
) -> None:
    row_count, hash_total = totals_of(rows)
    key = {"register_id": register.id, "part": part}
    fact = {"row_count": row_count, "hash_total": hash_total, "digest": digest}
    connection.execute(register_parts.insert(), {**key, **fact, "received_at": now, "exchange_id": exchange_id})
    if rows:
        connection.execute(_INSERT_ROWS, [{**key, "number": n, **_fields(row)} for n, row in enumerate(rows, 1)])


def _fields(row: RegisterRow) -> dict[str, object]:
    return {
        "reference": row.reference,
        "status": row.status,
        "amount_minor": row.amount.minor,
        "currency": row.amount.currency,
        "occurred_at": row.occurred_at,
        "terminal": row.terminal,
        "payment_id": row.payment_id,
    }


def _counted(connection: Connection, register_id: str) -> tuple[int, Totals]:
    """How many parts have come, and the totals of their rows."""
    parts = connection.execute(_PARTS, {"register_id": register_id}).all()
    return len(parts), Totals(sum(count for count, _ in parts), sum((total for _, total in parts), Decimal(0)))


def _conflict(connection: Connection, register: Register | None) -> Submission:
    parts_received, counted = (0, Totals(0, Decimal(0))) if register is None else _counted(connection, register.id)
    return Submission(SubmissionOutcome.CONFLICT, register, parts_received, counted)


def _register(row: Row[Any] | None) -> Register | None:
    if row is None:
        return None
    totals = Totals(row.row_count, row.hash_total)
    return Register(
        id=row.id,
        dealer_id=row.dealer_id,
        dealer=row.dealer,
        announced=Announcement(row.reference, row.business_on, row.parts, totals),
        received_at=row.received_at,
        state=_STATES[row.is_accepted],
    )
