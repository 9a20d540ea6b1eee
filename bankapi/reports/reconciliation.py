"""Reconciling a register: comparing it with the books, and keeping what that came to for good.

A run is a fact, too: comparing again, after a payment came late or the day was closed, is a new run beside the old
ones. A small register is compared in the transaction it came with. A large one is read and compared on a snapshot,
and its differences are written a few at a time, so that payments go on meanwhile; a run counts once its result is
there, so that one that was interrupted never shows a part for the whole.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, select, union_all
from ulid import ULID

from bankapi.billing.tables import dealers
from bankapi.reports import reconciliation_text, registers
from bankapi.reports.comparison import Difference, DifferenceKind, Side, compare, our_side, their_side
from bankapi.reports.expected import expected
from bankapi.reports.register_tables import (
    complete_registers,
    reconciliation_differences,
    reconciliation_results,
    reconciliations,
)
from bankapi.reports.register_tables import registers as register_facts
from bankapi.reports.registers import Register, RegisterState
from bankapi.storage.engine import Store
from bankapi.storage.rows import stream

ROWS_WITHIN_MAX: Final = 2000
"""So many rows, on either side, are compared within a tenth of a second: others may wait for that."""
_DIFFERENCES_AT_ONCE: Final = 500
TAKEN_OVER_AFTER: Final = timedelta(minutes=10)
"""When a run that has no result yet counts as interrupted."""


class CannotReconcile(Exception):
    """There is no such register, or it is not one that was accepted; the sentence says which."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What one run came to."""

    id: str
    register: Register
    run: int
    """1 for the first time a register was compared."""
    as_of: datetime
    day_is_closed: bool
    """Whether nothing could be added to the business day any more: comparing again would find the same."""
    matched: int
    counts: Mapping[DifferenceKind, int]
    register_digest: bytes
    digest: bytes

    @property
    def difference_count(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class _Run:
    """A comparison under way."""

    id: str
    register: Register
    number: int
    as_of: datetime


_RESULTS: Final = select(reconciliations, reconciliation_results).join_from(reconciliations, reconciliation_results)
_PENDING: Final = (
    select(complete_registers.c.register_id)
    .where(
        complete_registers.c.is_accepted,
        ~select(reconciliations.c.id)
        .outerjoin_from(reconciliations, reconciliation_results)
        .where(
            reconciliations.c.register_id == complete_registers.c.register_id,
            reconciliation_results.c.reconciliation_id.is_not(None) | (reconciliations.c.as_of > bindparam("since")),
        )
        .exists(),
    )
    .order_by(complete_registers.c.register_id)
)
_LOCK: Final = select(register_facts.c.id).where(register_facts.c.id == bindparam("register_id")).with_for_update()
_LAST_RUN: Final = select(func.max(reconciliations.c.run)).where(
    reconciliations.c.register_id == bindparam("register_id")
)


def reconcile(store: Store, register_id: str, now: datetime) -> Reconciliation:
    """Compare a register of any size. CannotReconcile when it was not accepted."""
    return _run(store, store.write(lambda connection: _begin(connection, register_id, now)))


def reconcile_within(connection: Connection, register_id: str, now: datetime) -> Reconciliation:
    """Compare a register in the caller's transaction: only one that is small (`is_small`)."""
    run = _begin(connection, register_id, now)
    result = _compared(connection, run, lambda found: _keep(connection, run, found))
    connection.execute(reconciliation_results.insert(), result)
    return _found(connection, run)


def is_small(connection: Connection, register: Register) -> bool:
    """Whether the register, and what we have of its day, are few enough to be compared while others wait."""
    if register.announced.totals.row_count > ROWS_WITHIN_MAX:
        return False
    sides = (query.order_by(None).subquery() for query in expected(register.dealer_id, register.announced.business_on))
    ours = union_all(*(select(side.c.our_payment_id) for side in sides)).limit(ROWS_WITHIN_MAX + 1).subquery()
    return int(connection.execute(select(func.count()).select_from(ours)).scalar_one()) <= ROWS_WITHIN_MAX


def pending(connection: Connection, now: datetime) -> list[str]:
    """Ids of accepted registers that nobody has compared, and nobody is comparing."""
    return list(connection.execute(_PENDING, {"since": now - TAKEN_OVER_AFTER}).scalars())


def reconcile_pending(store: Store, now: datetime) -> int:
    """Compare what is pending; returns how many registers that were. Any number of workers may do so at once."""

    def claim(connection: Connection, register_id: str) -> _Run | None:
        connection.execute(_LOCK, {"register_id": register_id})
        return _begin(connection, register_id, now) if register_id in pending(connection, now) else None

    with store.read() as connection:
        waiting = pending(connection, now)
    count = 0
    for register_id in waiting:
        run = store.write(lambda connection, register_id=register_id: claim(connection, register_id))  # type: ignore[misc]
        if run is not None:
            _run(store, run)
            count += 1
    return count


def latest(connection: Connection, register_id: str) -> Reconciliation | None:
    """The last run of a register that has a result."""
    query = _RESULTS.where(reconciliations.c.register_id == register_id).order_by(reconciliations.c.run.desc())
    return _reconciliation(connection, connection.execute(query.limit(1)).first())


def find(connection: Connection, reconciliation_id: str) -> Reconciliation | None:
    """Any dealer's run that has a result: not for the dealers themselves."""
    return _reconciliation(
        connection, connection.execute(_RESULTS.where(reconciliations.c.id == reconciliation_id)).first()
    )


def list_reconciliations(
    connection: Connection, *, dealer: str | None = None, register_id: str | None = None, most: int
) -> list[Reconciliation]:
    """Runs with a result, newest first."""
    query = _RESULTS.join(register_facts, register_facts.c.id == reconciliations.c.register_id)
    if dealer is not None:
        query = query.join(dealers, dealers.c.id == register_facts.c.dealer_id).where(dealers.c.name == dealer)
    if register_id is not None:
        query = query.where(reconciliations.c.register_id == register_id)
    rows = connection.execute(query.order_by(reconciliations.c.id.desc()).limit(most)).all()
    return [found for row in rows if (found := _reconciliation(connection, row)) is not None]


def differences(
    connection: Connection,
    reconciliation: Reconciliation,
    *,
    after: int = 0,
    most: int | None = None,
    kinds: Collection[DifferenceKind] = tuple(DifferenceKind),
) -> Iterator[Difference]:
    """What differs, in order, from the one after a number on. Memory does not depend on how many there are."""
    columns, day = reconciliation_differences.c, reconciliation.register.announced.business_on
    query = select(reconciliation_differences).where(
        columns.reconciliation_id == reconciliation.id, columns.number > after
    )
    if len(set(kinds)) < len(DifferenceKind):
        query = query.where(columns.kind.in_(sorted(kinds)))
    for row in stream(connection, query.order_by(columns.number).limit(most)):
        yield Difference(
            number=row.number,
            kind=DifferenceKind(row.kind),
            row_number=row.row_number,
            reference=row.reference,
            theirs=None if row.their_status is None else their_side(row, day),
            ours=None if row.our_status is None else our_side(row),
        )


def text(connection: Connection, reconciliation: Reconciliation) -> Iterator[str]:
    """The text the digest is over, from what is kept, in pieces."""
    found = reconciliation
    yield reconciliation_text.head(found.id, found.register, found.run, found.as_of, found.register_digest)
    yield from map(reconciliation_text.difference_line, differences(connection, found))
    yield from reconciliation_text.tail(found.day_is_closed, found.matched, found.counts)


def _begin(connection: Connection, register_id: str, now: datetime) -> _Run:
    register = registers.find_by_id(connection, register_id)
    if register is None:
        raise CannotReconcile("there is no such register")
    if register.state is not RegisterState.ACCEPTED:
        raise CannotReconcile(_NOT_ACCEPTED[register.state])
    connection.execute(_LOCK, {"register_id": register_id})  # of two runs at once, one is the second
    number = (connection.execute(_LAST_RUN, {"register_id": register_id}).scalar() or 0) + 1
    run = _Run(str(ULID()), register, number, now)
    row = {"id": run.id, "register_id": register_id, "run": number, "as_of": now}
    connection.execute(reconciliations.insert(), row)
    return run


_NOT_ACCEPTED: Final = {
    RegisterState.RECEIVING: "parts of the register are missing",
    RegisterState.TOTALS_DIFFER: "the register was rejected: its rows are not what was announced",
}


def _run(store: Store, run: _Run) -> Reconciliation:
    """Compare on a snapshot; write a few differences at a time, and the result in the end."""

    def keep(found: Sequence[Difference]) -> None:
        store.write(lambda connection: _keep(connection, run, found))

    with store.read() as snapshot:
        result = _compared(snapshot, run, keep)
    store.write(lambda connection: connection.execute(reconciliation_results.insert(), result))
    with store.read() as connection:
        return _found(connection, run)


def _compared(connection: Connection, run: _Run, keep: Callable[[Sequence[Difference]], None]) -> dict[str, object]:
    """Compare and keep every difference; returns the row of the result."""
    register = run.register
    closed_through_on = connection.execute(
        select(dealers.c.closed_through_on).where(dealers.c.id == register.dealer_id)
    ).scalar_one()
    day_is_closed = closed_through_on is not None and register.announced.business_on <= closed_through_on
    register_digest = hashlib.sha256()
    for piece in registers.text(connection, register):
        register_digest.update(piece.encode())
    digest = hashlib.sha256(
        reconciliation_text.head(run.id, register, run.number, run.as_of, register_digest.digest()).encode()
    )
    counts: Counter[DifferenceKind] = Counter()
    found = compare(connection, register)
    while part := list(islice(found, _DIFFERENCES_AT_ONCE)):
        digest.update("".join(map(reconciliation_text.difference_line, part)).encode())
        counts.update(each.kind for each in part)
        keep(part)
    of_rows = counts.total() - counts[DifferenceKind.MISSING_THERE]
    matched = register.announced.totals.row_count - of_rows
    digest.update("".join(reconciliation_text.tail(day_is_closed, matched, counts)).encode())
    return {
        "reconciliation_id": run.id,
        "day_is_closed": day_is_closed,
        "matched": matched,
        **{kind.lower(): counts[kind] for kind in DifferenceKind},
        "register_digest": register_digest.digest(),
        "digest": digest.digest(),
    }


def _keep(connection: Connection, run: _Run, found: Sequence[Difference]) -> None:
    rows = [
        {
            "reconciliation_id": run.id,
            "number": each.number,
            "kind": each.kind,
            "row_number": each.row_number,
            "reference": each.reference,
            **_side("their", each.theirs),
            **_side("our", each.ours),
            "our_business_on": each.ours and each.ours.business_on,
        }
        for each in found
    ]
    connection.execute(reconciliation_differences.insert(), rows)


def _side(whose: str, side: Side | None) -> dict[str, object]:
    return {
        f"{whose}_status": side and side.status,
        f"{whose}_amount_minor": side and side.amount and side.amount.minor,
        f"{whose}_currency": side and side.amount and side.amount.currency,
        f"{whose}_occurred_at": side and side.occurred_at,
        f"{whose}_terminal": side and side.terminal,
        f"{whose}_payment_id": side and side.payment_id,
    }


def _found(connection: Connection, run: _Run) -> Reconciliation:
    found = find(connection, run.id)
    assert found is not None, "it was just written"
    return found


def _reconciliation(connection: Connection, row: Row[Any] | None) -> Reconciliation | None:
    if row is None:
        return None
    register = registers.find_by_id(connection, row.register_id)
    assert register is not None, "a foreign key says so"
    return Reconciliation(
        id=row.id,
        register=register,
        run=row.run,
        as_of=row.as_of,
        day_is_closed=row.day_is_closed,
        matched=row.matched,
        counts={kind: getattr(row, kind.lower()) for kind in DifferenceKind},
        register_digest=row.register_digest,
        digest=row.digest,
    )
