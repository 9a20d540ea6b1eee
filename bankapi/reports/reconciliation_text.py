"""The text a reconciliation's digest is over: whoever has it can prove the whole result from one signed hash.

Every line is one fact, ended by a newline; `-` where there is none. A new layout gets a new first line.

    bankapi-reconciliation-v1
    reconciliation id
    register id
    dealer
    reference of the register
    business day
    run
    as of
    SHA-256 of the register's text (`registers.text`), in hexadecimal
    rows of the register
    hash total of the register
    then a line for each difference: number, kind, row number, reference;
        their status, amount, currency, time, terminal, payment id;
        our status, amount, currency, business day, time, terminal, payment id
    closed or open: the business day
    MATCHED and each kind with its count
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from bankapi.billing.money import Money
from bankapi.reports.comparison import Difference, DifferenceKind, Side
from bankapi.reports.registers import Register, instant_text, total_text

VERSION: Final = "bankapi-reconciliation-v1"


def head(reconciliation_id: str, register: Register, run: int, as_of: datetime, register_digest: bytes) -> str:
    """What is compared."""
    announced = register.announced
    lines = (
        VERSION,
        reconciliation_id,
        register.id,
        register.dealer,
        announced.reference,
        announced.business_on.isoformat(),
        str(run),
        instant_text(as_of),
        register_digest.hex(),
        str(announced.totals.row_count),
        total_text(announced.totals.hash_total),
    )
    return "".join(f"{line}\n" for line in lines)


def difference_line(difference: Difference) -> str:
    """One difference, with both sides."""
    row = "-" if difference.row_number is None else str(difference.row_number)
    ours = difference.ours
    business_on = "-" if ours is None else ours.business_on.isoformat()
    status, amount, *rest = _side(ours)
    return (
        " ".join(
            (
                *(str(difference.number), difference.kind, row, difference.reference),
                *_side(difference.theirs),
                *(status, amount, business_on, *rest),
            )
        )
        + "\n"
    )


def tail(day_is_closed: bool, matched: int, counts: Mapping[DifferenceKind, int]) -> Iterator[str]:
    """What it came to."""
    yield "closed\n" if day_is_closed else "open\n"
    yield f"MATCHED {matched}\n"
    for kind in DifferenceKind:
        yield f"{kind} {counts.get(kind, 0)}\n"


def _side(side: Side | None) -> tuple[str, str, str, str, str]:
    """Status; amount and currency; time; terminal; payment id."""
    if side is None:
        return "-", "- -", "-", "-", "-"
    return (
        side.status,
        _amount(side.amount),
        instant_text(side.occurred_at),
        side.terminal or "-",
        side.payment_id or "-",
    )


def _amount(amount: Money | None) -> str:
    return "- -" if amount is None else f"{amount.to_decimal()} {amount.currency}"
