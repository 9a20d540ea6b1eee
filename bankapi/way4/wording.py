"""The sentence of an answer that is no result: what was wrong with a message, in words that fit UFX."""

from typing import Final

from bankapi.languages.texts import message, texts
from bankapi.refusals import FaultCode, Rule, SchemaViolation

_MALFORMED: Final = message("This is not a UFX message of the public subset that is accepted here.")
_UNAVAILABLE: Final = message("The service cannot take the message now. Send the same message again.")
_SENTENCES: Final = {
    FaultCode.MALFORMED_MESSAGE: _MALFORMED,
    FaultCode.SCHEMA_VIOLATION: message("A value of the message is missing or has a form that is not accepted."),
    FaultCode.SECURITY: message("This sender or this terminal is not accepted."),
    FaultCode.MESSAGE_TOO_LARGE: message("The message is larger or more deeply nested than this service accepts."),
    FaultCode.UNSUPPORTED_MEDIA_TYPE: message("Send text/xml or application/xml in UTF-8, not compressed."),
    FaultCode.HEADER_NOT_UNDERSTOOD: _MALFORMED,
    FaultCode.CARD_NUMBER_PRESENT: message("There is a card number where none may be."),
    FaultCode.OVERLOADED: _UNAVAILABLE,
    FaultCode.INTERNAL: _UNAVAILABLE,
}
_UNKNOWN_CODE: Final = message("This message code is not known here.")


def refusal_text(code: FaultCode, rule: str, violations: tuple[SchemaViolation, ...], language: str) -> str:
    """The sentence, and the place in the message that is meant; the value that stands there is never repeated."""
    is_unknown_code = rule == Rule.WAY4_MESSAGE_CODE.journal_name
    sentence = texts(language).gettext(_UNKNOWN_CODE if is_unknown_code else _SENTENCES[code])
    return f"{sentence} ({violations[0].path})" if violations else sentence
