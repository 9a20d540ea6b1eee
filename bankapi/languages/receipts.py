"""The receipt's wording."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Final

from bankapi.languages.columns import columns, folded
from bankapi.languages.texts import Texts

COLUMNS_MAX: Final = 48
"""What a receipt printer with paper of 80 mm prints in a line at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The facts of a payment that a receipt shows. `credited` is given when it is in another currency than `amount`."""

    dealer: str
    terminal: str
    registered_at: datetime
    zone: tzinfo
    payer: str
    amount: tuple[Decimal, str]
    credited: tuple[Decimal, str] | None
    reference: str
    payment_id: str


def receipt_lines(texts: Texts, facts: Receipt) -> tuple[str, ...]:
    """What the payer takes away, line by line; a value that does not fit behind its label goes below it."""
    lines = [
        f"{facts.dealer} {facts.terminal}",
        texts.gettext("Payment for mobile services"),
        texts.instant(facts.registered_at, facts.zone),
        texts.gettext("Payer: {payer}", payer=facts.payer),
        texts.gettext("Amount: {amount}", amount=texts.amount(*facts.amount)),
    ]
    if facts.credited is not None:
        lines.append(texts.gettext("Credited: {amount}", amount=texts.amount(*facts.credited)))
    lines += [
        texts.gettext("Reference: {reference}", reference=facts.reference),
        texts.gettext("Payment no.: {payment}", payment=facts.payment_id),
    ]
    return tuple(printed for line in lines for printed in _printed(line))


def _printed(line: str) -> Iterator[str]:
    if columns(line) <= COLUMNS_MAX:
        yield line
    else:
        yield from folded(line, COLUMNS_MAX)
