"""The sentence for every result and fault, in the language asked for."""

from typing import Final

from bankapi.languages.texts import message, texts
from bankapi.refusals import FaultCode, ResultCode

_RESULTS: Final = {
    ResultCode.OK: message("Done."),
    ResultCode.PAYER_NOT_FOUND: message("No customer has this number."),
    ResultCode.PAYER_BLOCKED: message("Payments for this customer are blocked."),
    ResultCode.SERVICE_TERMINATED: message("The service contract has ended."),
    ResultCode.AMOUNT_TOO_SMALL: message("The amount is below the minimum."),
    ResultCode.AMOUNT_TOO_LARGE: message("The amount is above the maximum."),
    ResultCode.LIMIT_EXCEEDED: message("A limit would be exceeded."),
    ResultCode.CURRENCY_NOT_ACCEPTED: message("This currency is not accepted."),
    ResultCode.DEALER_FUNDS_INSUFFICIENT: message("The dealer's funds are insufficient."),
    ResultCode.REFERENCE_CONFLICT: message("This reference was used for another payment."),
    ResultCode.REFERENCE_VOIDED: message("This reference was cancelled before it was registered."),
    ResultCode.PAYMENT_NOT_FOUND: message("No such payment."),
    ResultCode.ALREADY_CANCELLED: message("The payment is already cancelled."),
    ResultCode.CANCEL_WINDOW_CLOSED: message("It is too late to cancel this payment."),
    ResultCode.FUNDS_ALREADY_USED: message("The funds have already been used."),
    ResultCode.AMOUNT_MISMATCH: message("The amount differs from the payment's."),
    ResultCode.PERIOD_NOT_ACCEPTED: message("This period or day is not accepted."),
    ResultCode.CURSOR_NOT_ACCEPTED: message("This cursor does not belong to this question."),
    ResultCode.REGISTER_NOT_FOUND: message("No such register."),
    ResultCode.REGISTER_CONFLICT: message("A register with this reference was sent with other contents."),
    ResultCode.REGISTER_TOTALS_DIFFER: message("The register's rows do not add up to its row count and hash total."),
    ResultCode.OPERATION_NOT_ALLOWED: message("This terminal may not do this."),
    ResultCode.TEMPORARILY_UNAVAILABLE: message("The service is temporarily unavailable."),
}

_FAULTS: Final = {
    FaultCode.MALFORMED_MESSAGE: message("The message is not a well-formed SOAP 1.1 request of this service."),
    FaultCode.SCHEMA_VIOLATION: message(
        "The message does not conform to the XML schema; the detail says where and why."
    ),
    FaultCode.SECURITY: message(
        "Refused by the security policy. A registered, unblocked terminal must send and sign: Body and a fresh"
        " Timestamp, RSA-SHA256 or ECDSA-SHA256 with SHA-256 digests, exclusive canonicalization, a signature used"
        " once (sign a retry anew, with new ids). Stacks that default to SHA-1 need a setting, such as CXF's"
        " ws-security.asymmetric.signature.algorithm = http://www.w3.org/2001/04/xmldsig-more#rsa-sha256."
        " The operator finds the reason under the exchange id."
    ),
    FaultCode.MESSAGE_TOO_LARGE: message("The message is larger or more deeply nested than this service accepts."),
    FaultCode.UNSUPPORTED_MEDIA_TYPE: message("Send text/xml in UTF-8, without a content encoding or attachments."),
    FaultCode.HEADER_NOT_UNDERSTOOD: message("A header marked mustUnderstand is not understood."),
    FaultCode.CARD_NUMBER_PRESENT: message(
        "The message holds a full card number. Send the BIN and the last four digits only."
    ),
    FaultCode.OVERLOADED: message(
        "The service cannot take the request now. Repeat it with the same reference, signed anew."
    ),
    FaultCode.INTERNAL: message("The service failed. Repeat the request with the same reference, signed anew."),
}


def result_message(code: ResultCode, language: str) -> tuple[str, str]:
    """The sentence for a result, and the language it is really in (BCP 47)."""
    spoken = texts(language)
    return spoken.gettext(_RESULTS[code]), spoken.language


def fault_message(code: FaultCode, language: str) -> tuple[str, str]:
    """The sentence for a fault, and the language it is really in. It depends on code and language alone."""
    spoken = texts(language)
    return spoken.gettext(_FAULTS[code]), spoken.language
