"""What every code of the contract means, in the words the XSD publishes to a bank's developer.

A test proves that no code of `bankapi.refusals`, `operations` or `billing` is left without words.
"""

from typing import Final

from bankapi.billing.payers import ServiceStatus
from bankapi.operations.get_payment_status import PaymentState
from bankapi.operations.ping import ServiceState
from bankapi.refusals import FaultCode, ResultCode, Retry

RESULT_CODES: Final = {
    ResultCode.OK: "Done as asked.",
    ResultCode.PAYER_NOT_FOUND: "No customer has this number.",
    ResultCode.PAYER_BLOCKED: "Payments for this customer are blocked for now.",
    ResultCode.SERVICE_TERMINATED: "The customer's service contract has ended; nothing can be paid under this number.",
    ResultCode.AMOUNT_TOO_SMALL: "The amount is below the minimum.",
    ResultCode.AMOUNT_TOO_LARGE: "The amount is above the maximum.",
    ResultCode.LIMIT_EXCEEDED: "A daily limit of the terminal, the dealer or the payer would be exceeded.",
    ResultCode.CURRENCY_NOT_ACCEPTED: "Payments in this currency are not accepted from this dealer.",
    ResultCode.DEALER_FUNDS_INSUFFICIENT: "The dealer's deposit does not cover the payment.",
    ResultCode.REFERENCE_CONFLICT: "The reference was used for a payment with another payer, amount or currency.",
    ResultCode.REFERENCE_VOIDED: "The reference was cancelled before it was registered; it can never be used.",
    ResultCode.PAYMENT_NOT_FOUND: "The dealer has no such payment.",
    ResultCode.ALREADY_CANCELLED: "The payment is cancelled already.",
    ResultCode.CANCEL_WINDOW_CLOSED: "It is too late to cancel this payment.",
    ResultCode.FUNDS_ALREADY_USED: "The customer has used the money; the payment cannot be cancelled.",
    ResultCode.AMOUNT_MISMATCH: "The amount differs from the payment's.",
    ResultCode.OPERATION_NOT_ALLOWED: "This terminal may not call this operation.",
    ResultCode.TEMPORARILY_UNAVAILABLE: "Nothing was decided: repeat the same request under the same reference.",
}

RETRIES: Final = {
    Retry.NO: "The answer is final; asking again changes nothing.",
    Retry.SAME_REFERENCE: "Nothing was decided: repeat the very same request with the same reference, signed anew.",
    Retry.LATER: "This reference is settled; the same payment may succeed later under a new reference.",
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

SERVICE_STATUSES: Final = {
    ServiceStatus.ACTIVE: "The service runs; payments are taken.",
    ServiceStatus.SUSPENDED: "Suspended for debt; payments are taken, and one that covers it restores the service.",
    ServiceStatus.BLOCKED: "Blocked; payments are not taken for now.",
    ServiceStatus.TERMINATED: "The contract has ended; a remaining debt can be paid by account number.",
}

PAYMENT_STATES: Final = {
    PaymentState.NEVER_SEEN: "No request with this reference has reached us: registering it is safe.",
    PaymentState.REGISTERED: "The payment is booked.",
    PaymentState.DECLINED: "The payment was refused, and DeclineCode says why.",
    PaymentState.CANCELLED: "The payment was booked and then cancelled.",
    PaymentState.VOIDED: "The reference was cancelled before it was registered; it can never be used.",
}

SERVICE_STATES: Final = {
    ServiceState.AVAILABLE: "Payments are being registered.",
    ServiceState.DEGRADED: "Payments are being registered, but slowly or not for every customer.",
    ServiceState.UNAVAILABLE: "Payments cannot be registered now.",
}
