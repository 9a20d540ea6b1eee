"""The value types of the contract, as Spyne models: what the XSD publishes as simpleType and complexType.

A type is declared once, by name and with words for a bank's developer. Members of a message are these types,
`mandatory` or `optional`; nothing is ever nillable, so "absent" has one spelling (WS-I BP 1.1 leaves two).
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from spyne import ByteArray, ComplexModel, Date, DateTime, Decimal, Integer, Unicode, XmlAttribute, XmlData

from bankapi.contract import codes
from bankapi.operations import reporting
from bankapi.reports import registers

NAMESPACE: Final = "urn:bankapi:v1"
XML_NAMESPACE: Final = "http://www.w3.org/XML/1998/namespace"
SHA256_URI: Final = "http://www.w3.org/2001/04/xmlenc#sha256"

SIMPLE_TYPES: Final[list[Any]] = []
"""Every simpleType; Spyne overlooks those that only simple content uses."""
TYPE_WORDS: Final[dict[str, str]] = {}
"""simpleType name → its documentation; Spyne has no place for it, publication adds it."""
VALUE_WORDS: Final[dict[str, dict[str, str]]] = {}
"""Enumeration name → value → its documentation."""


def simple(base: Any, name: str, words: str, **facets: Any) -> Any:
    """A named simpleType restricting `base` by XSD facets."""
    TYPE_WORDS[name] = words
    facets |= {"type_name": name, "__namespace__": NAMESPACE}
    model = base(**facets)
    # Spyne's customize() takes the name away from a simple type: a member is declared anew with what made the type.
    model.customize = staticmethod(lambda **member: base(**facets, **member))
    SIMPLE_TYPES.append(model)
    return model


def text(name: str, words: str, pattern: str, longest: int, shortest: int = 1) -> Any:
    """A restricted string; `pattern` must mean the same to XSD and to Python's re."""
    return simple(Unicode, name, words, min_len=shortest, max_len=longest, pattern=pattern)


def enumeration(name: str, words: str, values: Mapping[Any, str]) -> Any:
    """A string of which only the given values exist, each with its own words."""
    VALUE_WORDS[name] = {str(value): meaning for value, meaning in values.items()}
    return simple(Unicode, name, words, values=[str(value) for value in values])


def mandatory(model: Any, words: str = "") -> Any:
    """A member that must be there, exactly once."""
    return model.customize(min_occurs=1, nillable=False, doc=words)


def optional(model: Any, words: str = "", most: int = 1) -> Any:
    """A member that may be absent, and may repeat up to `most` times."""
    return model.customize(min_occurs=0, max_occurs=most, nillable=False, doc=words)


def one_of(group: str, model: Any, words: str = "") -> Any:
    """A member of an xs:choice: exactly one member of the group must be there."""
    return model.customize(min_occurs=1, nillable=False, xml_choice_group=group, doc=words)


class Model(ComplexModel):
    """Base of every complexType, whose documentation is the docstring. Not published itself.

    Spyne's own constructor and setter serve databases and soft validation, which cost more here than the rest of a
    call; these set members and nothing else.
    """

    __namespace__ = NAMESPACE

    def __init__(self, **members: Any) -> None:
        absent: dict[str, None] = self._absent()
        if not members.keys() <= absent.keys():
            raise TypeError(f"{type(self).__name__} has no {members.keys() - absent.keys()}")
        self.__dict__.update(absent)
        self.__dict__.update(members)

    def _safe_set(self, key: str, value: Any, *_: Any) -> bool:
        self.__dict__[key] = value
        return True

    @classmethod
    @cache
    def _absent(cls) -> dict[str, None]:
        return dict.fromkeys(cls.get_flat_type_info(cls))


_LINE: Final = r"[^\n\r\t]+"
_CLOCK: Final = r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"

Language = text(
    "Language",
    "A language tag (BCP 47), for example ru or en-GB.",
    r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*",
    longest=35,
    shortest=2,
)
Msisdn = text(
    "Msisdn",
    "A telephone number in international form (E.164) without the plus sign, for example 79160000001.",
    r"[1-9][0-9]{6,14}",
    longest=15,
    shortest=7,
)
AccountNumber = text("AccountNumber", "The number of a billing account.", r"[0-9A-Za-z-]{1,20}", longest=20)
CustomerNumber = text("CustomerNumber", "The number of a customer.", r"[0-9A-Za-z-]{1,20}", longest=20)
Reference = text(
    "Reference",
    "Your own reference of a payment. Unique for your organisation, over all terminals and for ever.",
    r"[A-Za-z0-9._:/-]{1,64}",
    longest=64,
)
_ULID: Final = r"[0-7][0-9A-HJKMNP-TV-Z]{25}"
PaymentId = text("PaymentId", "Our identifier of a payment (a ULID).", _ULID, longest=26, shortest=26)
ValidationId = text("ValidationId", "Our identifier of a validation (a ULID).", _ULID, longest=26, shortest=26)
ReconciliationId = text(
    "ReconciliationId", "Our identifier of one comparison (a ULID).", _ULID, longest=26, shortest=26
)
ExchangeId = text(
    "ExchangeId",
    "Our identifier of one request and its answer (a ULID). Quote it when you ask the operator about a message.",
    _ULID,
    longest=26,
    shortest=26,
)
CurrencyCode = text(
    "CurrencyCode", "An alphabetic currency code (ISO 4217), for example RUB.", r"[A-Z]{3}", longest=3, shortest=3
)
CardBin = text(
    "CardBin",
    "The first 6 to 8 digits of a card number (ISO/IEC 7812). Never send a full card number: it is refused.",
    r"[0-9]{6,8}",
    longest=8,
    shortest=6,
)
CardLastFour = text("CardLastFour", "The last four digits of a card number.", r"[0-9]{4}", longest=4, shortest=4)
Rrn = text("Rrn", "A retrieval reference number (ISO 8583, field 37).", r"[0-9A-Za-z]{12}", longest=12, shortest=12)
AuthorizationCode = text(
    "AuthorizationCode",
    "An authorization identification response (ISO 8583, field 38).",
    r"[0-9A-Za-z]{6}",
    longest=6,
    shortest=6,
)
PayerName = text("PayerName", "A customer's name, masked unless your agreement says otherwise.", _LINE, longest=200)
ReceiptLine = text("ReceiptLine", "One line to print on the receipt.", _LINE, longest=120)
Sentence = text("Sentence", "A sentence for people. It may change at any time: decide by the code.", _LINE, longest=500)
ViolationPath = text("ViolationPath", "An XPath in the names of this contract.", _LINE, longest=500)
ViolationRule = text("ViolationRule", "The broken XSD facet or constraint.", r"[A-Za-z][A-Za-z0-9._:-]*", longest=64)
Version = text("Version", "A semantic version.", r"[0-9]+\.[0-9]+\.[0-9]+", longest=20, shortest=5)

ZonedTime = simple(
    DateTime,
    "ZonedTime",
    "An instant with a mandatory time zone: Z or an offset, for example 2026-11-23T15:00:00+03:00.",
    pattern=_CLOCK + r"(\.[0-9]{1,9})?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)",
)
UtcTime = simple(
    DateTime,
    "UtcTime",
    "An instant in UTC, for example 2026-11-23T12:00:00.123Z.",
    pattern=_CLOCK + r"(\.[0-9]{1,3})?Z",
)

BusinessDay = simple(
    Date,
    "BusinessDay",
    "A calendar day in your time zone, without an offset, for example 2026-11-23.",
    pattern=r"20[0-9]{2}-[0-9]{2}-[0-9]{2}",
)
Terminal = text("Terminal", "The name of one of your terminals.", r"[A-Za-z0-9][A-Za-z0-9._-]*", longest=64)
Cursor = text(
    "Cursor",
    "Where a page ended. Opaque: give it back as you got it, with the same question.",
    r"[A-Za-z0-9_-]+",
    longest=400,
)
PageSize = simple(
    Integer, "PageSize", "How many rows you want at once.", ge=1, le=reporting.PAGE_ROWS_MAX, pattern=r"[0-9]{1,3}"
)
PartNumber = simple(Integer, "PartNumber", "A number from 1 on.", ge=1, le=registers.PARTS_MAX, pattern=r"[0-9]{1,5}")
RowNumber = simple(Integer, "RowNumber", "Which row, from 1 on.", ge=1, le=99_999_999, pattern=r"[0-9]{1,8}")
HashTotal = simple(
    Decimal,
    "HashTotal",
    "The sum of the amounts of all rows in major units, whatever their currency and status: a checksum, not money.",
    ge=0,
    total_digits=22,
    fraction_digits=4,
    pattern=r"[0-9]{1,18}(\.[0-9]{1,4})?",
)
Sha256 = simple(ByteArray, "Sha256", "A SHA-256 digest: 32 bytes in base64.")
Count = simple(Integer, "Count", "How many.", ge=0, le=999_999_999, pattern=r"[0-9]{1,9}")

Checkpoint = simple(
    ByteArray,
    "Checkpoint",
    "The newest signed head of the journal of all exchanges: the bytes of a C2SP signed note (tlog-checkpoint).",
)

_DIGITS: Final[dict[str, Any]] = {"total_digits": 15, "fraction_digits": 4, "pattern": r"[0-9]{1,15}(\.[0-9]{1,4})?"}
PositiveDecimal = simple(Decimal, "PositiveDecimal", "More than zero, in major units.", gt=0, **_DIGITS)
NonNegativeDecimal = simple(Decimal, "NonNegativeDecimal", "Zero or more, in major units.", ge=0, **_DIGITS)
SignedDecimal = simple(
    Decimal,
    "SignedDecimal",
    "Less than, equal to or more than zero, in major units.",
    **_DIGITS | {"pattern": r"-?" + _DIGITS["pattern"]},
)
Rate = simple(
    Decimal,
    "Rate",
    "An exchange rate: units of the credited currency for one unit of the paid currency.",
    gt=0,
    total_digits=24,
    fraction_digits=12,
    pattern=r"[0-9]{1,12}(\.[0-9]{1,12})?",
)

ResultCode = enumeration(
    "ResultCode", "The business outcome. New values may be added: treat an unknown one as a no.", codes.RESULT_CODES
)
Retry = enumeration("Retry", "What you may do next.", codes.RETRIES)
FaultCode = enumeration(
    "FaultCode",
    "Why a message was refused or not processed. New values may be added: decide by Retry.",
    codes.FAULT_CODES,
)
ServiceStatus = enumeration(
    "ServiceStatus", "Whether the customer's service runs, and so whether payments are taken.", codes.SERVICE_STATUSES
)
PaymentState = enumeration("PaymentState", "What became of a reference.", codes.PAYMENT_STATES)
Event = enumeration("Event", "What happened to a payment. New values may be added.", codes.EVENTS)
RowStatus = enumeration("RowStatus", "What you say of a payment at the end of the business day.", codes.ROW_STATUSES)
OurStatus = enumeration("OurStatus", "What we have of a payment at the end of the business day.", codes.OUR_STATUSES)
RegisterStatus = enumeration(
    "RegisterStatus", "How far a register has come. New values may be added.", codes.REGISTER_STATUSES
)
DifferenceKind = enumeration(
    "DifferenceKind",
    "In what way the two sides differ. A row has one difference, the first of these that applies. "
    "New values may be added.",
    codes.DIFFERENCE_KINDS,
)
Scheme = enumeration("Scheme", "How a dealer's payments are booked.", codes.SCHEMES)
CancelReason = enumeration("CancelReason", "Why a payment is cancelled. New values may be added.", codes.CANCEL_REASONS)
TransactionKind = enumeration(
    "TransactionKind", "Why a customer's balance moved. New values may be added.", codes.TRANSACTION_KINDS
)
ServiceState = enumeration("ServiceState", "What to expect of the gateway now.", codes.SERVICE_STATES)
DigestAlgorithm = enumeration(
    "DigestAlgorithm", "A digest algorithm, by its URI in XML Encryption.", {SHA256_URI: "SHA-256 (FIPS 180-4)."}
)


class PositiveAmount(Model):
    """An amount of more than zero, with its currency. No more decimals than the currency has (ISO 4217)."""

    Value = XmlData(PositiveDecimal)
    currency = XmlAttribute(CurrencyCode, use="required")


class Amount(Model):
    """An amount of zero or more, with its currency. No more decimals than the currency has (ISO 4217)."""

    Value = XmlData(NonNegativeDecimal)
    currency = XmlAttribute(CurrencyCode, use="required")


class SignedAmount(Model):
    """An amount that may be negative, with its currency. No more decimals than the currency has (ISO 4217)."""

    Value = XmlData(SignedDecimal)
    currency = XmlAttribute(CurrencyCode, use="required")


class Message(Model):
    """A sentence for people; xml:lang, always there, says in which language. It may change: decide by the code."""

    Value = XmlData(Sentence)
    lang = XmlAttribute(Language, use="required", ns=XML_NAMESPACE)


class Payer(Model):
    """Who is paid for: exactly one of the identifiers."""

    Msisdn = one_of("key", Msisdn)
    AccountNumber = one_of("key", AccountNumber)
    CustomerNumber = one_of("key", CustomerNumber)


def expanded(name: str) -> str:
    """A name of this contract as lxml writes it."""
    return f"{{{NAMESPACE}}}{name}"
