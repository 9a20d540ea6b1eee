"""The lines and columns of a PDF: order, folding, and that nothing leaves the page."""

import logging
import re

import pytest
from fpdf import FPDF
from hypothesis import given
from hypothesis import strategies as st

from bankapi.reports.document import Bar, Chart, Column, Unit
from bankapi.reports.render import Format
from bankapi.reports.render.grids import PADDING, Grid, fit
from bankapi.reports.render.typesetting import MISSING, TextDirection, Typesetter
from tests.unit.reports.rendering import document, of_texts, table, written

LTR, RTL = TextDirection.LTR, TextDirection.RTL
SETTER = Typesetter(FPDF(), is_right_to_left=False)
words = st.lists(st.text(st.sampled_from("abcWi№жш中文数مدفوعات0123456789-/"), min_size=1, max_size=30), min_size=1)


def pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b", pdf))


def order(text: str, direction: TextDirection | None) -> list[str]:
    """The pieces from left to right, each as it is read."""
    line = SETTER.line(text, False, direction)
    return [piece.text.strip() for piece in line.pieces if piece.text.strip()]


def test_numbers_keep_their_place_in_a_line_from_right_to_left() -> None:
    assert order("صفحة 2 من 5", None) == ["5", "من", "2", "صفحة"]
    assert order("01/03/2026، 8:30:00 ص", RTL) == ["ص", "8:30:00", "،", "01/03/2026"]


def test_a_sign_stays_before_its_number_among_arabic_letters() -> None:
    assert order("ص +0300", None) == ["+0300", "ص"]
    assert order("-162.35 RUB", LTR) == ["-162.35 RUB"]


def test_arabic_stands_within_a_line_from_left_to_right() -> None:
    assert order("Bank مدفوعات 5 نعم end", None) == ["Bank", "نعم", "5", "مدفوعات", "end"]


def test_brackets_open_the_other_way_from_right_to_left() -> None:
    assert order("(بنك)", None) == ["(", "بنك", ")"]


def test_letters_that_join_are_shaped_and_others_are_not() -> None:
    shaped = {piece.text.strip(): piece.is_right_to_left for piece in SETTER.line("بنك 5 ص", False, None).pieces}
    assert shaped["بنك"] is True
    assert shaped["ص"] is False


def test_joined_letters_are_narrower_than_letters_alone() -> None:
    joined = SETTER.line("مدفوعات", False, None).width
    assert joined < sum(SETTER.line(letter, False, None).width for letter in "مدفوعات")


def test_what_no_font_has_is_replaced_and_what_is_not_seen_is_left_out() -> None:
    assert SETTER.shown("a\U00013000b\u202ec\td") == f"a{MISSING}bc d"


def test_a_text_without_glyphs_neither_ends_a_report_nor_gets_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    hostile = ["\U00013000", "한국어", "a\0b\n\x1b", "\ud800", "\u202eabc", "", "   ", "W" * 5000, "{nb}", "**x**"]
    assert written(of_texts(hostile), Format.PDF).startswith(b"%PDF-")
    assert written(of_texts(hostile, Unit.CODE), Format.PDF).startswith(b"%PDF-")
    assert not caplog.records


@given(words, st.floats(8, 80), st.booleans())
def test_folded_lines_fit_and_nothing_is_lost(given_words: list[str], width: float, is_bold: bool) -> None:
    text = " ".join(given_words)
    lines = SETTER.folded(text, is_bold, 8.0, width)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    for line in lines:
        assert SETTER.width(line, is_bold, 8.0) <= width or len(line) == 1


@given(words, st.floats(8, 80))
def test_a_fitted_text_is_its_beginning(given_words: list[str], width: float) -> None:
    text = " ".join(given_words)
    fitted = SETTER.fitted(text, False, 8.0, width)
    assert SETTER.width(fitted, False, 8.0) <= width
    assert fitted == text or (fitted.endswith("…") and text.startswith(fitted[:-1]))


@given(st.lists(st.tuples(st.sampled_from(list(Unit)), st.floats(1, 300)), min_size=1, max_size=40))
def test_columns_always_fit_the_page(columns: list[tuple[Unit, float]]) -> None:
    grid = Grid("t", [Column("c", "C", unit) for unit, _ in columns], [], [])
    natural = [width for _, width in columns]
    found = fit(grid, natural, 273.0)
    assert sum(found.widths) <= 273.001
    assert all(width > 2 * PADDING for width in found.widths)
    if sum(natural) + 2 * PADDING * len(natural) <= 273.0:
        assert all(width + 2 * PADDING >= wanted for width, wanted in zip(found.widths, natural, strict=True))


@pytest.mark.parametrize(("bars", "expected"), [(0, 1), (1, 1), (16, 1), (62, 1), (400, 4)])
def test_charts_of_any_length_are_drawn(bars: int, expected: int) -> None:
    chart = Chart("Payments", [Bar("Терминал " * 20, number % 3, "9" * 60) for number in range(bars)])
    assert pages(written(document(charts=[chart]), Format.PDF)) == expected


@pytest.mark.parametrize(("columns", "lies"), [(2, False), (9, True)])
def test_wide_tables_lie(columns: int, lies: bool) -> None:
    of = document(table([["x" * 20] * columns], [Column("c", "C", Unit.CODE)] * columns))
    assert (b"/MediaBox [0 0 841.89 595.28]" in written(of, Format.PDF)) is lies
