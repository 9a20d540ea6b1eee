"""What stands in a register file, in either form: each value is read by one function, which says what is wrong.

The patterns are those of `schemas/bankapi-register-v1.xsd`; a test compares them. What is wrong is said by its place,
never by its content. No value can be a formula that a spreadsheet would run: there is no sign, parenthesis or bar in
any, only hyphens.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from bankapi.billing.money import AmountError, Money
from bankapi.reports.registers import PART_ROWS_MAX, PARTS_MAX, REFERENCE, RegisterRow, RowStatus, Totals, total_text

REQUIRED: Final = ("reference", "status", "amount", "currency")
OPTIONAL: Final = ("occurred_at", "terminal", "payment_id")
MISTAKES_SHOWN_MAX: Final = 100

AMOUNT: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,4})?")
CURRENCY: Final = re.compile(r"[A-Z]{3}")
INSTANT: Final = re.compile(
    r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?"
    r"(Z|[+\-](0[0-9]|1[0-3]):[0-5][0-9]|[+\-]14:00)"
)
TERMINAL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}")
PAYMENT_ID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
DAY: Final = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}")
ROW_COUNT: Final = re.compile(r"[0-9]{1,8}")
HASH_TOTAL: Final = re.compile(r"[0-9]{1,18}(\.[0-9]{1,4})?")
_ROWS_MAX: Final = PART_ROWS_MAX * PARTS_MAX

Read = Callable[[str], Any]
"""Reads one value; ValueError with what is wrong, without the value itself."""
IsForbidden = Callable[[str], bool]
"""Whether a text holds what must never be kept: a card number."""


class RegisterFileError(ValueError):
    """The file is not a register; `mistakes` are sentences, the first hundred of `count`."""

    def __init__(self, mistakes: Sequence[str], count: int) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = tuple(mistakes)
        self.count = count


@dataclass(frozen=True, slots=True)
class Contents:
    """What a whole file came to. CSV says neither the register's reference nor its day: they are None."""

    totals: Totals
    reference: str | None = None
    business_on: date | None = None


@dataclass
class Reading:
    """What is known of a file while it is read."""

    is_forbidden: IsForbidden
    row_count: int = 0
    hash_total: Decimal = Decimal(0)
    totals: Totals | None = None
    """As the file says."""
    reference: str | None = None
    business_on: date | None = None
    mistakes: list[str] = field(default_factory=list)
    mistake_count: int = 0

    def mistake(self, place: str, what: str) -> None:
        """Note what is wrong, and go on: whoever made the file wants to know all of it."""
        self.mistake_count += 1
        if len(self.mistakes) < MISTAKES_SHOWN_MAX:
            self.mistakes.append(f"{place}: {what}")

    def row(self, place: str, values: Mapping[str, str | None]) -> RegisterRow | None:
        """The row of these texts by column; None, and what is wrong is noted, when they make none."""
        self.row_count += 1
        before = self.mistake_count
        read = {column: self.value(place, column, reader, values) for column, reader in _READERS.items()}
        if self.mistake_count > before:
            return None
        try:
            amount = Money.from_decimal(read["amount"], read["currency"])
        except AmountError as error:
            self.mistake(f"{place}, amount", str(error))
            return None
        self.hash_total += amount.to_decimal()
        return RegisterRow(
            read["reference"], read["status"], amount, read["occurred_at"], read["terminal"], read["payment_id"]
        )

    def value(self, place: str, column: str, read: Read, values: Mapping[str, str | None]) -> Any:
        """One value; None when it may be absent and is, or when something is wrong with it."""
        text = values.get(column)
        if text is None:
            if column not in OPTIONAL:
                self.mistake(f"{place}, {column}", "is missing")
            return None
        try:
            value = read(text)
        except ValueError as error:
            self.mistake(f"{place}, {column}", str(error))
            return None
        if column in _MAY_HOLD_DIGITS and self.is_forbidden(text):
            self.mistake(f"{place}, {column}", "could be a card number, which must not be kept")
            return None
        return value

    def finish(self) -> None:
        """The totals of a file that was read to its end are those of its rows."""
        if self.totals is None:
            self.mistake("end of file", "the totals are missing: the file has lost its end, perhaps")
        elif not self.mistake_count and self.totals != (self.row_count, self.hash_total):
            announced, total = self.totals.row_count, total_text(self.totals.hash_total)
            self.mistake(
                "totals",
                f"{announced} rows with a hash total of {total} are announced, "
                f"and there are {self.row_count} with {total_text(self.hash_total)}",
            )

    def refuse(self) -> None:
        """RegisterFileError when anything is wrong."""
        if self.mistake_count:
            raise RegisterFileError(self.mistakes, self.mistake_count)


def read_row_count(text: str) -> int:
    number = int(_matching(ROW_COUNT, "a number of rows")(text))
    if number > _ROWS_MAX:
        raise ValueError(f"is more than {_ROWS_MAX}")
    return number


def read_hash_total(text: str) -> Decimal:
    return Decimal(_matching(HASH_TOTAL, "a hash total such as 12345.67")(text))


def read_day(text: str) -> date:
    try:
        return date.fromisoformat(_matching(DAY, "")(text))
    except ValueError:
        raise ValueError("is not a day such as 2026-11-23") from None


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"is not {what}")
        return text

    return read


def _read_status(text: str) -> RowStatus:
    try:
        return RowStatus(text)
    except ValueError:
        raise ValueError(f"is neither {' nor '.join(RowStatus)}") from None


def _read_amount(text: str) -> Decimal:
    amount = Decimal(_matching(AMOUNT, "an amount such as 100.00")(text))
    if not amount:
        raise ValueError("is not more than zero")
    return amount


def _read_instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(_matching(INSTANT, "")(text))
    except ValueError:
        raise ValueError("is not an instant with its time zone, such as 2026-11-23T15:00:00+03:00") from None


read_reference: Final = _matching(REFERENCE, "1 to 64 letters, digits and . _ : / -")
_READERS: Final[Mapping[str, Read]] = {
    "reference": read_reference,
    "status": _read_status,
    "amount": _read_amount,
    "currency": _matching(CURRENCY, "an ISO 4217 code of three capital letters"),
    "occurred_at": _read_instant,
    "terminal": _matching(TERMINAL, "the name of a terminal"),
    "payment_id": _matching(PAYMENT_ID, "a payment id (26 characters)"),
}
_MAY_HOLD_DIGITS: Final = frozenset({"reference", "terminal"})
