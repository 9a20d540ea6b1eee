"""What every code of the contract means, in the words that the XSD, the WSDL and README.md give a bank's developer.

A test proves that no code of `bankapi.refusals`, `operations` or `billing` is left without words, and that each
operation is said to answer what its code can answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bankapi.billing.ledger import TransactionKind
from bankapi.billing.payers import ServiceStatus
from bankapi.billing.terminals import Scheme
from bankapi.operations.cancel_payment import CancelReason
from bankapi.operations.get_payment_status import PaymentState
from bankapi.operations.ping import ServiceState
from bankapi.operations.submit_register import RegisterStatus
from bankapi.refusals import FaultCode, ResultCode, Retry
from bankapi.reports.comparison import DifferenceKind
from bankapi.reports.registers import RowStatus
from bankapi.reports.transactions import Event

_MEANING_AND_ADVICE: Final = {
    ResultCode.OK: (
        "Done as asked.",
        "Go on; after CancelPayment and GetPaymentStatus decide by Status.",
    ),
    ResultCode.PAYER_NOT_FOUND: (
        "No customer has this number.",
        "Have the payer check it; the right one is paid under a new reference.",
    ),
    ResultCode.PAYER_BLOCKED: (
        "Payments for this customer are blocked for now.",
        "Do not take the money, or return it; try later under a new reference.",
    ),
    ResultCode.SERVICE_TERMINATED: (
        "The customer's service contract has ended; nothing can be paid under this number.",
        "Do not take the money, or return it. A debt that remains can be paid by AccountNumber, under a new reference.",
    ),
    ResultCode.AMOUNT_TOO_SMALL: (
        "The amount is below the minimum.",
        "Pay at least the MinimumAmount of ValidatePayment, under a new reference.",
    ),
    ResultCode.AMOUNT_TOO_LARGE: (
        "The amount is above the maximum.",
        "Pay at most the MaximumAmount of ValidatePayment, under a new reference.",
    ),
    ResultCode.LIMIT_EXCEEDED: (
        "A daily limit of the terminal, the dealer or the payer would be exceeded; to a question also: this terminal "
        "has asked for too many unknown payers in a short time.",
        "Do not take the money, or return it; pay later under a new reference, or ask later.",
    ),
    ResultCode.CURRENCY_NOT_ACCEPTED: (
        "Payments in this currency are not accepted from this dealer, or not for this customer's account.",
        "Pay in another currency, under a new reference.",
    ),
    ResultCode.DEALER_FUNDS_INSUFFICIENT: (
        "The dealer's deposit and overdraft do not cover the payment.",
        "Pay into the deposit, then pay under a new reference.",
    ),
    ResultCode.REFERENCE_CONFLICT: (
        "The reference was used for a payment with another payer, amount or currency, which stays as it was.",
        "Find out which of the two was meant; another payment needs a new reference.",
    ),
    ResultCode.REFERENCE_VOIDED: (
        "The reference was cancelled before it was registered; nothing is booked and it can never be used.",
        "A payment that is still wanted needs a new reference.",
    ),
    ResultCode.PAYMENT_NOT_FOUND: (
        "The dealer has no payment with this PaymentId.",
        "Cancel by your Reference: that settles a payment that has not reached us, too.",
    ),
    ResultCode.ALREADY_CANCELLED: (
        "This very payment was registered under the reference and then cancelled; it does not stand.",
        "Do not count it as paid; a payment that is still wanted needs a new reference.",
    ),
    ResultCode.CANCEL_WINDOW_CLOSED: (
        "It is too late to cancel this payment; it stands.",
        "Do not return the money; ask the operator.",
    ),
    ResultCode.FUNDS_ALREADY_USED: (
        "The customer has used the money; the payment stands.",
        "Do not return the money; ask the operator.",
    ),
    ResultCode.AMOUNT_MISMATCH: (
        "The amount or its currency differs from the payment's; nothing is cancelled.",
        "Ask GetPaymentStatus for the amount, and make sure that it is the payment you mean.",
    ),
    ResultCode.PERIOD_NOT_ACCEPTED: (
        "The period ends before it begins, or is longer than 366 days; a register's business day has not begun.",
        "Ask for at most a year at once; send a register when its day is over.",
    ),
    ResultCode.CURSOR_NOT_ACCEPTED: (
        "The cursor is damaged, or was given for another question.",
        "Repeat every other member of the question as it was, or begin anew without a cursor.",
    ),
    ResultCode.REGISTER_NOT_FOUND: (
        "The dealer has sent no such register.",
        "Check the RegisterReference.",
    ),
    ResultCode.REGISTER_CONFLICT: (
        "A register was sent under this RegisterReference before, or this part of it, with other contents; they stay.",
        "Send other contents under a new RegisterReference.",
    ),
    ResultCode.REGISTER_TOTALS_DIFFER: (
        "RowCount or HashTotal is not what the rows add up to; the register is kept and not reconciled.",
        "Find out what is missing, and send the right register under a new RegisterReference.",
    ),
    ResultCode.OPERATION_NOT_ALLOWED: (
        "This terminal may not call this operation; nothing was done or decided.",
        "Ask the operator to allow it.",
    ),
    ResultCode.TEMPORARILY_UNAVAILABLE: (
        "Nothing was decided.",
        "Repeat the same request with the same reference, signed anew.",
    ),
}

RESULT_CODES: Final = {code: " ".join(words) for code, words in _MEANING_AND_ADVICE.items()}

_FIRST_ANSWER: Final = "the first answer again"
DECLINES: Final = (
    ResultCode.PAYER_NOT_FOUND,
    ResultCode.PAYER_BLOCKED,
    ResultCode.SERVICE_TERMINATED,
    ResultCode.CURRENCY_NOT_ACCEPTED,
    ResultCode.AMOUNT_TOO_SMALL,
    ResultCode.AMOUNT_TOO_LARGE,
    ResultCode.LIMIT_EXCEEDED,
    ResultCode.DEALER_FUNDS_INSUFFICIENT,
)
"""Why a payment is not taken, in this order: with RegisterPayment each settles its reference as DECLINED."""
_REPORTED: Final = (
    ResultCode.OPERATION_NOT_ALLOWED,
    ResultCode.PERIOD_NOT_ACCEPTED,
    ResultCode.CURSOR_NOT_ACCEPTED,
    ResultCode.OK,
)
_SHOWN: Final = (ResultCode.OPERATION_NOT_ALLOWED, ResultCode.LIMIT_EXCEEDED, ResultCode.PAYER_NOT_FOUND, ResultCode.OK)

PRECEDENCE: Final[Mapping[str, Sequence[str]]] = {
    "ValidatePayment": (
        ResultCode.OPERATION_NOT_ALLOWED,
        f"{ResultCode.LIMIT_EXCEEDED} (too many unknown payers)",
        *DECLINES,
        ResultCode.OK,
    ),
    "RegisterPayment": (
        ResultCode.OPERATION_NOT_ALLOWED,
        ResultCode.REFERENCE_VOIDED,
        ResultCode.REFERENCE_CONFLICT,
        ResultCode.ALREADY_CANCELLED,
        f"{_FIRST_ANSWER} (known reference)",
        *DECLINES,
        ResultCode.OK,
    ),
    "CancelPayment": (
        ResultCode.OPERATION_NOT_ALLOWED,
        ResultCode.PAYMENT_NOT_FOUND,
        f"{ResultCode.OK} (never seen, voided before or declined)",
        ResultCode.AMOUNT_MISMATCH,
        f"{_FIRST_ANSWER} (already cancelled)",
        ResultCode.CANCEL_WINDOW_CLOSED,
        ResultCode.FUNDS_ALREADY_USED,
        ResultCode.OK,
    ),
    "GetPaymentStatus": (ResultCode.OPERATION_NOT_ALLOWED, ResultCode.OK),
    "GetBalance": _SHOWN,
    "GetMiniStatement": _SHOWN,
    "GetTransactionReport": _REPORTED,
    "GetFinancialReport": _REPORTED,
    "SubmitRegister": (
        ResultCode.OPERATION_NOT_ALLOWED,
        ResultCode.PERIOD_NOT_ACCEPTED,
        ResultCode.REGISTER_CONFLICT,
        ResultCode.REGISTER_TOTALS_DIFFER,
        ResultCode.OK,
    ),
    "GetReconciliation": (
        ResultCode.OPERATION_NOT_ALLOWED,
        ResultCode.REGISTER_NOT_FOUND,
        ResultCode.CURSOR_NOT_ACCEPTED,
        ResultCode.OK,
    ),
    "Ping": (ResultCode.OK,),
}
"""Operation → what it can answer: the first that applies, so the order is a promise. Between the codes stand words."""

_AT_ANY_TIME: Final = ResultCode.TEMPORARILY_UNAVAILABLE
"""Has no place in the order: it says that nothing was decided. Ping says so by its Status."""


def precedence_words(operation: str) -> str:
    """The sentence for the documentation of an operation; empty when it refuses nothing."""
    steps = PRECEDENCE[operation]
    return f"Answers, the first that applies: {', '.join(steps)}." if len(steps) > 1 else ""


@dataclass(frozen=True, slots=True)
class ResultCodeWords:
    """One line of the integrator's table."""

    code: ResultCode
    meaning: str
    advice: str
    retry: Retry
    operations: tuple[str, ...]
    """The operations that can answer with this code, in the order of the service."""


def result_codes() -> Sequence[ResultCodeWords]:
    """Every result code, in the order of the enumeration."""
    return [ResultCodeWords(code, *_MEANING_AND_ADVICE[code], code.retry, _answering(code)) for code in ResultCode]


def _answering(code: ResultCode) -> tuple[str, ...]:
    # Whoever can be refused can be told to come back.
    listed = ResultCode.OPERATION_NOT_ALLOWED if code is _AT_ANY_TIME else code
    return tuple(operation for operation, steps in PRECEDENCE.items() if listed in steps)


RETRIES: Final = {
    Retry.NO: "Sending the same again changes nothing. A fault speaks of its own message only: it says nothing of an "
    "earlier request with the same reference.",
    Retry.SAME_REFERENCE: "Nothing was decided: repeat the very same request with the same reference, signed anew.",
    Retry.LATER: "This reference is settled; the same payment may succeed later under a new reference. A question may "
    "be asked again later.",
}

FAULT_CODES: Final = {
    FaultCode.MALFORMED_MESSAGE: "The message is not the SOAP 1.1 message that this contract asks for.",
    FaultCode.SCHEMA_VIOLATION: "The message breaks the XSD; Violation says where and why.",
    FaultCode.SECURITY: "The message or its sender was not accepted. The operator can see the reason by ExchangeId.",
    FaultCode.MESSAGE_TOO_LARGE: "The message has too many bytes, elements, attributes or levels.",
    FaultCode.UNSUPPORTED_MEDIA_TYPE: "Only text/xml in UTF-8, without a content encoding, is accepted.",
    FaultCode.HEADER_NOT_UNDERSTOOD: "A SOAP header marked mustUnderstand is not known here.",
    FaultCode.CARD_NUMBER_PRESENT: "The message holds what looks like a full card number; it was not stored.",
    FaultCode.OVERLOADED: "Too many requests at once: repeat the same request a little later.",
    FaultCode.INTERNAL: "The gateway failed and nothing was decided: repeat the same request.",
}

FAULT_ADVICE: Final = {
    FaultCode.MALFORMED_MESSAGE: "Send one well-formed SOAP 1.1 envelope with one request of the WSDL, its "
    "SOAPAction or none, and no DTD.",
    FaultCode.SCHEMA_VIOLATION: "Put right what each Violation names.",
    FaultCode.SECURITY: "Check your clock, your certificate and what you sign, with `bankapi message check`; then ask "
    "the operator, with the ExchangeId.",
    FaultCode.MESSAGE_TOO_LARGE: "Send at most 256 KiB; a large register comes in parts.",
    FaultCode.UNSUPPORTED_MEDIA_TYPE: "Send Content-Type: text/xml; charset=utf-8, and no Content-Encoding.",
    FaultCode.HEADER_NOT_UNDERSTOOD: "Leave that header out.",
    FaultCode.CARD_NUMBER_PRESENT: "Send CardBin and CardLastFour only; a Reference that looks like a card number must "
    "have another form.",
    FaultCode.OVERLOADED: "Wait a moment, then send the same request with the same reference, signed anew.",
    FaultCode.INTERNAL: "Send the same request with the same reference, signed anew; tell the operator the ExchangeId.",
}
"""What a bank's developer does about a fault; said in tables only, not in the XSD."""

SERVICE_STATUSES: Final = {
    ServiceStatus.ACTIVE: "The service runs; payments are taken.",
    ServiceStatus.SUSPENDED: "Suspended for debt; payments are taken, and one that covers it restores the service.",
    ServiceStatus.BLOCKED: "Blocked; payments are not taken for now.",
    ServiceStatus.TERMINATED: "The contract has ended; a remaining debt can be paid by account number.",
}

PAYMENT_STATES: Final = {
    PaymentState.NEVER_SEEN: "No request with this reference has been decided. One that is still on its way may be: "
    "CancelPayment settles the reference.",
    PaymentState.REGISTERED: "The payment is booked.",
    PaymentState.DECLINED: "The payment was refused, and DeclineCode says why.",
    PaymentState.CANCELLED: "The payment was booked and then cancelled.",
    PaymentState.VOIDED: "The reference was cancelled before it was registered; it can never be used.",
}

EVENTS: Final = {
    Event.REGISTERED: "The payment was booked.",
    Event.DECLINED: "The payment was refused.",
    Event.CANCELLED: "A booked payment was cancelled; it is another event than its registration.",
    Event.VOIDED: "The reference was cancelled before it was registered.",
}

ROW_STATUSES: Final = {
    RowStatus.REGISTERED: "The payment stands.",
    RowStatus.CANCELLED: "Nothing of the payment stands.",
}

OUR_STATUSES: Final = {
    Event.REGISTERED: "The payment stood.",
    Event.CANCELLED: "The payment was cancelled by then.",
    Event.DECLINED: "The payment was refused.",
    Event.VOIDED: "The reference was cancelled before it was registered.",
}

REGISTER_STATUSES: Final = {
    RegisterStatus.INCOMPLETE: "Parts are missing: send them.",
    RegisterStatus.PENDING: "Complete, and about to be reconciled: ask GetReconciliation in a while.",
    RegisterStatus.RECONCILED: "Reconciled; the differences are there.",
    RegisterStatus.REJECTED: "Complete, but its rows are not what RowCount and HashTotal say: it is not reconciled.",
}

DIFFERENCE_KINDS: Final = {
    DifferenceKind.DUPLICATE: "The reference has a row already; this is a further one.",
    DifferenceKind.MISSING_HERE: "You have it, and we know nothing of the reference.",
    DifferenceKind.AMOUNT_DIFFERS: "Amount or currency differ.",
    DifferenceKind.STATUS_DIFFERS: "It stands on one side only.",
    DifferenceKind.OTHER_DAY: "We have it, but nothing happened to it on this business day.",
    DifferenceKind.MISSING_THERE: "We have it, and you do not.",
}

SCHEMES: Final = {
    Scheme.CREDIT_ADJUSTMENT: "The dealer settles afterwards: its balance is what it owes, a negative amount.",
    Scheme.DEBIT_ADJUSTMENT: "The dealer paid ahead: its balance is what is left of the deposit.",
}

CANCEL_REASONS: Final = {
    CancelReason.CUSTOMER_REQUEST: "The customer asked for it.",
    CancelReason.TERMINAL_FAULT: "The terminal failed, for example to accept or to dispense money.",
    CancelReason.TIMEOUT: "The answer to the registration was lost, and the money was returned.",
    CancelReason.DUPLICATE: "The payment was sent twice, under two references.",
    CancelReason.FRAUD_SUSPECTED: "The payment is suspected to be fraud.",
    CancelReason.OTHER: "Any other reason.",
}

TRANSACTION_KINDS: Final = {
    TransactionKind.PAYMENT: "A payment, from any dealer.",
    TransactionKind.CANCELLATION: "A payment was cancelled.",
    TransactionKind.CHARGE: "The customer used the service.",
    TransactionKind.OPENING: "The balance that the account began with.",
    TransactionKind.CORRECTION: "The operator put something right.",
}
"""What moves a customer's balance; DEPOSIT and SETTLEMENT move only a dealer's."""

SERVICE_STATES: Final = {
    ServiceState.AVAILABLE: "Payments are being registered.",
    ServiceState.DEGRADED: "Payments are being registered, but slowly or not for every customer.",
    ServiceState.UNAVAILABLE: "Payments cannot be registered now.",
}
