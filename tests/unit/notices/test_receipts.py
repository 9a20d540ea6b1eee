"""Delivery receipts as SMSCs write them."""

import pytest

from bankapi.notices import receipts
from bankapi.notices.receipts import PartState, Receipt
from bankapi.settings import IdNotation

TEXT = "id:{} sub:001 dlvrd:001 submit date:2603011200 done date:2603011201 stat:{} err:000 text:Payment"


def read(
    text: str,
    receipted_message_id: str | None = None,
    message_state: int | None = None,
    response_ids: IdNotation = IdNotation.TEXT,
    receipt_ids: IdNotation = IdNotation.TEXT,
) -> Receipt | None:
    return receipts.read(
        text,
        receipted_message_id=receipted_message_id,
        message_state=message_state,
        response_ids=response_ids,
        receipt_ids=receipt_ids,
    )


@pytest.mark.parametrize(
    ("word", "number", "state"),
    [
        ("DELIVRD", 2, PartState.DELIVERED),
        ("delivrd", 2, PartState.DELIVERED),
        ("EXPIRED", 3, PartState.EXPIRED),
        ("UNDELIV", 5, PartState.UNDELIVERABLE),
        ("REJECTD", 8, PartState.REJECTED),
        ("ENROUTE", 1, None),
        ("ACCEPTD", 6, None),
        ("UNKNOWN", 7, None),
    ],
)
def test_text_and_parameters_say_the_same(word: str, number: int, state: PartState | None) -> None:
    expected = None if state is None else Receipt("a-1", state)
    assert read(TEXT.format("A-1", word)) == expected
    assert read("", "A-1", number) == expected


def test_ids_meet_in_whatever_notation() -> None:
    hexadecimal, decimal = IdNotation.HEX, IdNotation.DECIMAL
    assert receipts.canonical_id("0A1F", hexadecimal) == receipts.canonical_id("0000002591", decimal)
    of_text = read(TEXT.format("2591", "DELIVRD"), response_ids=hexadecimal, receipt_ids=decimal)
    of_parameter = read(TEXT.format("2591", "DELIVRD"), "0A1F", 2, hexadecimal, decimal)
    assert of_text == of_parameter == Receipt("2591", PartState.DELIVERED)


@pytest.mark.parametrize("text", ["", "id: stat:", "Hello", "id:1 stat:", "stat:DELIVRD", "\x00" * 300])
def test_anything_else_is_no_receipt(text: str) -> None:
    assert read(text) is None


def test_the_message_type_is_four_bits() -> None:
    assert [receipts.is_receipt(esm_class) for esm_class in (0x00, 0x04, 0x44, 0x08, 0x20, None)] == [
        False,
        True,
        True,
        False,
        False,
        False,
    ]
