"""Card data is masked or gone in what is kept, and nothing else is changed."""

import re
import time
from contextlib import suppress
from itertools import combinations_with_replacement

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from bankapi.gateway import cards
from bankapi.refusals import Refusal, Rule
from bankapi.way4.redaction import kept_copy
from tests.unit.gateway.test_conformity import CARDS
from tests.unit.way4.conftest import root_of


@pytest.mark.parametrize("number", CARDS)
@pytest.mark.parametrize("form", ["%s", "card %s.", "ref:%s;20", "\n%s\n", "2026-%s"])
def test_a_card_number_keeps_its_first_six_and_last_four_digits(number: str, form: str) -> None:
    masked = number[:6] + "*" * (len(number) - 10) + number[-4:]
    assert cards.masked(form % number) == form % masked
    assert not cards.are_in((cards.masked(form % number),))


def test_groups_keep_their_form_and_other_numbers_stay() -> None:
    assert cards.masked("4111 1111-1111 1111") == "4111 11**-**** 1111"
    for text in ("4111111111111112", "79160000001", "2026-03-01 12:00:00", "41111111-1111-1111-1111-1111111111ab", ""):
        assert cards.masked(text) == text


@given(st.text(st.sampled_from("0123456789 -x٤"), max_size=80))
def test_no_card_number_stays_as_it_was(text: str) -> None:
    masked = cards.masked(text)
    assert len(masked) == len(text)
    groups = list(re.finditer(r"\d+", text))
    for first, last in combinations_with_replacement(groups, 2):
        number = slice(first.start(), last.end())
        assert masked[number] != text[number] or not cards.are_in((text[number],))
    assert (masked == text) == (not cards.are_in((text,)))


def test_security_data_and_expiry_are_emptied() -> None:
    kept = kept_copy(
        root_of(
            "<UFXMsg><A><SecurityData x='SECRET'><SecParm>SECRET</SecParm>SECRET</SecurityData> tail</A>"
            "<CardInfo><CardExpiry>SECRET</CardExpiry></CardInfo></UFXMsg>"
        )
    )
    assert b"SECRET" not in kept
    assert (
        kept
        == b"<UFXMsg><A><SecurityData></SecurityData> tail</A><CardInfo><CardExpiry></CardExpiry></CardInfo></UFXMsg>"
    )


def test_a_long_contract_number_is_masked_except_the_terminals() -> None:
    def kept(inner: str) -> str:
        return kept_copy(root_of(f"<UFXMsg>{inner}</UFXMsg>")).decode()[8:-9]

    number, masked = "1234567890123452", "123456******3452"
    for name in ("ContractNumber", "CBSNumber", "RBSNumber"):
        assert kept(f"<Requestor><{name}>{number}</{name}></Requestor>") == (
            f"<Requestor><{name}>{masked}</{name}></Requestor>"
        )
    assert number in kept(f"<Source><ContractNumber>{number}</ContractNumber></Source>")
    assert number in kept(f"<Note>{number}</Note>")


def test_the_payers_phone_number_stays_even_if_it_looks_like_a_card() -> None:
    phone = "4222222222222"
    root = root_of(f"<UFXMsg><ClientNumber>+{phone}</ClientNumber></UFXMsg>")
    assert phone.encode() in kept_copy(root, phone)
    assert phone.encode() not in kept_copy(root)


def test_the_message_itself_is_not_touched() -> None:
    content = "<UFXMsg a='4111111111111111'><CardExpiry>2912</CardExpiry></UFXMsg>"
    root = root_of(content)
    kept_copy(root)
    assert etree.tostring(root) == etree.tostring(root_of(content))


@pytest.mark.parametrize(
    "content", ["<x4111111111111111/>", "<x y4111111111111111=''/>", "<x xmlns='urn:4111111111111111'/>"]
)
def test_a_card_number_in_a_name_is_refused(content: str) -> None:
    with pytest.raises(Refusal) as caught:
        kept_copy(root_of(content))
    assert caught.value.rule is Rule.CARD_NUMBER


@pytest.mark.parametrize("text", ["4 " * 120_000, "4111 " * 50_000, "4" * 250_000, "4-" * 4_900])
def test_the_work_is_bounded(text: str) -> None:
    root = etree.Element("x")
    root.text = text
    started = time.process_time()
    with suppress(Refusal):  # for too many numbers to look at
        kept_copy(root)
    assert time.process_time() - started < 0.5
