"""Terminals: one account per ATM, owned by a dealer."""

from dataclasses import dataclass
from enum import StrEnum


class Scheme(StrEnum):
    """How a dealer's payments are booked (design section 5)."""

    CREDIT_ADJUSTMENT = "CREDIT_ADJUSTMENT"
    """The dealer owes us: dealer receivable → customer."""
    DEBIT_ADJUSTMENT = "DEBIT_ADJUSTMENT"
    """The dealer paid ahead: dealer deposit → customer."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """An admitted terminal with what its dealer's agreement says. Made only by gateway/admission."""

    id: int
    name: str
    dealer_id: int
    dealer_name: str
    scheme: Scheme
    time_zone: str
    language: str | None
    dealer_language: str
    names_unmasked: bool
