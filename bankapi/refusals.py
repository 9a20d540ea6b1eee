"""How we say no, in three words that are never mixed.

- A **Result** is a business answer, "no" included: it travels in a normal response (`ResultCode`, `Retry`).
- A **Refusal** is our technical "no" to a message that breaks the profile: one `Rule` names exactly what was
  broken. The rule goes to the journal; the caller sees the rule's `FaultCode`.
- A **Failure** is ours: we are broken or overloaded, and the caller did nothing wrong.

`gateway/faults.py` alone turns refusals and failures into SOAP faults.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum


class Retry(StrEnum):
    """What the caller may do next."""

    NO = "NO"
    """The answer is final; asking again changes nothing."""
    SAME_REFERENCE = "SAME_REFERENCE"
    """Nothing was decided for this reference: repeat the very same request, signed anew."""
    LATER = "LATER"
    """This reference is settled; the same payment may succeed later under a new reference."""


class ResultCode(StrEnum):
    """Business outcomes, as published in the contract (`ResultCode` in the XSD)."""

    OK = "OK"
    PAYER_NOT_FOUND = "PAYER_NOT_FOUND"
    PAYER_BLOCKED = "PAYER_BLOCKED"
    SERVICE_TERMINATED = "SERVICE_TERMINATED"
    AMOUNT_TOO_SMALL = "AMOUNT_TOO_SMALL"
    AMOUNT_TOO_LARGE = "AMOUNT_TOO_LARGE"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    CURRENCY_NOT_ACCEPTED = "CURRENCY_NOT_ACCEPTED"
    DEALER_FUNDS_INSUFFICIENT = "DEALER_FUNDS_INSUFFICIENT"
    REFERENCE_CONFLICT = "REFERENCE_CONFLICT"
    REFERENCE_VOIDED = "REFERENCE_VOIDED"
    PAYMENT_NOT_FOUND = "PAYMENT_NOT_FOUND"
    ALREADY_CANCELLED = "ALREADY_CANCELLED"
    CANCEL_WINDOW_CLOSED = "CANCEL_WINDOW_CLOSED"
    FUNDS_ALREADY_USED = "FUNDS_ALREADY_USED"
    AMOUNT_MISMATCH = "AMOUNT_MISMATCH"
    PERIOD_NOT_ACCEPTED = "PERIOD_NOT_ACCEPTED"
    CURSOR_NOT_ACCEPTED = "CURSOR_NOT_ACCEPTED"
    REGISTER_NOT_FOUND = "REGISTER_NOT_FOUND"
    REGISTER_CONFLICT = "REGISTER_CONFLICT"
    REGISTER_TOTALS_DIFFER = "REGISTER_TOTALS_DIFFER"
    OPERATION_NOT_ALLOWED = "OPERATION_NOT_ALLOWED"
    TEMPORARILY_UNAVAILABLE = "TEMPORARILY_UNAVAILABLE"

    @property
    def retry(self) -> Retry:
        """The hint that always goes with this code."""
        return _RETRY.get(self, Retry.NO)


_RETRY = {
    ResultCode.LIMIT_EXCEEDED: Retry.LATER,
    ResultCode.DEALER_FUNDS_INSUFFICIENT: Retry.LATER,
    ResultCode.PAYER_BLOCKED: Retry.LATER,
    ResultCode.TEMPORARILY_UNAVAILABLE: Retry.SAME_REFERENCE,
}


class FaultCode(StrEnum):
    """The typed faults of the contract (`FaultCode` in the XSD)."""

    MALFORMED_MESSAGE = "MALFORMED_MESSAGE"
    SCHEMA_VIOLATION = "SCHEMA_VIOLATION"
    SECURITY = "SECURITY"
    MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    HEADER_NOT_UNDERSTOOD = "HEADER_NOT_UNDERSTOOD"
    CARD_NUMBER_PRESENT = "CARD_NUMBER_PRESENT"
    OVERLOADED = "OVERLOADED"
    INTERNAL = "INTERNAL"

    @property
    def retry(self) -> Retry:
        """The hint that always goes with this fault: ours are worth repeating, the caller's are not."""
        return Retry.SAME_REFERENCE if self in (FaultCode.OVERLOADED, FaultCode.INTERNAL) else Retry.NO


class Rule(Enum):
    """Every rule a message can break: its name in the journal, and the fault the caller sees.

    The security rules share one outward fault on purpose: an attacker learns nothing, the operator everything.
    """

    # HTTP and size, before a parser sees a byte (gateway/envelope)
    HTTP_MEDIA_TYPE = "http.media-type", FaultCode.UNSUPPORTED_MEDIA_TYPE
    HTTP_CHARSET = "http.charset", FaultCode.UNSUPPORTED_MEDIA_TYPE
    HTTP_CONTENT_ENCODING = "http.content-encoding", FaultCode.UNSUPPORTED_MEDIA_TYPE
    HTTP_CONTENT_LENGTH = "http.content-length", FaultCode.MALFORMED_MESSAGE
    HTTP_BODY_INCOMPLETE = "http.body-incomplete", FaultCode.MALFORMED_MESSAGE
    SIZE_BYTES = "size.bytes", FaultCode.MESSAGE_TOO_LARGE
    SIZE_DEPTH = "size.depth", FaultCode.MESSAGE_TOO_LARGE
    SIZE_ELEMENTS = "size.elements", FaultCode.MESSAGE_TOO_LARGE
    SIZE_ATTRIBUTES = "size.attributes", FaultCode.MESSAGE_TOO_LARGE
    SIZE_NAMESPACES = "size.namespaces", FaultCode.MESSAGE_TOO_LARGE
    # XML 1.0 as SOAP 1.1 (section 3) and WS-I BP 1.1 (R1008, R1009) allow it
    XML_NOT_UTF8 = "xml.not-utf8", FaultCode.MALFORMED_MESSAGE
    XML_NOT_WELL_FORMED = "xml.not-well-formed", FaultCode.MALFORMED_MESSAGE
    XML_DOCTYPE = "xml.doctype", FaultCode.MALFORMED_MESSAGE
    XML_ENTITY = "xml.entity", FaultCode.MALFORMED_MESSAGE
    XML_COMMENT = "xml.comment", FaultCode.MALFORMED_MESSAGE
    XML_PROCESSING_INSTRUCTION = "xml.processing-instruction", FaultCode.MALFORMED_MESSAGE
    XML_DUPLICATE_ID = "xml.duplicate-id", FaultCode.SECURITY
    # SOAP 1.1 envelope
    SOAP_NOT_AN_ENVELOPE = "soap.not-an-envelope", FaultCode.MALFORMED_MESSAGE
    SOAP_STRUCTURE = "soap.structure", FaultCode.MALFORMED_MESSAGE
    SOAP_BODY_CHILDREN = "soap.body-children", FaultCode.MALFORMED_MESSAGE
    SOAP_STRAY_TEXT = "soap.stray-text", FaultCode.MALFORMED_MESSAGE
    SOAP_ACTION_DIFFERS = "soap.action-differs", FaultCode.MALFORMED_MESSAGE
    SOAP_MUST_UNDERSTAND = "soap.must-understand", FaultCode.HEADER_NOT_UNDERSTOOD
    XOP_INCLUDE = "xop.include", FaultCode.MALFORMED_MESSAGE
    # Contract
    SCHEMA = "schema", FaultCode.SCHEMA_VIOLATION
    CARD_NUMBER = "card-number", FaultCode.CARD_NUMBER_PRESENT
    # WS-Security 1.0/1.1, X.509 token profile, Basic Security Profile 1.1 (wsse)
    WSSE_HEADER_MISSING = "wsse.header-missing", FaultCode.SECURITY
    WSSE_HEADER_DUPLICATE = "wsse.header-duplicate", FaultCode.SECURITY
    WSSE_HEADER_CHILDREN = "wsse.header-children", FaultCode.SECURITY
    WSSE_ACTOR = "wsse.actor", FaultCode.SECURITY
    WSSE_TIMESTAMP_FORM = "wsse.timestamp-form", FaultCode.SECURITY
    WSSE_TIMESTAMP_LIFE = "wsse.timestamp-life", FaultCode.SECURITY
    WSSE_TIMESTAMP_EXPIRED = "wsse.timestamp-expired", FaultCode.SECURITY
    WSSE_TIMESTAMP_FUTURE = "wsse.timestamp-future", FaultCode.SECURITY
    WSSE_TOKEN_FORM = "wsse.token-form", FaultCode.SECURITY
    WSSE_TOKEN_REFERENCE = "wsse.token-reference", FaultCode.SECURITY
    WSSE_TOKEN_UNKNOWN = "wsse.token-unknown", FaultCode.SECURITY
    WSSE_CERTIFICATE_KEY = "wsse.certificate-key", FaultCode.SECURITY
    WSSE_CERTIFICATE_USAGE = "wsse.certificate-usage", FaultCode.SECURITY
    WSSE_CERTIFICATE_UNTRUSTED = "wsse.certificate-untrusted", FaultCode.SECURITY
    WSSE_CERTIFICATE_VALIDITY = "wsse.certificate-validity", FaultCode.SECURITY
    WSSE_SIGNATURE_FORM = "wsse.signature-form", FaultCode.SECURITY
    WSSE_SIGNATURE_ALGORITHM = "wsse.signature-algorithm", FaultCode.SECURITY
    WSSE_DIGEST_ALGORITHM = "wsse.digest-algorithm", FaultCode.SECURITY
    WSSE_CANONICALIZATION = "wsse.canonicalization", FaultCode.SECURITY
    WSSE_TRANSFORM = "wsse.transform", FaultCode.SECURITY
    WSSE_REFERENCE_COUNT = "wsse.reference-count", FaultCode.SECURITY
    WSSE_REFERENCE_TARGET = "wsse.reference-target", FaultCode.SECURITY
    WSSE_REFERENCE_DUPLICATE = "wsse.reference-duplicate", FaultCode.SECURITY
    WSSE_BODY_NOT_SIGNED = "wsse.body-not-signed", FaultCode.SECURITY
    WSSE_TIMESTAMP_NOT_SIGNED = "wsse.timestamp-not-signed", FaultCode.SECURITY
    WSSE_SIGNATURE_INVALID = "wsse.signature-invalid", FaultCode.SECURITY
    WSSE_REPLAY = "wsse.replay", FaultCode.SECURITY
    # The terminal account: gateway/tls and gateway/admission
    TLS_NO_CERTIFICATE = "tls.no-certificate", FaultCode.SECURITY
    TLS_CERTIFICATE_UNKNOWN = "tls.certificate-unknown", FaultCode.SECURITY
    ADMISSION_SIGNER_UNKNOWN = "admission.signer-unknown", FaultCode.SECURITY
    ADMISSION_SIGNER_NOT_TLS_PEER = "admission.signer-not-tls-peer", FaultCode.SECURITY
    ADMISSION_CERTIFICATE_WINDOW = "admission.certificate-window", FaultCode.SECURITY
    ADMISSION_CERTIFICATE_REVOKED = "admission.certificate-revoked", FaultCode.SECURITY
    ADMISSION_TERMINAL_BLOCKED = "admission.terminal-blocked", FaultCode.SECURITY
    ADMISSION_DEALER_BLOCKED = "admission.dealer-blocked", FaultCode.SECURITY
    ADMISSION_TERMINAL_UNKNOWN = "admission.terminal-unknown", FaultCode.SECURITY
    ADMISSION_SIGNATURE_REQUIRED = "admission.signature-required", FaultCode.SECURITY
    # UFX, public subset (way4)
    WAY4_NOT_UFX = "way4.not-ufx", FaultCode.MALFORMED_MESSAGE
    WAY4_MESSAGE_CODE = "way4.message-code", FaultCode.SCHEMA_VIOLATION
    WAY4_FIELD = "way4.field", FaultCode.SCHEMA_VIOLATION

    def __init__(self, journal_name: str, fault: FaultCode) -> None:
        self.journal_name = journal_name
        self.fault = fault


@dataclass(frozen=True, slots=True)
class SchemaViolation:
    """Where and why a message breaks the XSD, without the offending value.

    `path` is an XPath of the contract's names, `rule` the XSD facet or constraint, `reason` a sentence.
    """

    path: str
    rule: str
    reason: str


class Refusal(Exception):
    """A message breaks one rule. Carries no part of the message.

    `violations` explain a `Rule.SCHEMA`; `detail` is for the journal only and never holds a value from the wire.
    """

    def __init__(self, rule: Rule, detail: str = "", violations: tuple[SchemaViolation, ...] = ()) -> None:
        super().__init__(f"{rule.journal_name} {detail}".rstrip())
        self.rule = rule
        self.detail = detail
        self.violations = violations


class Failure(Exception):
    """We cannot answer now, and the caller did nothing wrong; `code` is OVERLOADED or INTERNAL."""

    def __init__(self, code: FaultCode, detail: str = "") -> None:
        super().__init__(f"{code} {detail}".rstrip())
        self.code = code
        self.detail = detail
