"""The end-of-day file: `DocFile`, a list of payments and reversals with their count and hash total.

Read as a stream, twice: a reversal says of a payment that may stand before or behind it that nothing of it is left.
A record is a `Doc` like that of a message, read by the same rules, so that what refuses a message refuses a record.
What is wrong is said by the record's number and the place in it, never by its content.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import BinaryIO, Final
from zoneinfo import ZoneInfo

from lxml import etree

from bankapi.gateway import envelope
from bankapi.refusals import Refusal
from bankapi.reports.registers import RegisterRow, RowStatus, Totals
from bankapi.way4 import message, reading
from bankapi.way4.configuration import Configuration, Operation
from bankapi.way4.message import Conformity
from bankapi.way4.reading import LOCAL_AT, UfxRequest

LABEL: Final = "PAYMENT"
FORMAT_VERSION: Final = "2.1"
_RECORD: Final = "Doc"
_PARTS: Final = ("FileHeader", "DocList", "FileTrailer")
_DEPTH_OF_A_RECORD: Final = 3
"""DocFile, DocList, Doc."""


class DocFileError(ValueError):
    """The file is no end-of-day file that is accepted; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Who made a file for whom, and its number."""

    sender: str
    receiver: str
    number: int
    created_at: datetime
    """Without a zone, as UFX writes it."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a whole file came to."""

    header: Header
    records: Totals
    """Of the records, as they are and as the file says."""


@dataclass(frozen=True, slots=True)
class Records:
    """By what records are read."""

    configuration: Configuration
    conformity: Conformity
    zone: ZoneInfo
    """Of local times, where the configuration leaves it to the dealer."""

    def read(self, doc: etree._Element) -> UfxRequest:
        """A payment or a reversal; Refusal for anything else."""
        return reading.read(self.conformity.check(message.of_record(doc)), self.configuration, is_record=True)

    def at(self, request: UfxRequest) -> datetime | None:
        zone = self.configuration.zone or self.zone
        return request.local_at and request.local_at.replace(tzinfo=zone).astimezone(UTC)


def check(file: BinaryIO, records: Records) -> Contents:
    """Read the whole file and keep nothing; DocFileError when its header, a record or its totals are wrong."""
    found = _Reader(file, records)
    for _ in found.requests():
        pass
    return found.contents()


def rows(file: BinaryIO, records: Records) -> Iterator[RegisterRow]:
    """One row per payment, in the file's order, then the payments of other days that were reversed.

    A payment with a reversal in the file is CANCELLED. A reversal without its payment is about one of the day before:
    all payments of the day are in the file. DocFileError as `check` has it.
    """
    reversals = [request for request in _Reader(file, records).requests() if request.operation is Operation.CANCEL]
    of_reference: dict[str, UfxRequest] = {}
    for request in reversals:
        of_reference.update(dict.fromkeys(reversed(request.references), request))
    matched: set[int] = set()
    for request in _Reader(file, records).requests():
        if request.operation is not Operation.REGISTER or request.reference is None:
            continue
        reversal = of_reference.get(request.reference)
        if reversal is not None and _is_about(reversal, request):
            matched.add(id(reversal))
            yield _row(request, RowStatus.CANCELLED, request.reference, records)
        else:
            yield _row(request, RowStatus.REGISTERED, request.reference, records)
    for reversal in reversals:
        if id(reversal) not in matched:
            yield _row(reversal, RowStatus.CANCELLED, reversal.references[-1], records)


def write(file: BinaryIO, header: Header, payments: Iterable[RegisterRow], records: Records) -> Totals:
    """Write a file and return its totals. A cancelled payment is two records: itself, and its reversal.

    DocFileError when the configuration has no message code for either, or no template makes one of the references.
    """
    count, total = 0, Decimal(0)
    with etree.xmlfile(file, encoding="utf-8") as out:
        out.write_declaration()
        with out.element("DocFile"):
            out.write(_header(header), pretty_print=True)
            with out.element("DocList"):
                for payment in payments:
                    operations = (Operation.REGISTER, Operation.CANCEL)
                    for operation in operations[: 2 if payment.status is RowStatus.CANCELLED else 1]:
                        out.write(_record(payment, operation, records), pretty_print=True)
                        count, total = count + 1, total + payment.amount.to_decimal()
            trailer = etree.Element("FileTrailer")
            _add(etree.SubElement(trailer, "CheckSum"), RecsCount=str(count), HashTotalAmount=f"{total:f}")
            out.write(trailer, pretty_print=True)
    return Totals(count, total)


# Reading


class _Reader:
    """One pass over a file, a record in memory at a time."""

    def __init__(self, file: BinaryIO, records: Records) -> None:
        file.seek(0)
        self._file = file
        self._records = records
        self._count, self._total = 0, Decimal(0)
        self._parts: dict[str, etree._Element] = {}

    def requests(self) -> Iterator[UfxRequest]:
        for doc in self._docs():
            self._count += 1
            try:
                request = self._records.read(doc)
                if request.operation not in (Operation.REGISTER, Operation.CANCEL):
                    raise DocFileError(f"record {self._count} is neither a payment nor a reversal")
                if not request.references or request.amount is None:
                    raise DocFileError(f"record {self._count} has no reference")
            except Refusal as refusal:
                places = "".join(f" ({each.path}: {each.reason})" for each in refusal.violations)
                raise DocFileError(f"record {self._count}: {refusal.rule.journal_name}{places}") from refusal
            self._total += request.amount.to_decimal()
            yield request
        self.contents()

    def contents(self) -> Contents:
        """What was read; DocFileError when it is not what the file says of itself."""
        missing = [name for name in ("FileHeader", "FileTrailer") if name not in self._parts]
        if missing:
            raise DocFileError(f"there is no {' and no '.join(missing)}")
        trailer = self._parts["FileTrailer"]
        try:
            said = Totals(
                int(_text(trailer, "CheckSum/RecsCount")), Decimal(_text(trailer, "CheckSum/HashTotalAmount"))
            )
        except (ValueError, ArithmeticError) as error:
            raise DocFileError("FileTrailer must give RecsCount and HashTotalAmount") from error
        counted = Totals(self._count, self._total)
        if said != counted:
            raise DocFileError(
                f"FileTrailer gives {said.row_count} records and a hash total of {said.hash_total:f};"
                f" there are {counted.row_count} and {counted.hash_total:f}"
            )
        return Contents(self._header(), counted)

    def _header(self) -> Header:
        header = self._parts["FileHeader"]
        if _text(header, "FileLabel") != LABEL:
            raise DocFileError(f"FileLabel must be {LABEL}")
        try:
            created_at = datetime.fromisoformat(f"{_text(header, 'CreationDate')}T{_text(header, 'CreationTime')}")
            number = int(_text(header, "FileSeqNumber"))
        except ValueError as error:
            raise DocFileError("FileHeader must give CreationDate, CreationTime and FileSeqNumber") from error
        sender, receiver = _text(header, "Sender"), _text(header, "Receiver")
        return Header(sender=sender, receiver=receiver, number=number, created_at=created_at)

    def _docs(self) -> Iterator[etree._Element]:
        """The records, each forgotten when the next one comes; hostile structure is refused as it comes."""
        depth = elements = 0
        try:
            for event, element in self._events():
                if event == "start":
                    depth, elements = depth + 1, elements + 1
                    self._check_start(element, depth, elements)
                    continue
                depth -= 1
                parent = element.getparent()
                if depth == _DEPTH_OF_A_RECORD - 1 and parent is not None and parent.tag == "DocList":
                    elements = 0
                    parent.remove(element)
                    yield element
                elif depth == 1:
                    elements = 0
                    self._parts[str(element.tag)] = element
        except etree.XMLSyntaxError as error:
            raise DocFileError(f"line {error.lineno}: it is not well-formed XML") from error

    def _events(self) -> Iterator[tuple[str, etree._Element]]:
        """Parser events of the file: no entities, no network, no DTD, libxml2's own limits on, and UTF-8."""
        yield from etree.iterparse(
            self._file,
            events=("start", "end"),
            encoding="utf-8",
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )

    def _check_start(self, element: etree._Element, depth: int, elements: int) -> None:
        if depth == 1:
            if element.getroottree().docinfo.internalDTD is not None:
                raise DocFileError("it has a DOCTYPE")
            if element.tag != "DocFile":
                raise DocFileError("its root is not DocFile")
        elif depth == 2 and (element.tag not in _PARTS or str(element.tag) in self._parts):
            raise DocFileError("DocFile holds one FileHeader, one DocList and one FileTrailer")
        elif depth == _DEPTH_OF_A_RECORD and element.tag != _RECORD and _in_list(element):
            raise DocFileError("DocList holds Doc and nothing else")
        if depth > envelope.DEPTH_MAX or elements > envelope.ELEMENTS_MAX:
            raise DocFileError(f"record {self._count + 1} is larger or more deeply nested than is accepted")


def _in_list(element: etree._Element) -> bool:
    parent = element.getparent()
    return parent is not None and parent.tag == "DocList"


def _is_about(reversal: UfxRequest, payment: UfxRequest) -> bool:
    """Numbers that begin anew every day are told apart by payer and amount, as in the reversal of a message."""
    is_one_payer = None in (reversal.payer, payment.payer) or reversal.payer == payment.payer
    return reversal.amount == payment.amount and is_one_payer


def _row(request: UfxRequest, status: RowStatus, reference: str, records: Records) -> RegisterRow:
    assert request.amount is not None
    return RegisterRow(reference, status, request.amount, records.at(request), request.terminal)


def _text(element: etree._Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


# Writing


def _header(header: Header) -> etree._Element:
    element = etree.Element("FileHeader")
    _add(
        element,
        FileLabel=LABEL,
        FormatVersion=FORMAT_VERSION,
        Sender=header.sender,
        CreationDate=f"{header.created_at:%Y-%m-%d}",
        CreationTime=f"{header.created_at:%H:%M:%S}",
        FileSeqNumber=str(header.number),
        Receiver=header.receiver,
    )
    return element


def _record(payment: RegisterRow, operation: Operation, records: Records) -> etree._Element:
    """A Doc from whose parts the configuration makes the very same reference."""
    parts = _parts_of(payment.reference, records.configuration)
    occurred_at = (payment.occurred_at or datetime.now(UTC)).astimezone(records.configuration.zone or records.zone)
    local_at = occurred_at.strftime(LOCAL_AT)
    if "local_on" in parts and not local_at.startswith(parts["local_on"]):
        local_at = f"{parts['local_on']} 00:00:00"
    element = etree.Element(_RECORD)
    transaction_code = etree.SubElement(etree.SubElement(element, "TransType"), "TransCode")
    _add(transaction_code, MsgCode=_code_of(operation, records.configuration))
    references = etree.SubElement(element, "DocRefSet")
    for code in ("rrn", "srn"):
        if code in parts:
            _add(etree.SubElement(references, "Parm"), ParmCode=code.upper(), Value=parts[code])
    _add(element, LocalDt=local_at)
    terminal = parts.get("terminal") or payment.terminal or ""
    _add(etree.SubElement(element, "Source"), ContractNumber=terminal)
    amount = payment.amount
    _add(etree.SubElement(element, "Transaction"), Currency=amount.currency, Amount=f"{amount.to_decimal():f}")
    return element


def _parts_of(reference: str, configuration: Configuration) -> dict[str, str]:
    for template in configuration.references:
        parts = template.parts_of(reference)
        if parts is not None:
            return parts
    raise DocFileError("a reference of the day is made by no template of [references] in way4.ini")


def _code_of(operation: Operation, configuration: Configuration) -> str:
    found = (code for code, each in configuration.operations.items() if each is operation and "+" not in code)
    code = next(found, None)
    if code is None:
        raise DocFileError(f"[messages] in way4.ini has no plain code for {operation.name.lower()}")
    return code


def _add(parent: etree._Element, **values: str) -> None:
    for name, value in values.items():
        etree.SubElement(parent, name).text = value
