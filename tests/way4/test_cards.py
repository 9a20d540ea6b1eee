"""Card data may come in with UFX, goes back to its sender, and leaves no trace here (PCI DSS requirement 3)."""

import secrets
from collections.abc import Callable

import pytest

from bankapi.way4 import samples
from bankapi.way4.configuration import Operation
from tests.attacks.test_cards import grouped, new_card
from tests.way4.conftest import NOON, Door, new_rrn

REQUESTOR = """<Requestor><ContractNumber>{card}</ContractNumber><CardInfo><CardExpiry>{expiry}</CardExpiry></CardInfo>
<SecurityData><SecParm><Code>CVV2</Code><Value>{cvv}</Value></SecParm></SecurityData></Requestor>"""


def payment(before: str = "", after: str = "") -> str:
    message = samples.sample(Operation.REGISTER, local_at=NOON, rrn=new_rrn(), msisdn="79160000010", amount="1.00")
    return message.replace("<Doc>", f"<Doc>{before}").replace("</Doc>", f"{after}</Doc>")


def _value(card: str) -> str:
    return f"<Code>TRACK2</Code><Value>{card}=29121010000</Value>"


PLACES: dict[str, Callable[[str], str]] = {
    "the message id": lambda card: (
        payment().replace("<MsgId>", f"<MsgId>{card}</MsgId><Old>").replace("</MsgId>\n  <Source", "</Old>\n  <Source")
    ),
    "an unknown element": lambda card: payment(f"<Note>{card}</Note>"),
    "groups of four": lambda card: payment(f"<Description>{grouped(card)}</Description>"),
    "a character reference": lambda card: payment(f"<Note>&#{ord(card[0])};{card[1:]}</Note>"),
    "CDATA": lambda card: payment(f"<Note><![CDATA[{card}]]></Note>"),
    "an attribute": lambda card: payment(f'<Note pan="{card}"/>'),
    "an attribute of the root": lambda card: payment().replace("<UFXMsg ", f'<UFXMsg pan="{card}" '),
    "the text behind an element": lambda card: payment(f"<Note><x/>{card}</Note>"),
    "another namespace": lambda card: payment(f'<x:Note xmlns:x="urn:x">{card}</x:Note>'),
    "a track": lambda card: payment(f"<SecurityData><SecParm>{_value(card)}</SecParm></SecurityData>"),
    "a place behind security data": lambda card: payment(
        f"<SecurityData><SecParm>{_value(card)}</SecParm></SecurityData><Note>{card}</Note>"
    ),
    "the requestor": lambda card: payment(f"<Requestor><ContractNumber> {card} </ContractNumber></Requestor>"),
    "an echo of an answer": lambda card: payment(f"<Status><RespText>{card}</RespText></Status>"),
}
REFUSED: dict[str, Callable[[str], str]] = {
    "the reference": lambda card: payment().replace(
        "<Parm><ParmCode>RRN", f"<Parm><ParmCode>RRN</ParmCode><Value>{card}</Value></Parm><Parm><ParmCode>X"
    ),
    "the terminal": lambda card: payment().replace(">ATM-0001<", f">{card}<"),
    "the account": lambda card: (
        payment()
        .replace("<Client>", f"<ContractNumber>{card}</ContractNumber><Client>")
        .replace("ClientNumber", "ClientName")
    ),
    "a name": lambda card: payment(f"<c{card}/>"),
    "the name of an attribute": lambda card: payment(f'<x c{card}=""/>'),
    "a namespace": lambda card: payment(f'<x xmlns="urn:{card}"/>'),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_card_number_anywhere_is_masked_in_what_is_kept(
    door: Door, stored_since: Callable[[], bytes], place: str
) -> None:
    card = new_card()
    reply = door.client.send(PLACES[place](card).encode())
    assert door.outcome(reply) == "OK"
    _assert_no_trace(door, card, stored_since)


@pytest.mark.parametrize("place", REFUSED)
def test_where_a_card_number_would_have_to_be_kept_the_message_is_refused(
    door: Door, stored_since: Callable[[], bytes], place: str
) -> None:
    card = new_card()
    door.refused(REFUSED[place](card), "card-number")
    _assert_no_trace(door, card, stored_since)


def test_a_card_that_pays_leaves_its_first_six_and_last_four_digits(
    door: Door, stored_since: Callable[[], bytes]
) -> None:
    card, cvv, expiry = new_card(), f"CVV-{secrets.token_hex(8)}", f"EXPIRY-{secrets.token_hex(8)}"
    message = payment(REQUESTOR.format(card=card, cvv=cvv, expiry=expiry))
    reply = door.client.send(message.encode())
    assert door.outcome(reply) == "OK"
    assert card.encode() in reply.body, "its own sender gets the whole echo"
    row = door.database.execute(
        "SELECT card_bin, card_last_four FROM payments WHERE reference = ?", (reply.receipt.asked.reference,)
    ).fetchone()
    assert row == (card[:6], card[-4:])
    _assert_no_trace(door, card, stored_since)
    assert f"{card[:6]}******{card[-4:]}".encode() in stored_since()
    for secret in (cvv, expiry):
        assert secret.encode() not in stored_since()
        assert secret not in door.gateway.log()


@pytest.mark.parametrize("number", ["1234567890123452", "9999999999999999", "7000000000000"])
def test_a_long_contract_number_of_the_payer_is_masked_even_if_it_cannot_be_a_card(
    door: Door, stored_since: Callable[[], bytes], number: str
) -> None:
    reply = door.client.send(payment(f"<Requestor><ContractNumber>{number}</ContractNumber></Requestor>").encode())
    assert (door.outcome(reply), reply.receipt.asked.texts["card_bin"]) == ("OK", None)
    assert number.encode() not in stored_since()


def test_a_refused_message_leaves_no_trace_whatever_is_in_it(door: Door, stored_since: Callable[[], bytes]) -> None:
    card = new_card()
    with_card = payment(REQUESTOR.format(card=card, cvv=card, expiry=card))
    for message, rule in (
        (with_card.replace("02000R", "02000X"), "way4.message-code"),
        (with_card.replace("ATM-0001", "ATM-9999"), "admission.terminal-unknown"),
        (with_card.replace(">1.00<", f">{card}.12345<"), "schema"),
        (with_card[:-12], "xml.not-well-formed"),
        (with_card.replace("<Doc>", f"<Doc><!--{card}-->"), "xml.comment"),
        (with_card.replace("UFXMsg", f"c{card}"), "way4.not-ufx"),
    ):
        door.refused(message, rule)
    _assert_no_trace(door, card, stored_since)


def _assert_no_trace(door: Door, card: str, stored_since: Callable[[], bytes]) -> None:
    stored, log = stored_since(), door.gateway.log()
    for written in (card, grouped(card), card.encode().hex()):
        assert written.encode() not in stored
        assert written not in log
