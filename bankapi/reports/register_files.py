"""Registers as files: what a dealer sends is read as a stream, and what we have is written in the same two forms.

A file is read twice: once to check the whole of it, and once to keep its rows. What is wrong is said by line (CSV) or
row (XML) and by column, never by its content.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from enum import StrEnum
from typing import BinaryIO, Final

from bankapi.reports import register_csv, register_xml
from bankapi.reports.register_values import Contents, IsForbidden, Reading, RegisterFileError
from bankapi.reports.registers import RegisterRow, Totals

__all__ = ["Contents", "Form", "IsForbidden", "RegisterFileError", "check", "form_of", "rows", "write"]

_SPACE_OR_BOM: Final = b"\xef\xbb\xbf \t\r\n"


class Form(StrEnum):
    """What a register file is; the value is its extension."""

    CSV = "csv"
    """As `register_csv` says."""
    XML = "xml"
    """As `schemas/bankapi-register-v1.xsd` says."""


def form_of(file: BinaryIO) -> Form:
    """What the file is by how it begins; it is at its beginning afterwards."""
    beginning = file.read(64).lstrip(_SPACE_OR_BOM)
    file.seek(0)
    return Form.XML if beginning.startswith(b"<") else Form.CSV


def check(file: BinaryIO, form: Form, is_forbidden: IsForbidden) -> Contents:
    """Read the whole file and keep nothing; RegisterFileError with what is wrong, totals included."""
    reading = Reading(is_forbidden)
    for _ in _READ[form](file, reading):
        pass
    reading.refuse()
    assert reading.totals is not None, "a file without totals has a mistake"
    return Contents(reading.totals, reading.reference, reading.business_on)


def rows(file: BinaryIO, form: Form, is_forbidden: IsForbidden) -> Iterator[RegisterRow]:
    """The rows of a file that was checked; RegisterFileError at its end when it has changed since."""
    reading = Reading(is_forbidden)
    yield from _READ[form](file, reading)
    reading.refuse()


def write(file: BinaryIO, form: Form, reference: str, business_on: date, rows: Iterable[RegisterRow]) -> Totals:
    """Write a register and return its totals; CSV has no place for its reference and day."""
    if form is Form.CSV:
        return register_csv.write(file, rows)
    return register_xml.write(file, reference, business_on, rows)


_READ: Final = {Form.CSV: register_csv.read, Form.XML: register_xml.read}
