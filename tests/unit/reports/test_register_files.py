"""Register files: both forms say the same, what is wrong has its place, and no file can do harm."""

import io
import re
import resource
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from importlib import resources
from itertools import chain, repeat
from pathlib import Path

import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from bankapi.billing.money import MINOR_MAX, Money
from bankapi.gateway import cards
from bankapi.reports import register_files, register_values
from bankapi.reports.register_files import Contents, Form, RegisterFileError
from bankapi.reports.registers import (
    PART_ROWS_MAX,
    PARTS_MAX,
    REFERENCE,
    RegisterRow,
    RowStatus,
    Totals,
    totals_of,
)

DAY = date(2026, 11, 23)
XSD = resources.files("bankapi.schemas").joinpath("bankapi-register-v1.xsd").read_bytes()
CSV = (
    b"reference,status,amount,currency,occurred_at,terminal,payment_id\r\n"
    b"A-1,REGISTERED,100.00,RUB,2026-11-23T15:00:00+03:00,ATM-0001,01JD0000000000000000000000\r\n"
    b'"A-2",CANCELLED,5000,JPY,,,\r\n'
    b"#TOTAL,2,5100,,,,\r\n"
)
XML = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<Register xmlns="urn:bankapi:register:v1">\n'
    b"<RegisterReference>R-1</RegisterReference><BusinessDay>2026-11-23</BusinessDay>\n"
    b'<Row><Reference>A-1</Reference><Status>REGISTERED</Status><Amount currency="RUB">100.00</Amount>'
    b"<OccurredAt>2026-11-23T15:00:00+03:00</OccurredAt><Terminal>ATM-0001</Terminal>"
    b"<PaymentId>01JD0000000000000000000000</PaymentId></Row>\n"
    b'<Row><Reference>A-2</Reference><Status>CANCELLED</Status><Amount currency="JPY">5000</Amount></Row>\n'
    b"<Totals><RowCount>2</RowCount><HashTotal>5100.00</HashTotal></Totals>\n"
    b"</Register>\n"
)
ROWS = [
    RegisterRow(
        "A-1",
        RowStatus.REGISTERED,
        Money(10_000, "RUB"),
        datetime(2026, 11, 23, 12, tzinfo=UTC),
        "ATM-0001",
        "01JD0000000000000000000000",
    ),
    RegisterRow("A-2", RowStatus.CANCELLED, Money(5000, "JPY")),
]
TOTALS = Totals(2, Decimal(5100))


def is_card(text: str) -> bool:
    return cards.are_in([text])


def check(octets: bytes) -> Contents:
    file = io.BytesIO(octets)
    return register_files.check(file, register_files.form_of(file), is_card)


def rows(octets: bytes) -> list[RegisterRow]:
    file = io.BytesIO(octets)
    return list(register_files.rows(file, register_files.form_of(file), is_card))


def mistakes(octets: bytes) -> tuple[str, ...]:
    with pytest.raises(RegisterFileError) as refusal:
        check(octets)
    return refusal.value.mistakes


def written(form: Form, given: list[RegisterRow]) -> bytes:
    file = io.BytesIO()
    assert register_files.write(file, form, "R-1", DAY, given) == totals_of(given)
    return file.getvalue()


@pytest.mark.parametrize("change", [lambda o: o, lambda o: b"\xef\xbb\xbf" + o, lambda o: o.replace(b"\r\n", b"\n")])
def test_both_forms_say_the_same(change: Callable[[bytes], bytes]) -> None:
    assert check(change(CSV)) == Contents(TOTALS)
    assert check(change(XML)) == Contents(TOTALS, "R-1", DAY)
    assert rows(change(CSV)) == rows(change(XML)) == ROWS


def test_optional_columns_may_be_absent_and_in_any_order() -> None:
    octets = b"reference,status,amount,currency,payment_id,terminal\nA-1,REGISTERED,1.5,KWD,,T\n#TOTAL,1,1.5,,,\n"
    assert rows(octets) == [RegisterRow("A-1", RowStatus.REGISTERED, Money(1500, "KWD"), None, "T")]
    assert check(b"reference,status,amount,currency\n#TOTAL,0,0,\n").totals == Totals(0, Decimal(0))


def _money(currency: str) -> st.SearchStrategy[Money]:
    return st.integers(1, MINOR_MAX).map(lambda minor: Money(minor, currency))


instants = st.builds(
    lambda seconds, zone: datetime.fromtimestamp(seconds, zone),
    st.floats(1e9, 4e9),
    st.sampled_from([UTC, timezone(timedelta(hours=-3.5))]),
)
any_row = st.builds(
    RegisterRow,
    reference=st.from_regex(REFERENCE, fullmatch=True).filter(lambda text: not is_card(text)),
    status=st.sampled_from(RowStatus),
    amount=st.sampled_from(["RUB", "JPY", "KWD", "CLF"]).flatmap(_money),
    occurred_at=st.none() | instants,
    terminal=st.none() | st.from_regex(register_values.TERMINAL, fullmatch=True).filter(lambda text: not is_card(text)),
    payment_id=st.none() | st.from_regex(register_values.PAYMENT_ID, fullmatch=True),
)


@settings(max_examples=60)
@given(given_rows=st.lists(any_row, max_size=5))
def test_what_is_written_is_read_again(given_rows: list[RegisterRow]) -> None:
    for form in Form:
        octets = written(form, given_rows)
        assert rows(octets) == given_rows
        assert check(octets).totals == totals_of(given_rows)
    conforms = etree.XMLSchema(etree.fromstring(XSD)).validate(etree.fromstring(written(Form.XML, given_rows)))
    assert conforms


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"A 1,REGISTERED,1,RUB", "line 2, reference: is not 1 to 64 letters"),
        (b",REGISTERED,1,RUB", "line 2, reference: is not 1 to 64 letters"),
        (b"=HYPERLINK(1),REGISTERED,1,RUB", "line 2, reference: is not 1 to 64 letters"),
        (b"+1,REGISTERED,1,RUB", "line 2, reference: is not 1 to 64 letters"),
        (b"@SUM,REGISTERED,1,RUB", "line 2, reference: is not 1 to 64 letters"),
        (b"4111111111111111,REGISTERED,1,RUB", "line 2, reference: could be a card number"),
        (b"order-5555555555554444/7,REGISTERED,1,RUB", "line 2, reference: could be a card number"),
        (b"2200000000000004,REGISTERED,1,RUB", "line 2, reference: could be a card number"),
        (b"A-1,registered,1,RUB", "line 2, status: is neither REGISTERED nor CANCELLED"),
        (b"A-1,REGISTERED,0.00,RUB", "line 2, amount: is not more than zero"),
        (b"A-1,REGISTERED,-1,RUB", "line 2, amount: is not an amount"),
        (b"A-1,REGISTERED,1e3,RUB", "line 2, amount: is not an amount"),
        (b"A-1,REGISTERED, 1,RUB", "line 2, amount: is not an amount"),
        (b"A-1,REGISTERED,1.005,RUB", "line 2, amount: RUB has 2 decimal places"),
        (b"A-1,REGISTERED,999999999999999,RUB", "line 2, amount: amount is too large"),
        (b"A-1,REGISTERED,\xd9\xa1,RUB", "line 2, amount: is not an amount"),
        (b"A-1,REGISTERED,1,rub", "line 2, currency: is not an ISO 4217 code"),
        (b"A-1,REGISTERED,1", "line 2: has 3 values, not 4"),
        (b"", "line 2: has 0 values, not 4"),
        (b"A-\xff,REGISTERED,1,RUB", "line 2: is not UTF-8; the rest was not read"),
        (b"A-1,REGISTERED,1," + b"R" * 5000, "line 2: is longer than 4096 bytes; the rest was not read"),
        (b'"A-1,REGISTERED,1,RUB', "line 3: is not CSV"),
        (b"#TOTAL,1,1,\nA-1,REGISTERED,1,RUB", "line 3: nothing may follow the totals"),
        (b"#TOTAL,many,1,", "line 2, rows: is not a number of rows"),
        (b"#TOTAL,1,1,9", "line 2: nothing may follow the hash total"),
    ],
)
def test_what_is_wrong_in_csv_has_its_place(line: bytes, expected: str) -> None:
    found = mistakes(b"reference,status,amount,currency\n" + line + b"\n#TOTAL,1,1,\n")
    assert found[0].startswith(expected)
    assert "4111" not in "".join(found)


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        (b"", "does not begin with the columns"),
        (b"status,reference,amount,currency\n", "does not begin with the columns"),
        (b"reference,status,amount,currency,note\n", "column 5 is none of"),
        (b"reference,status,amount,currency,terminal,terminal\n", "column 5 stands there twice"),
    ],
)
def test_a_heading_is_one_of_a_register(heading: bytes, expected: str) -> None:
    (found,) = mistakes(heading + b"A-1,REGISTERED,1,RUB\n")
    assert expected in found


def test_totals_that_differ_are_said_with_both_numbers() -> None:
    for octets in (CSV.replace(b"#TOTAL,2,5100", b"#TOTAL,3,5100.01"), _totals(3, "5100.01")):
        assert mistakes(octets) == (
            "totals: 3 rows with a hash total of 5100.01 are announced, and there are 2 with 5100",
        )


def test_a_file_that_lost_its_end_is_noticed() -> None:
    lines = CSV.splitlines(keepends=True)
    (found,) = mistakes(b"".join(lines[:-1]))
    assert "the totals are missing" in found
    for cut in range(len(XML) - len(b"</Register>\n"), len(XML) - 1):
        assert mistakes(XML[:cut])
    assert mistakes(XML[: len(XML) // 2])
    assert mistakes(_with(b"<Totals>.*</Totals>", b"")) == (
        "end of file: the totals are missing: the file has lost its end, perhaps",
    )


def test_all_mistakes_are_counted_and_the_first_hundred_told() -> None:
    octets = b"reference,status,amount,currency\n" + b"?,?,?,?\n" * 60 + b"#TOTAL,60,1,\n"
    with pytest.raises(RegisterFileError) as refusal:
        check(octets)
    assert (refusal.value.count, len(refusal.value.mistakes)) == (240, 100)


def _with(pattern: bytes, replacement: bytes) -> bytes:
    changed, count = re.subn(pattern, replacement, XML, count=1, flags=re.DOTALL)
    assert count == 1
    return changed


def _totals(count: int, total: str) -> bytes:
    return _with(rb"<RowCount>.*</HashTotal>", f"<RowCount>{count}</RowCount><HashTotal>{total}</HashTotal>".encode())


_A1 = rb"A-1</Reference>"
_HOSTILE = {
    "document type": _with(rb"<Register ", b"<!DOCTYPE Register SYSTEM 'file:///etc/passwd'><Register "),
    "billion laughs": _with(
        rb"<Register ", b'<!DOCTYPE R [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><Register '
    ),
    "comment in a value": _with(_A1, b"A<!-- -->-1</Reference>"),
    "CDATA": _with(_A1, b"<![CDATA[A-1]]></Reference>"),
    "processing instruction": _with(_A1, b"A<?x?>-1</Reference>"),
    "unknown entity": _with(_A1, b"&lol;</Reference>"),
    "UTF-16": XML.decode().encode("utf-16"),
    "UTF-16 that says UTF-8": XML.decode().encode("utf-16-le"),
    "another encoding": _with(rb'encoding="UTF-8"', b'encoding="ISO-8859-1"'),
    "not UTF-8": _with(_A1, b"A-\xff</Reference>"),
    "NUL": _with(_A1, b"A-\x001</Reference>"),
    "schema location": _with(
        rb"<Register ",
        b'<Register xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:x x.xsd" ',
    ),
    "xsi:nil": _with(
        rb"<Reference>A-1", b'<Reference xmlns:x="http://www.w3.org/2001/XMLSchema-instance" x:nil="false">A-1'
    ),
    "another namespace": _with(rb"urn:bankapi:register:v1", b"urn:bankapi:register:v2"),
    "stray text": _with(rb"</Row>\n<Row>", b"</Row>x<Row>"),
    "stray text at the end": _with(rb"</Totals>\n", b"</Totals>x"),
    "stray text in a row": _with(rb"</Reference><Status>", b"</Reference>x<Status>"),
    "row after the totals": _with(
        rb"</Totals>\n",
        b'</Totals><Row><Reference>B</Reference><Status>REGISTERED</Status><Amount currency="RUB">1</Amount></Row>',
    ),
    "two totals": _with(rb"<Totals>(.*)</Totals>", rb"<Totals>\1</Totals><Totals>\1</Totals>"),
    "no day": _with(rb"<BusinessDay>.*</BusinessDay>", b""),
    "no such day": _with(rb"2026-11-23</BusinessDay>", b"2026-02-30</BusinessDay>"),
    "day with a zone": _with(rb"2026-11-23</BusinessDay>", b"2026-11-23Z</BusinessDay>"),
    "other order": _with(rb"<Status>CANCELLED</Status>(<Amount.*?</Amount>)", rb"\1<Status>CANCELLED</Status>"),
    "reference twice": _with(rb"<Reference>A-1</Reference>", b"<Reference>A-1</Reference><Reference>B</Reference>"),
    "a row in a row": _with(rb"<Reference>A-1</Reference>", b"<Row/><Reference>A-1</Reference>"),
    "element in a value": _with(_A1, b"A-1<Status/></Reference>"),
    "empty terminal": _with(rb"ATM-0001", b""),
    "line end in a reference": _with(_A1, b"A-1\n</Reference>"),
    "no currency": _with(rb' currency="JPY"', b""),
    "local time": _with(rb"15:00:00\+03:00", b"15:00:00"),
    "leap second": _with(rb"15:00:00\+03:00", b"23:59:60Z"),
    "far zone": _with(rb"15:00:00\+03:00", b"15:00:00+14:30"),
    "sixteen digits": _with(rb">5000<", b">5000000000000000<"),
    "negative": _with(rb">5000<", b">-5000<"),
}
_SEMANTIC = {
    "card number": _with(_A1, b"4111111111111111</Reference>"),
    "too many decimals": _with(rb">5000<", b">5000.5<"),
    "totals differ": _totals(2, "5100.5"),
}
"""What no XSD can say; the schema's documentation does."""


@pytest.mark.parametrize("name", [*_HOSTILE, *_SEMANTIC])
def test_no_xml_but_a_register_is_read(name: str) -> None:
    found = mistakes((_HOSTILE | _SEMANTIC)[name])
    assert not any(secret in each for each in found for secret in ("A-1", "4111", "passwd", "lol", "x.xsd"))


_SAFE_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
_BEYOND_THE_SCHEMA = {
    *("document type", "billion laughs", "comment in a value", "CDATA", "processing instruction"),
    *("schema location", "xsi:nil", "another encoding", "UTF-16", "UTF-16 that says UTF-8"),
}
"""What the schema's documentation forbids and an XSD cannot."""


@pytest.mark.parametrize("name", sorted({*_HOSTILE} - _BEYOND_THE_SCHEMA))
def test_what_is_refused_for_its_form_is_refused_by_the_schema_too(name: str) -> None:
    octets = _HOSTILE[name]
    try:
        document = etree.fromstring(octets, _SAFE_PARSER)
    except etree.XMLSyntaxError:
        return
    assert not etree.XMLSchema(etree.fromstring(XSD)).validate(document)
    assert not xmlschema.XMLSchema10(XSD.decode()).is_valid(document)


def test_what_is_refused_for_its_meaning_conforms_to_the_schema() -> None:
    for octets in (XML, *_SEMANTIC.values()):
        document = etree.fromstring(octets, _SAFE_PARSER)
        assert etree.XMLSchema(etree.fromstring(XSD)).validate(document)
        assert xmlschema.XMLSchema10(XSD.decode()).is_valid(document)


def test_space_around_decimals_and_times_is_read_as_the_schema_says() -> None:
    octets = (
        _with(rb">5000<", b">\n 5000\t<")
        .replace(b"<OccurredAt>", b"<OccurredAt>\n")
        .replace(b"<BusinessDay>", b"<BusinessDay> ")
    )
    assert etree.XMLSchema(etree.fromstring(XSD)).validate(etree.fromstring(octets))
    assert rows(octets) == ROWS


def test_the_patterns_are_the_schemas() -> None:
    patterns = {
        element.getparent().getparent().get("name"): element.get("value")
        for element in etree.fromstring(XSD).iter("{http://www.w3.org/2001/XMLSchema}pattern")
    }
    assert {name: re.sub(r"\\-", "-", pattern) for name, pattern in patterns.items()} == {
        name: re.sub(r"\\-", "-", pattern.pattern)
        for name, pattern in (
            ("Reference", REFERENCE),
            ("Day", register_values.DAY),
            ("PositiveDecimal", register_values.AMOUNT),
            ("CurrencyCode", register_values.CURRENCY),
            ("ZonedTime", register_values.INSTANT),
            ("TerminalName", register_values.TERMINAL),
            ("PaymentId", register_values.PAYMENT_ID),
            ("RowCount", register_values.ROW_COUNT),
            ("HashTotal", register_values.HASH_TOTAL),
        )
    }


_MUTATIONS = st.lists(
    st.tuples(
        st.integers(60, len(XML) - 1), st.sampled_from([b"", b"<", b">", b"/", b"0", b"Z", b" ", b'"', b"&", b"\n"])
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=300)
@given(mutations=_MUTATIONS)
def test_whatever_is_read_conforms_to_the_schema(mutations: list[tuple[int, bytes]]) -> None:
    octets = XML
    for place, put in mutations:
        octets = octets[:place] + put + octets[place + 1 :]
    try:
        check(octets)
    except RegisterFileError:
        return
    assert etree.XMLSchema(etree.fromstring(XSD)).validate(etree.fromstring(octets, _SAFE_PARSER)), octets


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class _Endless(io.RawIOBase):
    """A hostile file that goes on and on, of which nothing is kept; how much memory was in use at its end."""

    def __init__(self, beginning: bytes, repeated: bytes, count: int) -> None:
        self._parts = chain([beginning], repeat(repeated, count))
        self.resident_at_end = 0

    def read(self, size: int = -1) -> bytes:
        part = next(self._parts, b"")
        self.resident_at_end = self.resident_at_end if part else _resident_bytes()
        return part


@pytest.mark.parametrize(
    "repeated",
    [b"<Foo/>" * 1000, b"<Row>" * 100, b"<Row><Terminal/></Row>" * 100, b"x" * 10_000, b"<Row><Terminal/>" * 5],
)
def test_no_file_takes_more_memory_than_a_row(repeated: bytes) -> None:
    """libxml2's memory counts, too: forty thousand rows that were kept would be tens of megabytes."""
    file = _Endless(XML[: XML.index(b"<Row>")], repeated, 400)
    before = _resident_bytes()
    with pytest.raises(RegisterFileError):
        register_files.check(file, Form.XML, is_card)  # type: ignore[arg-type]
    assert file.resident_at_end - before < 8 * 1024 * 1024


def test_the_schema_allows_as_many_rows_as_can_be_kept() -> None:
    most = etree.fromstring(XSD).find(".//{http://www.w3.org/2001/XMLSchema}maxInclusive")
    assert most is not None
    assert int(most.get("value", "")) == PART_ROWS_MAX * PARTS_MAX


def test_the_schema_is_packaged(pytestconfig: pytest.Config) -> None:
    assert (Path(pytestconfig.rootpath) / "schemas" / "bankapi-register-v1.xsd").read_bytes() == XSD
