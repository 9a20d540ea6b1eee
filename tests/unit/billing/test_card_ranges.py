"""Which range a BIN belongs to."""

import pytest

from bankapi.billing import card_ranges
from bankapi.billing.card_ranges import SPAN_MAX, CardRange
from bankapi.storage.engine import Store

RANGES = (
    CardRange(99992000, 99992199, "DE"),
    CardRange(99992010, 99992019, "CH"),
    CardRange(99992015, 99992015, "CH", "fr"),
    CardRange(10000000, 10000000 + SPAN_MAX - 1, "RU"),
    CardRange(99999999, 99999999, "UA"),
)


@pytest.mark.parametrize(
    ("card_bin", "tag"),
    [
        ("99992015", "fr"),
        ("99992014", "de"),
        ("9999201", "de"),
        ("999920", "de"),
        ("99992199", "de"),
        ("99992200", None),
        ("999919", None),
        ("100000", "ru"),
        ("10999999", "ru"),
        ("11000000", None),
        ("99999999", "uk"),
        ("999999", None),
        ("000000", None),
    ],
)
def test_the_narrowest_range_that_holds_every_card_of_a_bin_counts(
    database_url: str, card_bin: str, tag: str | None
) -> None:
    store = Store(database_url)
    store.write(lambda connection: card_ranges.add(connection, RANGES))
    with store.read() as connection:
        assert card_ranges.language_of(connection, card_bin) == tag
        assert card_ranges.list_ranges(connection) == sorted(RANGES, key=lambda each: (each.first, -each.last))
    store.close()


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [("123456", "123456", (12345600, 12345699)), ("1234567", "12345678", (12345670, 12345678))],
)
def test_a_bin_is_a_span_of_eight_digit_numbers(first: str, last: str, expected: tuple[int, int]) -> None:
    assert card_ranges.span(first, last) == expected
