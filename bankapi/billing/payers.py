"""Payer, and what may be said about one."""

from dataclasses import dataclass
from enum import StrEnum


class PayerKind(StrEnum):
    """The ways a caller may name who is paid for; the values are the contract's element names."""

    MSISDN = "Msisdn"
    ACCOUNT_NUMBER = "AccountNumber"
    CUSTOMER_NUMBER = "CustomerNumber"


@dataclass(frozen=True, slots=True)
class PayerKey:
    """One identifier of a payer, as the caller gave it."""

    kind: PayerKind
    value: str


class ServiceStatus(StrEnum):
    """Whether a customer's service runs, and so whether payments are taken (design section 5)."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    """For debt: payments are taken, and one that restores the balance lifts the suspension."""
    BLOCKED = "BLOCKED"
    TERMINATED = "TERMINATED"
