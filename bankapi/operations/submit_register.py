"""SubmitRegister: take a dealer's register of a day, part by part, and reconcile it once it is whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from bankapi.operations.call import Call
from bankapi.refusals import ResultCode
from bankapi.reports import reconciliation, registers
from bankapi.reports.reconciliation import Reconciliation
from bankapi.reports.registers import Announcement, Register, RegisterRow, RegisterState, SubmissionOutcome, Totals


class RegisterStatus(StrEnum):
    """How far a register has come."""

    INCOMPLETE = "INCOMPLETE"
    PENDING = "PENDING"
    RECONCILED = "RECONCILED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class SubmitRegister:
    """One part. What is said of the whole register is the same with every part of it."""

    reference: str
    business_on: date
    row_count: int
    hash_total: Decimal
    """The sum of all rows' amounts in major units, whatever their currencies: a checksum, not money."""
    part: int
    parts: int
    rows: Sequence[RegisterRow]


@dataclass(frozen=True, slots=True)
class RegisterSubmission:
    """The answer. `counted` is what the rows that have come add up to."""

    result: ResultCode
    replayed: bool = False
    status: RegisterStatus | None = None
    parts_received: int | None = None
    counted: Totals | None = None
    reconciliation: Reconciliation | None = None


def submit_register(call: Call, asked: SubmitRegister) -> RegisterSubmission:
    """Keep a part; with the last one check the totals and reconcile. A large register is reconciled a little later."""
    if asked.business_on > call.business_on:
        return RegisterSubmission(ResultCode.PERIOD_NOT_ACCEPTED)
    try:
        totals = Totals(asked.row_count, asked.hash_total)
        announced = Announcement(asked.reference, asked.business_on, asked.parts, totals)
    except ValueError:  # more rows than so many parts can hold
        return RegisterSubmission(ResultCode.REGISTER_TOTALS_DIFFER)
    kept = registers.submit_part(
        call.connection,
        call.terminal.dealer_id,
        announced,
        asked.part,
        asked.rows,
        now=call.now,
        exchange_id=call.exchange_id,
    )
    if kept.outcome is SubmissionOutcome.CONFLICT or kept.register is None:
        return RegisterSubmission(ResultCode.REGISTER_CONFLICT)
    result = ResultCode.OK
    if kept.register.state is RegisterState.TOTALS_DIFFER:
        result = ResultCode.REGISTER_TOTALS_DIFFER
    found = _reconciled(call, kept.register, is_new=not kept.is_repeated)
    status = status_of(kept.register, found)
    return RegisterSubmission(result, kept.is_repeated, status, kept.parts_received, kept.counted, found)


def status_of(register: Register, found: Reconciliation | None) -> RegisterStatus:
    """What a dealer is told of a register and its last reconciliation."""
    if register.state is RegisterState.ACCEPTED:
        return RegisterStatus.PENDING if found is None else RegisterStatus.RECONCILED
    return RegisterStatus.INCOMPLETE if register.state is RegisterState.RECEIVING else RegisterStatus.REJECTED


def _reconciled(call: Call, register: Register, *, is_new: bool) -> Reconciliation | None:
    if register.state is not RegisterState.ACCEPTED:
        return None
    if is_new and reconciliation.is_small(call.connection, register):
        return reconciliation.reconcile_within(call.connection, register.id, call.now)
    return reconciliation.latest(call.connection, register.id)
