"""What commands take: each kind of value is read by one function, which says what is wrong with it.

The patterns are the contract's own: what staff enter here, a terminal can ask for.
"""

import re
import unicodedata
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import click

from bankapi.billing.money import AmountError, Money
from bankapi.billing.payers import ServiceStatus
from bankapi.billing.terminals import Scheme
from bankapi.contract import types as contract

Command = Callable[..., Any]
Read = Callable[[str], Any]
"""Reads one value; ValueError with what is wrong, without the value itself."""

_FORBIDDEN: Final = frozenset({"Cc", "Cn", "Co", "Cs"})
"""Unicode categories that a name has no use for, and that XML partly cannot carry."""


def _matching(pattern: str, shortest: int, longest: int, what: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def read(text: str) -> str:
        if not (shortest <= len(text) <= longest and compiled.fullmatch(text)):
            raise ValueError(f"is not {what}")
        return text

    return read


def _contract(model: Any, what: str) -> Callable[[str], str]:
    facets = model.Attributes
    return _matching(facets.pattern, facets.min_len, facets.max_len, what)


read_currency: Final = _contract(contract.CurrencyCode, "an ISO 4217 code of three capital letters")
read_language: Final = _contract(contract.Language, "a language tag such as en or pt-BR")
read_msisdn: Final = _contract(contract.Msisdn, "a phone number in E.164 without the plus sign")
read_bin: Final = _contract(contract.CardBin, "the first 6 to 8 digits of a card number")
read_number: Final = _contract(contract.AccountNumber, "a number of 1 to 20 letters, digits and hyphens")
# The name of a dealer or terminal becomes part of certificates, receipts and file names.
read_name: Final = _matching(
    r"[A-Za-z0-9][A-Za-z0-9._-]*", 1, 64, "a name of 1 to 64 letters, digits, '.', '_' and '-'"
)
_amount: Final = _matching(r"-?[0-9]{1,13}(\.[0-9]{1,4})?", 1, 19, "an amount such as 100.00")
_rate: Final = _matching(contract.Rate.Attributes.pattern, 1, 25, "a rate with at most 12 digits on each side")
_hexadecimal: Final = _matching(r"[0-9a-f]{64}", 64, 64, "a SHA-256 fingerprint of 64 hexadecimal digits")


def read_person(text: str) -> str:
    """A customer's name: one line of printable text."""
    if not text.strip() or len(text) > 200:
        raise ValueError("is not a name of 1 to 200 characters")
    if not text.isprintable() and any(unicodedata.category(character) in _FORBIDDEN for character in text):
        raise ValueError("has control characters")
    return text.strip()


def read_amount(text: str) -> Decimal:
    """Major units; its currency decides later how many decimals it may have."""
    return Decimal(_amount(text))


def read_positive_amount(text: str) -> Decimal:
    amount = read_amount(text)
    if amount <= 0:
        raise ValueError("is not more than zero")
    return amount


def read_rate(text: str) -> Decimal:
    rate = Decimal(_rate(text))
    if rate <= 0:
        raise ValueError("is not more than zero")
    return rate


def read_instant(text: str) -> datetime:
    """ISO 8601 with a time zone: an instant without one means something else to everybody."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is not an instant such as 2026-03-01T12:00:00Z") from None
    if instant.tzinfo is None:
        raise ValueError("needs a time zone: Z or an offset")
    return instant


def read_time_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ValueError, OSError, KeyError):
        raise ValueError("is not a time zone such as Europe/Moscow") from None
    return text


def read_fingerprint(text: str) -> bytes:
    """As `openssl x509 -fingerprint -sha256` prints it, or without the colons."""
    return bytes.fromhex(_hexadecimal(text.replace(":", "").lower()))


def read_service_status(text: str) -> ServiceStatus:
    try:
        return ServiceStatus(text.upper())
    except ValueError:
        raise ValueError(f"is none of {', '.join(ServiceStatus)}") from None


def several(read: Read, separator: str = ",") -> Read:
    """One or more values, none of them twice."""

    def read_all(text: str) -> tuple[Any, ...]:
        values = tuple(read(part.strip()) for part in text.split(separator))
        if len(set(values)) < len(values):
            raise ValueError("names something twice")
        return values

    return read_all


class Value(click.ParamType[Any]):
    """A click parameter read by one of the functions above."""

    def __init__(self, read: Read, name: str) -> None:
        self.read = read
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self.read(value)
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)


NAME: Final = Value(read_name, "name")
CURRENCY: Final = Value(read_currency, "code")
CURRENCIES: Final = Value(several(read_currency), "code,...")
LANGUAGE: Final = Value(read_language, "tag")
NUMBER: Final = Value(read_number, "number")
MSISDN: Final = Value(read_msisdn, "msisdn")
PERSON: Final = Value(read_person, "name")
AMOUNT: Final = Value(read_amount, "amount")
POSITIVE_AMOUNT: Final = Value(read_positive_amount, "amount")
RATE: Final = Value(read_rate, "rate")
INSTANT: Final = Value(read_instant, "instant")
TIME_ZONE: Final = Value(read_time_zone, "zone")
FINGERPRINT: Final = Value(read_fingerprint, "hex")
DAY: Final = click.DateTime(["%Y-%m-%d"])
STATUS: Final = Value(read_service_status, "status")


SCHEMES: Final = {"credit": Scheme.CREDIT_ADJUSTMENT, "debit": Scheme.DEBIT_ADJUSTMENT}
"""What commands call the schemes."""


def money(amount: Decimal, currency: str) -> Money:
    """An amount in its currency; a usage error when the currency has fewer decimals."""
    try:
        return Money.from_decimal(amount, currency)
    except AmountError as error:
        raise click.UsageError(f"{amount}: {error}") from error


def given(values: dict[str, Any], *names: str) -> dict[str, Any]:
    """What was said of these, by name; what was left out is to stay as it is."""
    return {name: values[name] for name in names if values[name] is not None}
