"""XLSX, read back by another library: types, formats and what a text may not become."""

import io
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook
from openpyxl.utils.escape import unescape

from bankapi.billing.money import Money
from bankapi.reports.document import Bar, Chart, Column, Document, Unit
from bankapi.reports.render import Format, as_xlsx
from bankapi.reports.render.sheets import TEXT_MAX
from tests.unit.reports.rendering import AT, MOSCOW, document, of_texts, table, written

TOTAL = ("Total", None, None, Money(99, "RUB"), None, None, 7)


def book(of: Document) -> Workbook:
    return load_workbook(io.BytesIO(written(of, Format.XLSX)))


def column_of(workbook: Workbook, place: int = 0) -> list[Any]:
    return [row[place].value for row in workbook.worksheets[1].iter_rows(min_row=2)]


def test_cells_are_typed() -> None:
    sheet = book(document()).worksheets[1]
    heading, first, second, third, last = sheet.iter_rows()
    titles = ["Time", "Reference", "Dealer", "Amount", "Currency", "Fee", "Day", "Events"]
    assert [cell.value for cell in heading] == titles
    assert first[0].value == AT.astimezone(MOSCOW).replace(tzinfo=None, microsecond=0)
    assert [cell.value for cell in first[1:6]] == ["A-1", "First Bank", -1234567.89, "RUB", 0.05]
    assert first[6].value == datetime(2026, 3, 1)  # noqa: DTZ001
    assert first[7].value == 1200
    assert [cell.data_type for cell in first] == list("dssnsndn")
    assert second[1].value == "007", "an identifier keeps its zeros"
    assert [row[3].number_format for row in (first, second, third)] == ["#,##0.00", "#,##0", "#,##0.000"]
    assert (first[0].number_format, first[6].number_format) == ("yyyy-mm-dd hh:mm:ss", "yyyy-mm-dd")
    assert [cell.value for cell in last] == [None, "C", *[None] * 6]


def test_the_heading_stays_and_filters_and_totals_do_not_mix() -> None:
    sheet = book(document(table(total=TOTAL))).worksheets[1]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:H5"
    assert [cell.value for cell in sheet[6]] == ["Total", None, None, 0.99, "RUB", None, None, 7]
    assert all(cell.font.bold for cell in sheet[6])
    assert sheet["D6"].number_format == "#,##0.00"
    assert not sheet["A2"].font.bold


def test_title_and_facts_come_first() -> None:
    sheet = book(document()).worksheets[0]
    assert [[cell.value for cell in row] for row in sheet.iter_rows()] == [
        ["Report", None],
        [None, None],
        ["Dealer", "First Bank"],
        ["Time zone", "Europe/Moscow"],
    ]


@pytest.mark.parametrize(("language", "expected"), [("ar", True), ("en", None), ("zh", None)])
def test_arabic_sheets_start_at_the_right(language: str, expected: bool | None) -> None:
    for sheet in book(document(language=language)).worksheets:
        assert sheet.sheet_view.rightToLeft is expected


@pytest.mark.parametrize(
    "text",
    ["=1+1", "{=1}", "http://example.com", "<r><t>x</t></r>", "_x41_", "a&<b>\"'", " both ", "1e5", "0", "'x", "\n"],
)
def test_a_text_stays_the_text_it_is(text: str) -> None:
    sheet = book(of_texts([text])).worksheets[1]
    assert (sheet["A2"].value, sheet["A2"].data_type) == (text, "s")
    assert sheet["A2"].hyperlink is None


def test_a_text_that_looks_like_an_escaped_character_is_none() -> None:
    """ECMA-376, part 1, 22.9.2.19: readers replace `_x0041_` by A."""
    (stored,) = column_of(book(of_texts(["_x0041_x0042_"])))
    assert unescape(stored) == "_x0041_x0042_"
    assert "_x0041_" not in stored.replace("_x005F_x0041_", "")


@settings(max_examples=25)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1)))
def test_texts_are_kept(texts: list[str]) -> None:
    assert column_of(book(of_texts(texts))) == texts


def test_what_xml_cannot_hold_is_replaced_and_what_a_cell_cannot_hold_is_cut() -> None:
    kept, cut = column_of(book(of_texts(["a\0b\x1bc\ud800", "😀" * 40_000])))
    assert kept == "a\ufffdb\ufffdc\ufffd"
    assert cut == "😀" * TEXT_MAX


def test_a_long_table_goes_on_in_further_sheets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(as_xlsx, "SHEET_ROWS_MAX", 11)
    columns, rows = [Column("n", "Number", Unit.COUNT)], [(number,) for number in range(20)]
    sheets = book(document(table(rows, columns, total=(190,)))).worksheets[1:]
    assert [sheet.title for sheet in sheets] == ["Payments", "Payments (2)", "Payments (3)"]
    assert [sheet["A1"].value for sheet in sheets] == ["Number"] * 3
    found = [row[0].value for sheet in sheets for row in sheet.iter_rows(min_row=2)]
    assert found == [*range(20), 190]
    assert [sheet.auto_filter.ref for sheet in sheets] == ["A1:A11", "A1:A11", "A1"]


def test_sheet_names_are_what_spreadsheets_allow() -> None:
    titles = ["Payments: by day/terminal [all]", "payments: by day/terminal [all]", "'", "x" * 40, "X" * 40]
    names = book(document(*(table(title=title) for title in titles))).sheetnames
    assert len({name.lower() for name in names}) == len(titles) + 1
    assert all(0 < len(name) <= 31 and not set("[]:*?/\\") & set(name) for name in names)


def test_charts_are_native_and_show_what_people_read() -> None:
    bars = [Bar("ATM-1", Decimal("10.50"), "RUB 10.50"), Bar("=ATM-2", Decimal(0), "=0")]
    workbook = book(document(charts=[Chart("=By terminal", bars), Chart("Nothing", [])]))
    sheet = workbook["Charts"]
    assert [[cell.value for cell in row[:2]] for row in sheet["A1:B3"]] == [
        ["=By terminal", None],
        ["ATM-1", 10.5],
        ["=ATM-2", 0],
    ]
    assert {cell.data_type for row in sheet["A1:A3"] for cell in row} == {"s"}
    assert len(sheet._charts) == 1
    assert sheet._charts[0].series[0].val.numRef.f == "Charts!$B$2:$B$3"


def test_days_before_the_calendar_of_spreadsheets_are_texts() -> None:
    columns = [Column("at", "At", Unit.INSTANT)]
    early = AT - timedelta(days=365 * 200)
    assert str(column_of(book(document(table([(early,)], columns))))[0:]).startswith("['1826-")
