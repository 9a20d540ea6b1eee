"""The sandbox's numbers: who they are and how each of them answers. The one table, published to integrators.

All begin with 999: a country code of ITU-T E.164 that is assigned to nobody, so that no test can reach a person. A
number names its customer in every way the contract knows: it is the Msisdn, the AccountNumber and the CustomerNumber.

Most numbers answer so because their customers are so (`accounts`), some because the call is made under another
agreement than the terminal's (`agreements`), and a few because something goes wrong on purpose (`contract`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bankapi.refusals import ResultCode

PREFIX: Final = "999"
SLOW_S: Final = 20.0
"""How late the slow answer is: later than a terminal's usual patience of 10 to 15 seconds, sooner than the 30 of ours
and of most HTTP clients, so that whoever waits sees that it comes."""


class Behaviour(StrEnum):
    """What a number is for."""

    PAYS = "OK"
    CONVERTS = "OK, converted"
    SUSPENDED = "OK, SUSPENDED"
    UNKNOWN = "PAYER_NOT_FOUND"
    BLOCKED = "PAYER_BLOCKED"
    TERMINATED = "SERVICE_TERMINATED"
    NO_RATE = "CURRENCY_NOT_ACCEPTED"
    LIMIT = "LIMIT_EXCEEDED"
    NO_FUNDS = "DEALER_FUNDS_INSUFFICIENT"
    NOT_ALLOWED = "OPERATION_NOT_ALLOWED"
    WINDOW_CLOSED = "CANCEL_WINDOW_CLOSED"
    USES_FUNDS = "FUNDS_ALREADY_USED"
    CANCEL_NOT_ALLOWED = "cancelling: OPERATION_NOT_ALLOWED"
    SLOW = "slow answer"
    LOST = "lost answer"
    UNAVAILABLE = "TEMPORARILY_UNAVAILABLE once"
    OVERLOADED = "fault OVERLOADED once"
    INTERNAL = "fault INTERNAL once"


@dataclass(frozen=True, slots=True)
class SandboxNumber:
    """One line of the table."""

    number: str
    """Msisdn, AccountNumber and CustomerNumber alike."""
    behaviour: Behaviour
    words: str


_ONCE: Final = "The first RegisterPayment of each reference, and the first CancelPayment of the payment, {}; the second"

_TABLE: Final = (
    SandboxNumber("99900000001", Behaviour.PAYS, "An ordinary customer with an account in RUB: everything works."),
    SandboxNumber("99900000002", Behaviour.CONVERTS, "An account in EUR: RUB and USD are converted at a rate."),
    SandboxNumber(
        "99900000003",
        Behaviour.SUSPENDED,
        "Suspended for a debt that no payment covers: payments are taken, and ServiceStatus stays SUSPENDED.",
    ),
    SandboxNumber(
        "99900000010", Behaviour.UNKNOWN, "No customer, as every other number that begins with 999 and is not here."
    ),
    SandboxNumber("99900000011", Behaviour.BLOCKED, "A blocked customer: payments are declined, the balance is shown."),
    SandboxNumber(
        "99900000012",
        Behaviour.TERMINATED,
        "The contract has ended: declined by Msisdn. By AccountNumber it is OK: a debt remains, and always will.",
    ),
    SandboxNumber(
        "99900000013",
        Behaviour.NO_RATE,
        "An account in XTS, the code that ISO 4217 keeps for tests: no currency has a rate into it.",
    ),
    SandboxNumber(
        "99900000014",
        Behaviour.LIMIT,
        "Any amount is over the daily limit, and any question is one about unknown payers too many.",
    ),
    SandboxNumber("99900000015", Behaviour.NO_FUNDS, "Paid as if out of a deposit with nothing in it."),
    SandboxNumber(
        "99900000016", Behaviour.NOT_ALLOWED, "Nothing that names this payer is allowed, and nothing is decided."
    ),
    SandboxNumber(
        "99900000021", Behaviour.WINDOW_CLOSED, "Paying is OK; it is too late to cancel the payment, however soon."
    ),
    SandboxNumber(
        "99900000022", Behaviour.USES_FUNDS, "Paying is OK; the customer uses the money at once, so cancelling is not."
    ),
    SandboxNumber("99900000023", Behaviour.CANCEL_NOT_ALLOWED, "Paying is OK; cancelling the payment is not allowed."),
    SandboxNumber(
        "99900000031",
        Behaviour.SLOW,
        "Everything is OK. Answers about the payer, and to RegisterPayment and CancelPayment, come "
        f"{SLOW_S:.0f} seconds late, after what was asked was done; GetPaymentStatus answers at once.",
    ),
    SandboxNumber(
        "99900000032",
        Behaviour.LOST,
        "RegisterPayment books the payment and CancelPayment cancels it; then the connection is closed without a byte. "
        "Send the same again: the answer comes, Replayed. Or ask GetPaymentStatus.",
    ),
    SandboxNumber(
        "99900000033",
        Behaviour.UNAVAILABLE,
        _ONCE.format("answer TEMPORARILY_UNAVAILABLE and decide nothing") + " is OK.",
    ),
    SandboxNumber(
        "99900000034", Behaviour.OVERLOADED, _ONCE.format("answer with the fault and decide nothing") + " is OK."
    ),
    SandboxNumber(
        "99900000035", Behaviour.INTERNAL, _ONCE.format("answer with the fault and decide nothing") + " is OK."
    ),
)

_RECIPES: Final = (
    (ResultCode.AMOUNT_TOO_SMALL, "Pay less than 1.00 to 99900000001."),
    (ResultCode.AMOUNT_TOO_LARGE, "Pay more than 15000.00 to 99900000001."),
    (ResultCode.CURRENCY_NOT_ACCEPTED, "Or pay to 99900000001 in CHF, in which no dealer of the sandbox pays."),
    (ResultCode.REFERENCE_CONFLICT, "Register a reference again with another amount, currency or payer."),
    (ResultCode.REFERENCE_VOIDED, "Cancel a reference that was never sent, then register it."),
    (ResultCode.ALREADY_CANCELLED, "Register, cancel, then register the same reference again."),
    (ResultCode.PAYMENT_NOT_FOUND, "Cancel by a PaymentId that does not exist, such as 01ARZ3NDEKTSV4RRFFQ69G5FAV."),
    (ResultCode.AMOUNT_MISMATCH, "Cancel a payment with another amount than it was registered with."),
    (ResultCode.PERIOD_NOT_ACCEPTED, "Ask for a report whose From is after its To, or send a register of tomorrow."),
    (ResultCode.CURSOR_NOT_ACCEPTED, "Ask for the next page of a report with another From than that of its cursor."),
    (ResultCode.REGISTER_NOT_FOUND, "Ask GetReconciliation for a RegisterReference that was never sent."),
    (ResultCode.REGISTER_CONFLICT, "Send a register again with another row."),
    (ResultCode.REGISTER_TOTALS_DIFFER, "Send a register whose HashTotal is not the sum of its rows."),
)
"""What comes from a caller's own history or request, and needs no number."""

_BEHAVIOURS: Final = {line.number: line.behaviour for line in _TABLE}


def table() -> Sequence[SandboxNumber]:
    """Every number, in order."""
    return _TABLE


def recipes() -> Sequence[tuple[ResultCode, str]]:
    """How to be answered with each code that depends on what was sent, not on the payer."""
    return _RECIPES


def behaviour_of(number: str) -> Behaviour:
    """What a payer's number is for, however it names its payer; ordinary for whatever is not in the table."""
    return _BEHAVIOURS.get(number, Behaviour.PAYS)


def number_of(behaviour: Behaviour) -> str:
    """The number that is for it."""
    return next(line.number for line in _TABLE if line.behaviour is behaviour)


def markdown() -> str:
    """The integrator's tables; README.md holds them between two markers."""
    rows = ["| Number | Behaviour | What happens |", "|---|---|---|"]
    rows += [f"| {line.number} | {line.behaviour} | {line.words} |" for line in _TABLE]
    rows += ["", "| Result code | How to get it |", "|---|---|"]
    rows += [f"| {code} | {words} |" for code, words in _RECIPES]
    return "\n".join(rows) + "\n"
