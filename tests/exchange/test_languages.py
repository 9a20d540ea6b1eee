"""In which language the gateway answers over the whole signed way."""

from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from bankapi.cli.client import Answer, TerminalClient
from bankapi.cli.documents import Amount
from bankapi.contract.types import expanded

Clients = Callable[[str], TerminalClient]
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def _pay(atm: TerminalClient, reference: str, language: str = "", card_bin: str = "") -> Answer:
    fields: list[Any] = [
        ("Reference", reference),
        ("Payer", [("Msisdn", "79160000002")]),
        ("Amount", Amount("1234.50", "RUB")),
        ("PaidAt", "2026-03-01T12:00:00+03:00"),
    ]
    if language:
        fields.insert(0, ("Language", language))
    if card_bin:
        fields.append(("CardBin", card_bin))
    return atm.call("RegisterPayment", fields)


def _spoken(answer: Answer) -> str:
    (message,) = etree.fromstring(answer.answer).iter(expanded("Message"))
    return str(message.get(XML_LANG))


@pytest.mark.parametrize(
    ("language", "card_bin", "spoken", "amount"),
    [
        ("", "", "en", "Amount: RUB 1,234.50"),
        ("", "999902", "de", "Betrag: 1.234,50 RUB"),
        ("", "99990401", "zh", "金额：RUB 1,234.50"),
        ("tlh", "999903", "tr", "Tutar: RUB 1.234,50"),
        ("ru-RU", "999902", "ru", "Сумма: 1 234,50 RUB"),
        ("ar", "", "ar", "المبلغ: 1,234.50 RUB"),
        ("", "888888", "en", "Amount: RUB 1,234.50"),
    ],
)
def test_the_receipt_speaks_as_the_request_or_its_card(
    client: Clients, language: str, card_bin: str, spoken: str, amount: str
) -> None:
    answer = _pay(client("ATM-0001"), f"LANG-{language}-{card_bin}", language, card_bin)
    assert answer.fields["code"] == "OK"
    assert _spoken(answer) == spoken
    assert amount in answer.fields["receipt_lines"]


def test_a_replay_gives_the_same_receipt_in_the_language_asked_now(client: Clients) -> None:
    first = _pay(client("ATM-0001"), "LANG-REPLAY", "uk")
    again = _pay(client("ATM-0001"), "LANG-REPLAY", "de")
    once_more = _pay(client("ATM-0001"), "LANG-REPLAY", "uk")
    assert again.fields["replayed"]
    assert f"Zahlungsnr.: {first.fields['payment_id']}" in again.fields["receipt_lines"]
    assert once_more.fields["receipt_lines"] == first.fields["receipt_lines"]


def test_a_fault_of_a_verified_request_speaks_its_language_and_one_before_that_english(client: Clients) -> None:
    atm = client("ATM-0001")
    bad_amount = [("Payer", [("Msisdn", "79160000002")]), ("Amount", Amount("1.001", "RUB"))]
    verified = atm.call("ValidatePayment", [("Language", "fr"), *bad_amount])
    assert verified.fields["message"].startswith("Le message n’est pas conforme")
    request = atm.sign("Ping", [("Language", "fr")]).replace(b">fr<", b">de<")
    refused = atm.verified(request, atm.send("Ping", request))
    assert (refused.is_fault, refused.fields["code"], _spoken(refused)) == (True, "SECURITY", "en")
