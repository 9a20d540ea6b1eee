"""The texts a payer or cashier sees. One language so far; each text has a stable id."""

from typing import Final

from bankapi.refusals import FaultCode, ResultCode

DEFAULT_LANGUAGE: Final = "en"

_RESULTS: Final = {
    ResultCode.OK: "Done.",
    ResultCode.PAYER_NOT_FOUND: "No customer has this number.",
    ResultCode.PAYER_BLOCKED: "Payments for this customer are blocked.",
    ResultCode.SERVICE_TERMINATED: "The service contract has ended.",
    ResultCode.AMOUNT_TOO_SMALL: "The amount is below the minimum.",
    ResultCode.AMOUNT_TOO_LARGE: "The amount is above the maximum.",
    ResultCode.LIMIT_EXCEEDED: "A limit would be exceeded.",
    ResultCode.CURRENCY_NOT_ACCEPTED: "This currency is not accepted.",
    ResultCode.DEALER_FUNDS_INSUFFICIENT: "The dealer's funds are insufficient.",
    ResultCode.REFERENCE_CONFLICT: "This reference was used for another payment.",
    ResultCode.REFERENCE_VOIDED: "This reference was cancelled before it was registered.",
    ResultCode.PAYMENT_NOT_FOUND: "No such payment.",
    ResultCode.ALREADY_CANCELLED: "The payment is already cancelled.",
    ResultCode.CANCEL_WINDOW_CLOSED: "It is too late to cancel this payment.",
    ResultCode.FUNDS_ALREADY_USED: "The funds have already been used.",
    ResultCode.AMOUNT_MISMATCH: "The amount differs from the payment's.",
    ResultCode.OPERATION_NOT_ALLOWED: "This terminal may not do this.",
    ResultCode.TEMPORARILY_UNAVAILABLE: "The service is temporarily unavailable.",
}

_FAULTS: Final = {
    FaultCode.MALFORMED_MESSAGE: "The message is not a well-formed SOAP 1.1 request of this service.",
    FaultCode.SCHEMA_VIOLATION: "The message does not conform to the XML schema; the detail says where and why.",
    FaultCode.SECURITY: (
        "Refused by the security policy. A registered, unblocked terminal must send and sign: Body and a fresh"
        " Timestamp, RSA-SHA256 or ECDSA-SHA256 with SHA-256 digests, exclusive canonicalization, a signature used"
        " once (sign a retry anew, with new ids). Stacks that default to SHA-1 need a setting, such as CXF's"
        " ws-security.asymmetric.signature.algorithm = http://www.w3.org/2001/04/xmldsig-more#rsa-sha256."
        " The operator finds the reason under the exchange id."
    ),
    FaultCode.MESSAGE_TOO_LARGE: "The message is larger or more deeply nested than this service accepts.",
    FaultCode.UNSUPPORTED_MEDIA_TYPE: "Send text/xml in UTF-8, without a content encoding or attachments.",
    FaultCode.HEADER_NOT_UNDERSTOOD: "A header marked mustUnderstand is not understood.",
    FaultCode.CARD_NUMBER_PRESENT: "The message holds a full card number. Send the BIN and the last four digits only.",
    FaultCode.OVERLOADED: "The service cannot take the request now. Repeat it with the same reference, signed anew.",
    FaultCode.INTERNAL: "The service failed. Repeat the request with the same reference, signed anew.",
}


def result_message(code: ResultCode, language: str) -> tuple[str, str]:
    """The sentence for a result, and the language it is really in (BCP 47)."""
    return _RESULTS[code], DEFAULT_LANGUAGE


def fault_message(code: FaultCode, language: str) -> tuple[str, str]:
    """The sentence for a fault, and the language it is really in. It depends on the code alone."""
    return _FAULTS[code], DEFAULT_LANGUAGE
