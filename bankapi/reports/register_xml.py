"""Registers as XML (`schemas/bankapi-register-v1.xsd`), read and written as streams.

Every part is judged by the schema itself, one row at a time; what is above the rows is so little that it is judged
here. A file is UTF-8 and has no markup declaration (document type, comment, CDATA section) and no processing
instruction: they are found in the bytes before the parser sees them, so that there are no entities, and an element's
text is all of its text.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import BinaryIO, Final

from lxml import etree

from bankapi.reports.register_values import Reading, read_day, read_hash_total, read_reference, read_row_count
from bankapi.reports.registers import RegisterRow, Totals, instant_text, total_text

NAMESPACE: Final = "urn:bankapi:register:v1"
SCHEMA_FILE: Final = "bankapi-register-v1.xsd"


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


_REGISTER: Final = _tag("Register")
_ROW: Final = _tag("Row")
_TOTALS: Final = _tag("Totals")
_BEFORE_ROWS: Final = (_tag("RegisterReference"), _tag("BusinessDay"))
_COLUMNS: Final = {
    _tag("Reference"): "reference",
    _tag("Status"): "status",
    _tag("Amount"): "amount",
    _tag("OccurredAt"): "occurred_at",
    _tag("Terminal"): "terminal",
    _tag("PaymentId"): "payment_id",
}
_AMOUNT: Final = _tag("Amount")
_OF_TOTALS: Final = {_tag("RowCount"): "rows", _tag("HashTotal"): "hash total"}
_CHILDREN: Final = {_REGISTER: {*_BEFORE_ROWS, _ROW, _TOTALS}, _ROW: _COLUMNS.keys(), _TOTALS: _OF_TOTALS.keys()}
_COLLAPSED: Final = frozenset({"amount", "occurred_at"})
"""Columns that XML Schema reads without the space around them (part 2, 4.3.6): decimals, dates and times."""
_SPACE: Final = " \t\r\n"
_DECLARATION: Final = re.compile(rb"<\?xml[ \t\r\n][^<>?]*\?>")
_ENCODING: Final = re.compile(rb"encoding[ \t\r\n]*=[ \t\r\n]*[\"']([A-Za-z0-9._-]*)[\"']")


class _NotARegister(Exception):
    """It cannot be read any further; the sentence says why."""


def read(file: BinaryIO, reading: Reading) -> Iterator[RegisterRow]:
    """The good rows; whatever is wrong is noted in `reading`."""
    try:
        for row in _rows(file, reading):
            place, mistakes = f"row {reading.row_count + 1}", reading.mistake_count
            found = reading.row(place, _values(row))
            if reading.mistake_count == mistakes and not _schema().validate(row):
                reading.mistake(place, "has not the elements of the schema, or not in their order")
            elif found is not None:
                yield found
    except _NotARegister as error:
        reading.mistake(f"after row {reading.row_count}", f"{error}; the rest was not read")
        return
    except etree.XMLSyntaxError as error:
        what = "is not well-formed XML, or the file has lost its end; the rest was not read"
        reading.mistake(f"line {error.lineno}", what)
        return
    reading.finish()


def write(file: BinaryIO, reference: str, business_on: date, rows: Iterable[RegisterRow]) -> Totals:
    """Write a register; returns its totals. Memory does not depend on how many rows there are."""
    count, total = 0, Decimal(0)
    with etree.xmlfile(file, encoding="UTF-8") as xml:
        xml.write_declaration()
        with xml.element(_REGISTER, nsmap={None: NAMESPACE}):
            for tag, value in zip(_BEFORE_ROWS, (reference, business_on.isoformat()), strict=True):
                _write_value(xml, tag, value)
            for row in rows:
                amount = row.amount.to_decimal()
                count, total = count + 1, total + amount
                _write_row(xml, row, str(amount))
            xml.write("\n")
            with xml.element(_TOTALS):
                for tag, value in zip(_OF_TOTALS, (str(count), total_text(total)), strict=True):
                    _write_value(xml, tag, value)
            xml.write("\n")
    return Totals(count, total)


def _write_row(xml: "etree._IncrementalFileWriter", row: RegisterRow, amount: str) -> None:
    occurred_at = None if row.occurred_at is None else instant_text(row.occurred_at)
    values = (row.reference, row.status, amount, occurred_at, row.terminal, row.payment_id)
    xml.write("\n")
    with xml.element(_ROW):
        for tag, value in zip(_COLUMNS, values, strict=True):
            if value is not None:
                _write_value(xml, tag, value, {"currency": row.amount.currency} if tag == _AMOUNT else {})


def _write_value(
    xml: "etree._IncrementalFileWriter", tag: str, value: str, attributes: dict[str, str] | None = None
) -> None:
    with xml.element(tag, attributes or {}):
        xml.write(value)


def _rows(file: BinaryIO, reading: Reading) -> Iterator[etree._Element]:
    """The Row elements, each thrown away when the next one comes; what is around them is taken and judged here."""
    depth = next_before_rows = 0
    parser = etree.iterparse(
        _Guarded(file),
        events=("start", "end"),
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )
    for event, element in parser:
        if event == "start":
            depth += 1
            _require_allowed(element, depth)
            continue
        depth -= 1
        if depth == 0:
            _require_no_text(element[-1].tail if len(element) else None)
        if depth != 1:
            continue
        root, before = element.getparent(), element.getprevious()
        assert root is not None, "it has a depth"
        _require_no_text(root.text if before is None else before.tail)
        if before is not None:
            root.remove(before)
        if reading.totals is not None:
            raise _NotARegister("nothing may follow the totals")
        if next_before_rows < len(_BEFORE_ROWS):
            if element.tag != _BEFORE_ROWS[next_before_rows]:
                raise _NotARegister(f"{etree.QName(_BEFORE_ROWS[next_before_rows]).localname} is missing")
            next_before_rows += 1
            _take_heading(element, reading)
        elif element.tag == _ROW:
            yield element
        elif element.tag == _TOTALS:
            _take_totals(element, reading)
        else:
            raise _NotARegister("an element is not in its place")


def _require_allowed(element: etree._Element, depth: int) -> None:
    """Only what the schema knows, where it knows it: hostile elements would pile up before their end is seen."""
    parent = element.getparent()
    allowed = {_REGISTER} if parent is None else _CHILDREN.get(parent.tag, ())
    if element.tag not in allowed:
        raise _NotARegister("an element is not in its place")
    if parent is not None and depth > 2 and len(parent) > len(_COLUMNS):
        raise _NotARegister("an element has too many children")
    if element.attrib and (element.tag != _AMOUNT or element.attrib.keys() != ["currency"]):
        raise _NotARegister("an attribute is not allowed there")


def _require_no_text(between: str | None) -> None:
    if between is not None and between.strip(_SPACE):
        raise _NotARegister("there is text between elements")


def _values(row: etree._Element) -> dict[str, str | None]:
    """The texts of a row by column."""
    values: dict[str, str | None] = {}
    for child in row:
        column = _COLUMNS[child.tag]
        text = child.text or ""
        values[column] = text.strip(_SPACE) if column in _COLLAPSED else text
        if child.tag == _AMOUNT:
            values["currency"] = child.get("currency")
    return values


def _take_heading(element: etree._Element, reading: Reading) -> None:
    text, place = element.text or "", etree.QName(element).localname
    if element.tag == _BEFORE_ROWS[0]:
        reading.reference = reading.value("heading", "reference", read_reference, {"reference": text})
    else:
        reading.business_on = reading.value("heading", place, read_day, {place: text.strip(_SPACE)})


def _take_totals(element: etree._Element, reading: Reading) -> None:
    if not _schema().validate(element):
        reading.mistake("totals", "are not a row count and a hash total")
    values = {_OF_TOTALS[child.tag]: (child.text or "").strip(_SPACE) for child in element}
    rows = reading.value("totals", "rows", read_row_count, values)
    total = reading.value("totals", "hash total", read_hash_total, values)
    reading.totals = Totals(rows or 0, total or Decimal(0))


@cache
def _schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.fromstring(resources.files("bankapi.schemas").joinpath(SCHEMA_FILE).read_bytes()))


class _Guarded:
    """A file whose bytes are looked at before the parser has them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._last: bytes | None = None
        """The last byte that was looked at; None before the first."""

    def read(self, size: int) -> bytes:
        octets = self._file.read(size)
        looked_at = octets
        if self._last is None:
            octets = octets.removeprefix(codecs.BOM_UTF8)
            looked_at = _without_declaration(octets)
        looked_at = (self._last or b"") + looked_at
        if b"<!" in looked_at or b"<?" in looked_at:
            raise _NotARegister("there is a document type, comment, CDATA section or processing instruction")
        self._last = looked_at[-1:]
        return octets


def _without_declaration(octets: bytes) -> bytes:
    """What follows the XML declaration, which says UTF-8 or nothing of an encoding."""
    found = _DECLARATION.match(octets)
    if found is None:
        return octets
    encoding = _ENCODING.search(found[0])
    if encoding is not None and encoding[1].lower() != b"utf-8":
        raise _NotARegister("the file is not UTF-8")
    return octets[found.end() :]
