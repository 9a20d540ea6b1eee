"""Widths and folding."""

import pytest

from bankapi.languages.columns import columns, folded


@pytest.mark.parametrize(("text", "width"), [("", 0), ("abc", 3), ("金额：", 6), ("é", 1), ("e\u0301", 1), ("كافٍ", 3)])
def test_columns_are_counted_as_they_are_printed(text: str, width: int) -> None:
    assert columns(text) == width


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two", ["one", "two"]),
        ("a b c", ["a b c"]),
        ("x: abcdefgh", ["x:", "abcde", "fgh"]),
        ("abcde", ["abcde"]),
        ("金额金额", ["金额", "金额"]),
        ("", []),
    ],
)
def test_lines_are_broken_at_spaces_and_only_else_within_words(text: str, lines: list[str]) -> None:
    assert list(folded(text, 5)) == lines
