"""The texts a payer or cashier sees. One language so far; each text has a stable id."""

from typing import Final

from bankapi.refusals import ResultCode

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


def result_message(code: ResultCode, language: str) -> tuple[str, str]:
    """The sentence for a result, and the language it is really in (BCP 47)."""
    return _RESULTS[code], DEFAULT_LANGUAGE
