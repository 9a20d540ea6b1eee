"""End-of-day files: what we write is read as it was, and what is wrong with one is said by its place."""

import io
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from bankapi.billing.money import Money
from bankapi.reports.registers import RegisterRow, RowStatus, Totals
from bankapi.way4 import configuration, files
from bankapi.way4.configuration import Configuration
from bankapi.way4.files import DocFileError, Header, Records
from bankapi.way4.message import Conformity

MOSCOW = ZoneInfo("Europe/Moscow")
HEADER = Header(sender="BANK", receiver="OPERATOR", number=7, created_at=datetime.fromisoformat("2026-03-02T00:05:00"))
DOC = """<Doc><DocRefSet><Parm><Value>{rrn}</Value><ParmCode>RRN</ParmCode></Parm></DocRefSet>
<Transaction><Amount>{amount}</Amount><Currency>643</Currency></Transaction><LocalDt>{at}</LocalDt>
<TransType><TransCode><MsgCode>{code}</MsgCode></TransCode></TransType>{payer}
<Source><ContractNumber>ATM-0001</ContractNumber></Source></Doc>"""
FILE = """<?xml version="1.0" encoding="UTF-8"?>
<DocFile>
  <FileHeader><Sender>BANK</Sender><FileLabel>PAYMENT</FileLabel><FormatVersion>2.1</FormatVersion>
    <CreationDate>2026-03-02</CreationDate><CreationTime>00:05:00</CreationTime><FileSeqNumber>7</FileSeqNumber>
    <Receiver>OPERATOR</Receiver></FileHeader>
  <DocList>{docs}</DocList>
  <FileTrailer><CheckSum><HashTotalAmount>{total}</HashTotalAmount><RecsCount>{count}</RecsCount></CheckSum></FileTrailer>
</DocFile>"""


@pytest.fixture(scope="module")
def records(demo: Configuration, conformity: Conformity) -> Records:
    return Records(demo, conformity, MOSCOW)


def doc(number: int = 1, code: str = "02000R", at: str = "2026-03-01 12:00:00", amount: str = "10.00") -> str:
    return DOC.format(rrn=f"{number:012}", amount=amount, at=at, code=code, payer="")


def file_of(*docs: str, total: str | None = None, count: int | None = None) -> io.BytesIO:
    amounts = [Decimal(each.partition("<Amount>")[2].partition("<")[0]) for each in docs] if total is None else []
    content = FILE.format(
        docs="\n".join(docs),
        total=sum(amounts) if total is None else total,
        count=len(docs) if count is None else count,
    )
    return io.BytesIO(content.encode())


def reference(number: int, day: str = "2026-03-01") -> str:
    return f"ATM-0001/{day}/{number:012}"


def statuses(rows: Iterable[RegisterRow]) -> dict[str, RowStatus]:
    return {row.reference: row.status for row in rows}


def test_payments_and_reversals_become_rows_wherever_they_stand(records: Records) -> None:
    file = file_of(
        doc(2, "02000R_rev", "2026-03-01 13:00:00"),
        doc(1),
        doc(2),
        doc(3, "02000R_rev", "2026-03-01 00:00:30"),
        doc(4, at="2026-02-28 23:59:59"),
        doc(4, "02000R_rev", "2026-03-01 00:00:10"),
        doc(5, "02000R_rev", amount="11.00"),
        doc(5),
    )
    found = list(files.rows(file, records))
    assert statuses(found) == {
        reference(1): RowStatus.REGISTERED,
        reference(2): RowStatus.CANCELLED,
        reference(3, "2026-02-28"): RowStatus.CANCELLED,  # of the day before: its payment is not in the file
        reference(4, "2026-02-28"): RowStatus.CANCELLED,
        reference(5): RowStatus.REGISTERED,  # what was reversed is another payment with that number
        reference(5, "2026-02-28"): RowStatus.CANCELLED,
    }
    row = next(row for row in found if row.reference == reference(1))
    assert row == RegisterRow(
        reference(1), RowStatus.REGISTERED, Money(1000, "RUB"), datetime(2026, 3, 1, 9, tzinfo=UTC), "ATM-0001"
    )
    assert files.check(file, records).records == Totals(8, Decimal("81.00"))
    assert files.check(file, records).header == HEADER


row_strategy = st.builds(
    lambda number, minor, currency, is_cancelled, minutes, by_number: RegisterRow(
        reference(number) if by_number else f"SOAP-{number}",
        RowStatus.CANCELLED if is_cancelled else RowStatus.REGISTERED,
        Money(minor, currency),
        datetime(2026, 2, 28, 21, tzinfo=UTC) + timedelta(minutes=minutes),
        "ATM-0001",
    ),
    st.integers(1, 10**12 - 1),
    st.integers(1, 10**9),
    st.sampled_from(["RUB", "EUR", "JPY", "BHD"]),
    st.booleans(),
    st.integers(0, 24 * 60 - 1),
    st.booleans(),
)


@settings(max_examples=20)
@given(st.lists(row_strategy, max_size=8, unique_by=lambda row: row.reference))
def test_what_is_written_is_read_as_it_was(records: Records, rows: list[RegisterRow]) -> None:
    file = io.BytesIO()
    totals = files.write(file, HEADER, rows, records)
    assert totals.row_count == sum(1 + (row.status is RowStatus.CANCELLED) for row in rows)
    assert files.check(file, records) == files.Contents(HEADER, totals)
    assert sorted(files.rows(file, records)) == sorted(rows)
    schema = etree.XMLSchema(etree.parse("schemas/ufx-public-subset.xsd"))
    for each in etree.fromstring(file.getvalue()).iter("Doc"):
        message = etree.Element("UFXMsg", direction="Rq")
        etree.SubElement(message, "MsgData").append(each)
        schema.assertValid(message)


def test_a_reference_that_no_template_makes_cannot_be_written(conformity: Conformity) -> None:
    by = configuration.read(
        "[access]\ndealers = X\n[messages]\nP+X = register\nP_rev = cancel\nP = register\n"
        "[references]\nreference = {terminal}/{rrn}\n",
        "test",
    )
    row = RegisterRow("SOAP-1", RowStatus.REGISTERED, Money(1, "RUB"))
    with pytest.raises(DocFileError, match="made by no template"):
        files.write(io.BytesIO(), HEADER, [row], Records(by, conformity, MOSCOW))
    only = configuration.read("[access]\ndealers = X\n[messages]\nP+X = register\n", "test")
    with pytest.raises(DocFileError, match="no plain code for register"):
        files.write(io.BytesIO(), HEADER, [row], Records(only, conformity, MOSCOW))


GOOD = FILE.format(docs=doc(), total="10.00", count=1)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (FILE.format(docs=doc(), total="10.00", count=2), "2 records and a hash total of 10.00; there are 1 and 10.00"),
        (FILE.format(docs=doc(), total="10.01", count=1), "hash total of 10.01"),
        (FILE.format(docs="", total="10.00", count=0), "there are 0 and 0"),
        (GOOD.replace("RecsCount", "Records"), "must give RecsCount"),
        (GOOD.replace(">PAYMENT<", ">OTHER<"), "FileLabel must be PAYMENT"),
        (GOOD.replace(">7<", ">x<"), "must give CreationDate, CreationTime and FileSeqNumber"),
        (GOOD.replace("DocFile", "UFXMsg"), "its root is not DocFile"),
        (GOOD.replace("FileHeader", "Header"), "holds one FileHeader, one DocList and one FileTrailer"),
        (GOOD.replace("<DocList>", "<DocList/><DocList>"), "holds one FileHeader, one DocList and one FileTrailer"),
        (GOOD.replace("<DocList>", "<DocList><Other/>"), "DocList holds Doc and nothing else"),
        (GOOD[: GOOD.index("<FileTrailer>")] + "</DocFile>", "there is no FileTrailer"),
        (GOOD[:-10], "it is not well-formed XML"),
        (GOOD[:300], "it is not well-formed XML"),
        ("", "it is not well-formed XML"),
        (GOOD.replace("02000R", "01000B"), "record 1 is neither a payment nor a reversal"),
        (GOOD.replace("02000R", "SECRET"), "record 1: way4.message-code"),
        (GOOD.replace(">10.00</Amount>", ">SECRET</Amount>"), "record 1: schema"),
        (GOOD.replace(">RRN<", ">ARN<"), "record 1: way4.field"),
        (GOOD.replace("000000000001", "4111111111111111"), "record 1: card-number"),
        (GOOD.replace("?>", "?><!DOCTYPE DocFile [<!ENTITY x 'SECRET'>]>", 1), "it has a DOCTYPE"),
        (GOOD.replace("<Doc>", "<Doc>" + "<a>" * 40 + "</a>" * 40), "record 1 is larger or more deeply nested"),
        (GOOD.replace("<Doc>", "<Doc>" + "<a/>" * 6000), "record 1 is larger or more deeply nested"),
        (GOOD.replace("<Doc>", "<Doc>&SECRET;"), "it is not well-formed XML"),
        (GOOD.encode("utf-16"), "it is not well-formed XML"),
    ],
)
def test_a_file_that_is_not_right_is_refused(records: Records, content: str | bytes, why: str) -> None:
    file = io.BytesIO(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DocFileError) as caught:
        files.check(file, records)
    assert why in str(caught.value)
    assert "SECRET" not in str(caught.value)
    assert "4111" not in str(caught.value)
    with pytest.raises(DocFileError):
        list(files.rows(file, records))


def test_entities_do_not_grow(records: Records) -> None:
    laughs = "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10 if n else 'ha'}'>" for n in range(9))
    for bomb in (GOOD.replace("<Doc>", "<Doc><x>&a8;</x>"), GOOD.replace("<Doc>", "<Doc><x y='&a8;'/>")):
        content = bomb.replace("?>", f"?><!DOCTYPE DocFile [{laughs}]>", 1)
        with pytest.raises(DocFileError):
            files.check(io.BytesIO(content.encode()), records)


READ_ALL = """
import sys
from zoneinfo import ZoneInfo
from bankapi.way4 import configuration, files
from bankapi.way4.message import Conformity
by = configuration.read(configuration.default_text(), "way4.ini")
with open(sys.argv[1], "rb") as file:
    files.check(file, files.Records(by, Conformity(), ZoneInfo("Europe/Moscow")))
with open("/proc/self/status") as status:  # not ru_maxrss, which begins with the parent's
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


@pytest.mark.slow
def test_a_large_file_is_read_in_flat_memory(tmp_path: Path) -> None:
    """What a process takes at most, libxml2 included, in KiB: for 2,000 records, and for ten times as many."""

    def peak(count: int) -> int:
        file = tmp_path / f"{count}.xml"
        file.write_bytes(file_of(*(doc(number) for number in range(count))).getvalue())
        done = subprocess.run([sys.executable, "-c", READ_ALL, str(file)], check=True, capture_output=True)
        return int(done.stdout)

    assert peak(20_000) < peak(2_000) + 4_000, "the larger file alone has 9 MB"
