"""Texts as short messages."""

import pytest

from bankapi.notices.alphabet import GSM_CODING, PARTS_MAX, UCS2_CODING, TextTooLong, split


def test_a_text_goes_as_gsm_where_it_can() -> None:
    assert split("Done: 5 €@", 7).payloads == (b"Done: 5 \x1b\x65\x00",)
    assert split("a" * 160, 7).payloads == (b"a" * 160,)
    assert split("§", 7).payloads == (b"\x5f",)


@pytest.mark.parametrize("text", ["Готово", "`", "ç", "🙂"])
def test_and_as_ucs2_where_it_cannot(text: str) -> None:
    messages = split(text, 7)
    assert (messages.data_coding, messages.payloads) == (UCS2_CODING, (text.encode("utf-16-be"),))


@pytest.mark.parametrize(
    ("text", "coding", "most", "together"),
    [
        ("a" * 161, GSM_CODING, 153, "a" * 161),
        ("a" * 152 + "€" * 10, GSM_CODING, 153, "a" * 152 + "\x1be" * 10),
        ("я" * 71, UCS2_CODING, 134, "я" * 71),
        ("я" * 66 + "🙂" * 5, UCS2_CODING, 134, "я" * 66 + "🙂" * 5),
    ],
)
def test_a_long_text_is_split_between_characters(text: str, coding: int, most: int, together: str) -> None:
    messages = split(text, 7)
    assert messages.data_coding == coding
    chunks = [payload[6:] for payload in messages.payloads]
    for number, payload in enumerate(messages.payloads, start=1):
        assert payload[:6] == bytes((5, 0, 3, 7, len(chunks), number))
    assert all(0 < len(chunk) <= most for chunk in chunks)
    codec = "utf-16-be" if coding == UCS2_CODING else "latin-1"
    assert "".join(chunk.decode(codec) for chunk in chunks) == together
    assert not any(chunk.endswith(b"\x1b") for chunk in chunks)


def test_nobody_gets_a_book() -> None:
    assert len(split("a" * 153 * PARTS_MAX, 7).payloads) == PARTS_MAX
    with pytest.raises(TextTooLong):
        split("a" * (153 * PARTS_MAX + 1), 7)
