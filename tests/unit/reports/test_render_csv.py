"""CSV: what scripts rely on, and what a spreadsheet must not run."""

import csv
import io
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bankapi.billing.money import Money
from bankapi.languages.texts import LANGUAGES
from bankapi.reports.document import Column, Document, Table, Unit
from bankapi.reports.render import Format, NothingFlat
from bankapi.reports.render.amounts import plain_amount
from bankapi.reports.render.as_csv import unescaped
from tests.unit.reports.rendering import AT, ROWS, document, of_texts, table, written

FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
likely_formulas = st.builds(str.__add__, st.sampled_from(["'", "''", *FORMULA_STARTS]), texts)


def read(octets: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(octets.decode("utf-8"), newline="")))


def test_values_are_plain() -> None:
    heading, first, second, third, last = read(written(document(), Format.CSV))
    assert heading == ["registered_at", "reference", "dealer", "amount", "currency", "fee", "business_on", "events"]
    assert first == [
        "2026-03-01T01:30:15.250+03:00",
        *("A-1", "First Bank", "-1234567.89", "RUB", "0.05", "2026-03-01", "1200"),
    ]
    assert second[1:6] == ["007", "First Bank", "5000", "JPY", "0"]
    assert third[1:] == ['B,"2"\n', "", "0.001", "KWD", "-0.001", "2026-03-01", "-3"]
    assert last == ["", "C", "", "", "", "", "", ""]


def test_it_is_rfc_4180() -> None:
    octets = written(document(), Format.CSV)
    assert octets.startswith(b"registered_at,"), "no byte order mark"
    assert octets.endswith(b"\r\n")
    assert b'"B,""2""\n"' in octets


def test_every_language_gives_the_same_bytes() -> None:
    assert len({written(document(language=language), Format.CSV) for language in LANGUAGES}) == 1


def test_an_instant_has_the_offset_of_its_own_day() -> None:
    columns = [Column("at", "At", Unit.INSTANT)]
    summer = AT.replace(month=7)
    berlin = Document("R", (), (Table("t", "T", columns, [(AT,), (summer,)]),), "en", ZoneInfo("Europe/Berlin"))
    assert read(written(berlin, Format.CSV))[1:] == [
        ["2026-02-28T23:30:15.250+01:00"],
        ["2026-07-29T00:30:15.250+02:00"],
    ]


@given(st.lists(texts | likely_formulas))
def test_no_text_is_a_formula_and_every_text_can_be_had_back(given_texts: list[str]) -> None:
    fields = [field for (field,) in read(written(of_texts([f"{text}|" for text in given_texts]), Format.CSV))[1:]]
    assert not [field for field in fields if field.startswith(FORMULA_STARTS)]
    assert [unescaped(field) for field in fields] == [f"{text}|" for text in given_texts]


@pytest.mark.parametrize("unit", list(Unit))
def test_a_formula_is_none_in_any_column(unit: Unit) -> None:
    assert read(written(of_texts(["=1+1", None, "-REF"], unit), Format.CSV))[1:] == [["'=1+1"], [""], ["'-REF"]]


def test_half_a_character_does_not_end_a_report() -> None:
    assert read(written(of_texts(["a\ud800b"]), Format.CSV))[1:] == [["a?b"]]


def test_of_several_tables_the_flat_one_is_written() -> None:
    flat = table(ROWS[:1])
    assert len(read(written(document(table(), table(), flat=flat), Format.CSV))) == 2
    with pytest.raises(NothingFlat):
        written(document(table(), table()), Format.CSV)


@given(st.integers(-(10**15) + 1, 10**15 - 1), st.sampled_from(["RUB", "JPY", "KWD", "CLF"]))
def test_plain_amounts_are_the_decimals(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    assert plain_amount(money) == f"{money.to_decimal():f}"
