"""A full card number comes in nowhere, and leaves no trace in any file (PCI DSS requirement 3)."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from bankapi.refusals import FaultCode, Rule
from tests.attacks.arena import PAYER, Arena, Attack, Scene
from tests.attacks.edits import add, element
from tests.messages import WSSE, change, utc

NOTE = '<x:Note xmlns:x="urn:x"%s>%s</x:Note>'
Builder = Callable[[Scene, str], Attack | bytes]


def new_card() -> str:
    """A number that a network could have issued: every case has its own, so that a trace says whose it is."""
    digits = "4" + "".join(secrets.choice("0123456789") for _ in range(14))
    doubled = [int(digit) * (2 - at % 2) for at, digit in enumerate(digits)]
    return digits + str(-sum(value // 10 + value % 10 for value in doubled) % 10)


def grouped(card: str) -> str:
    return " ".join(card[at : at + 4] for at in range(0, 16, 4))


def in_payment(old: str, new: str) -> Builder:
    return lambda scene, card: scene.signed(
        payload=scene.payment.replace(old, new.format(card=card, grouped=grouped(card), tail=card[1:]))
    )


def in_header(attributes: str, text: str) -> Builder:
    return lambda scene, card: scene.signed(
        headers_after=NOTE % (attributes.format(card=card, grouped=grouped(card)), text.format(card=card))
    )


CARDS: dict[str, Builder] = {
    "in the reference": in_payment("CANARY", "{card}-CANARY"),
    "as a character reference": in_payment("CANARY", "&#52;{tail}-CANARY"),
    "in CDATA": in_payment(">CANARY", "><![CDATA[{card}]]>CANARY"),
    "in the rrn": in_payment("</b:PaidAt>", "</b:PaidAt><b:Rrn>{card}</b:Rrn>"),
    "as the bin": in_payment("</b:PaidAt>", "</b:PaidAt><b:CardBin>{card}</b:CardBin>"),
    "as the account number": in_payment(f"<b:Msisdn>{PAYER}</b:Msisdn>", "<b:AccountNumber>{card}</b:AccountNumber>"),
    "in an attribute of a field": in_payment("<b:Payer>", '<b:Payer card="{card}">'),
    "in the currency": in_payment('"RUB"', '"{card}"'),
    "in text between": in_payment("<b:Payer>", "{card}<b:Payer>"),
    "in an unknown element": in_payment("<b:Payer>", "<b:Card>{grouped}</b:Card><b:Payer>"),
    "in an unknown header": in_header("", "{card}"),
    "in an attribute of a header": in_header(' pan="{grouped}"', ""),
    "in an attribute of the body": lambda scene, card: scene.signed(body_attributes=f' pan="{card}"'),
    "in an attribute of the envelope": lambda scene, card: scene.signed(envelope_attributes=f' pan="{card}"'),
    "in an attribute of all headers": lambda scene, card: change(
        scene.signed(), lambda envelope: envelope[0].set("pan", card)
    ),
    "in an unsigned message": lambda scene, card: change(
        scene.signed(payload=scene.payment.replace("CANARY", f"{card}-CANARY")),
        lambda envelope: envelope[0].remove(envelope[0][0]),
    ),
    "in a header added after signing": lambda scene, card: change(
        scene.signed(), add("/*/soap:Header", element("x:Note", card))
    ),
}


@pytest.mark.parametrize("case", CARDS)
def test_a_card_number_is_refused_and_leaves_no_trace(arena: Arena, case: str) -> None:
    scene, card = arena.scene(), new_card()
    with leaving_no_trace(arena, card):
        arena.refuses(CARDS[case](scene, card), FaultCode.CARD_NUMBER_PRESENT, Rule.CARD_NUMBER, canary=scene.canary)


HIDDEN: dict[str, Builder] = {
    "in the action": lambda scene, card: Attack(scene.signed(), soap_action=f'"{card}"'),
    "in the media type": lambda scene, card: Attack(scene.signed(), content_type=f"text/{card}"),
    "in a header of HTTP": lambda scene, card: Attack(scene.signed(), headers=(("X-Card", card),)),
    "in a comment": lambda scene, card: scene.signed() + f"<!--{card}-->".encode(),
    "in half a message": lambda scene, card: scene.signed(headers_after=NOTE % ("", card))[:-9],
    "in the name of a field": in_payment("b:Reference>", "b:c{card}>"),
    "in the namespace of an operation": lambda scene, card: scene.signed(payload=f'<x xmlns="urn:{card}"/>'),
    "in a header that must be understood": in_header(' soapenv:mustUnderstand="1"', "{card}"),
    "in a second security header": lambda scene, card: scene.signed(
        headers_after=f"<wsse:Security xmlns:wsse='{WSSE}'>{card}</wsse:Security>"
    ),
    "in the timestamp": lambda scene, card: scene.signed(created=card),
    "in the signature": lambda scene, card: scene.signed(signature_extra=f"<ds:Object>{card}</ds:Object>"),
    "in an attribute of security": lambda scene, card: scene.signed(security_attributes=f'pan="{card}"'),
    "in an attribute of the timestamp": lambda scene, card: scene.signed(timestamp_xml=_timestamp(f'pan="{card}"')),
}


@pytest.mark.parametrize("case", HIDDEN)
def test_a_card_number_leaves_no_trace_where_it_is_not_looked_for(arena: Arena, case: str) -> None:
    """Whatever the answer is, nothing of the number is kept, logged or echoed."""
    scene, card = arena.scene(), new_card()
    built = HIDDEN[case](scene, card)
    with leaving_no_trace(arena, card):
        reply = arena.post(built if isinstance(built, Attack) else Attack(built))
        assert card.encode() not in reply.body


@contextmanager
def leaving_no_trace(arena: Arena, card: str) -> Iterator[None]:
    """Neither in the files of the database, nor in what is compressed in them, nor in the log."""
    stored = arena.stored_since()
    yield
    for written in (card, grouped(card)):
        assert written not in arena.gateway.log()
        assert written.encode() not in stored()


def _timestamp(attributes: str) -> str:
    now = datetime.now(UTC)
    return (
        f'<wsu:Timestamp wsu:Id="TS-22222222" {attributes}><wsu:Created>{utc(now)}</wsu:Created>'
        f"<wsu:Expires>{utc(now + timedelta(minutes=5))}</wsu:Expires></wsu:Timestamp>"
    )
