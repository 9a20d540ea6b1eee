"""GetReconciliation: what comparing a register with our books came to, difference by difference."""

from dataclasses import dataclass

from bankapi.operations.call import Call
from bankapi.operations.reporting import PAGE_ROWS, page
from bankapi.operations.submit_register import RegisterStatus, status_of
from bankapi.refusals import ResultCode
from bankapi.reports import reconciliation, registers
from bankapi.reports.comparison import Difference
from bankapi.reports.cursors import key_of
from bankapi.reports.reconciliation import Reconciliation


@dataclass(frozen=True, slots=True)
class GetReconciliation:
    """The question: the dealer's own reference of the register."""

    reference: str
    page_rows: int | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class ReconciliationReport:
    """The answer. `reconciliation` is None while there is none; all pages are of one run."""

    result: ResultCode
    status: RegisterStatus | None = None
    reconciliation: Reconciliation | None = None
    differences: tuple[Difference, ...] = ()
    next_cursor: str | None = None


def get_reconciliation(call: Call, asked: GetReconciliation) -> ReconciliationReport:
    """A dealer sees its own. The newest run, unless a cursor goes on with an older one."""
    register = registers.find(call.connection, call.terminal.dealer_id, asked.reference)
    if register is None:
        return ReconciliationReport(ResultCode.REGISTER_NOT_FOUND)
    question = f"reconciliation\n{register.id}"
    found, after = reconciliation.latest(call.connection, register.id), 0
    if asked.cursor is not None:
        try:
            run, number = key_of(question, asked.cursor, parts=2)
            after = int(number)
        except ValueError:
            return ReconciliationReport(ResultCode.CURSOR_NOT_ACCEPTED)
        found = reconciliation.find(call.connection, run)
        # Whoever can write a cursor can write any run into it, another dealer's too.
        if found is None or found.register.id != register.id or not 1 <= after <= found.difference_count:
            return ReconciliationReport(ResultCode.CURSOR_NOT_ACCEPTED)
    status = status_of(register, found)
    if found is None:
        return ReconciliationReport(ResultCode.OK, status)
    run = found.id
    most = (asked.page_rows or PAGE_ROWS) + 1
    rows = reconciliation.differences(call.connection, found, after=after, most=most)
    differences, next_cursor = page(rows, asked.page_rows, question, lambda each: (run, str(each.number)))
    return ReconciliationReport(ResultCode.OK, status, found, differences, next_cursor)
