"""What an ATM does, through `/way4`: every operation, lost answers, conflicts, reversals in any order."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from lxml import etree

from bankapi.cli.client import TerminalClient
from bankapi.cli.documents import Amount
from bankapi.cli.way4 import channel_client
from bankapi.way4 import samples
from bankapi.way4.client import Reply
from bankapi.way4.configuration import Operation
from tests.way4.conftest import NOON, Door, new_rrn, parameter, text

Clients = Callable[[str], TerminalClient]
VALIDATE, REGISTER, CANCEL, STATUS, BALANCE, STATEMENT = Operation


def available(door: Door, msisdn: str) -> str:
    reply = door.ask(BALANCE, msisdn=msisdn)
    assert door.outcome(reply) == "OK"
    balances = reply.root.findall("MsgData/Doc/DataRs/ContractRs/Info/Balances/Balance")
    return {each.findtext("Name"): each.findtext("Amount") for each in balances}["BALANCE"] or ""


def test_a_payment_is_checked_made_repeated_seen_and_reversed(door: Door) -> None:
    of = {"msisdn": "79160000011", "amount": "120.50"}
    rrn, before = new_rrn(), available(door, "79160000011")
    checked = door.ask(VALIDATE, **of)
    assert door.outcome(checked) == "OK"
    assert text(checked, "Doc/DataRs/ContractRs/Contract/ContractName") == "I*** P."
    assert parameter(checked, "ValidationId")
    assert door.code(STATUS, rrn=rrn) == "OK"
    assert door.ask(STATUS, rrn=rrn).root.get("resp_code") == "25", "never seen"

    paid = door.ask(REGISTER, rrn=rrn, **of)
    assert (door.outcome(paid), text(paid, "Doc/Status/PostingStatus")) == ("OK", "Posted")
    assert float(available(door, "79160000011")) - float(before) == 120.5
    repeated = door.ask(REGISTER, rrn=rrn, **of)
    assert parameter(repeated, "PaymentId") == parameter(paid, "PaymentId") is not None
    assert (repeated.receipt.answered.replayed, paid.receipt.answered.replayed) == (True, False)
    assert door.code(REGISTER, rrn=rrn, msisdn="79160000011", amount="120.51") == "REFERENCE_CONFLICT"
    assert float(available(door, "79160000011")) - float(before) == 120.5
    status = door.ask(STATUS, rrn=rrn)
    assert (status.root.get("resp_code"), parameter(status, "PaymentId")) == ("0", parameter(paid, "PaymentId"))

    statement = door.ask(STATEMENT, msisdn="79160000011")
    items = statement.root.findall("MsgData/Doc/DataRs/Stmt/AdditionalStmt/StmtItem/PostingDetails/AccountAmount")
    assert (items[-1].findtext("Type"), items[-1].findtext("Amount")) == ("PAYMENT", "120.50")

    assert door.code(CANCEL, rrn=rrn, msisdn="79160000011", amount="120.49") == "AMOUNT_MISMATCH"
    reversed_ = door.ask(CANCEL, rrn=rrn, **of)
    assert (door.outcome(reversed_), parameter(reversed_, "PaymentId")) == ("OK", parameter(paid, "PaymentId"))
    assert available(door, "79160000011") == before
    again = door.ask(CANCEL, rrn=rrn, **of)
    assert (door.outcome(again), again.receipt.answered.replayed) == ("OK", True)
    assert door.code(REGISTER, rrn=rrn, **of) == "ALREADY_CANCELLED"
    assert door.ask(STATUS, rrn=rrn).root.get("resp_code") == "21"
    assert available(door, "79160000011") == before


def test_the_answer_echoes_the_whole_request(door: Door) -> None:
    """Take away what the answer adds, and the request is left, byte for byte as an XML tree."""
    message = samples.sample(REGISTER, local_at=NOON, rrn=new_rrn(), msisdn="79160000012")
    extra = "<Unknown z='1' y='2'>ü &lt; <deep xmlns='urn:x'>text</deep> tail</Unknown>"
    sent = message.replace("<Doc>", f"<Doc>{extra}").replace("      <Destination>", f"{extra}<Destination>")
    reply = door.client.send(sent.encode(), media_type="application/xml")
    root = reply.root
    for name in ("resp_class", "resp_code", "resp_text"):
        assert root.attrib.pop(name)
    root.set("direction", "Rq")
    body = root.find("MsgData/Doc")
    assert body is not None
    for added in (body.find("Status"), body.xpath("DocRefSet/Parm[ParmCode='PaymentId']")[0]):
        added.getparent().remove(added)
    assert etree.tostring(root, method="c14n") == etree.tostring(etree.fromstring(sent.encode()), method="c14n")


def test_a_reversal_that_comes_before_its_payment_settles_it(door: Door) -> None:
    """Also when the reversal is dated after midnight, and the payment before it."""
    for payment_at in (NOON, NOON - timedelta(days=1)):
        rrn = new_rrn()
        first, again = (door.ask(CANCEL, rrn=rrn, msisdn="79160000012") for _ in range(2))
        assert [door.outcome(each) for each in (first, again)] == ["OK", "OK"]
        assert (first.receipt.answered.status, first.receipt.answered.replayed) == ("VOIDED", False)
        assert (again.receipt.answered.status, again.receipt.answered.replayed) == ("VOIDED", True)
        assert door.code(REGISTER, rrn=rrn, msisdn="79160000012", local_at=payment_at) == "REFERENCE_VOIDED"
        assert door.ask(STATUS, rrn=rrn, local_at=payment_at).root.get("resp_code") == "21"


def test_a_reversal_after_midnight_finds_the_payment_of_the_evening(door: Door) -> None:
    rrn, evening, night = new_rrn(), *map(datetime.fromisoformat, ("2026-03-01T23:59:58", "2026-03-02T00:00:12"))
    before = available(door, "79160000013")
    assert door.code(REGISTER, rrn=rrn, msisdn="79160000013", local_at=evening) == "OK"
    reply = door.ask(CANCEL, rrn=rrn, msisdn="79160000013", local_at=night)
    assert (door.outcome(reply), reply.receipt.answered.status) == ("OK", "CANCELLED")
    assert available(door, "79160000013") == before


def test_numbers_that_begin_anew_every_day_do_not_confuse_a_reversal(door: Door) -> None:
    """One RRN on two days: the payer and the amount say which payment is meant; without a doubt it is today's."""
    today, yesterday = NOON, NOON - timedelta(days=1)
    rrn = new_rrn()
    assert door.code(REGISTER, rrn=rrn, msisdn="79160000013", amount="10.00", local_at=yesterday) == "OK"
    assert door.code(REGISTER, rrn=rrn, msisdn="79160000014", amount="10.00", local_at=today) == "OK"
    of_yesterday = door.ask(CANCEL, rrn=rrn, msisdn="79160000013", amount="10.00", local_at=today)
    assert of_yesterday.receipt.answered.status == "CANCELLED"
    assert door.ask(STATUS, rrn=rrn, local_at=today).root.get("resp_code") == "0", "today's stands"
    assert door.ask(STATUS, rrn=rrn, local_at=yesterday).root.get("resp_code") == "21"


def test_a_reference_of_the_sender_is_taken_where_there_is_no_rrn(door: Door) -> None:
    srn = f"ORDER-{new_rrn()}"
    message = samples.sample(REGISTER, local_at=NOON, rrn="X", msisdn="79160000012").replace(
        "<ParmCode>RRN</ParmCode><Value>X<", f"<ParmCode>SRN</ParmCode><Value>{srn}<"
    )
    reply = door.client.send(message.encode())
    assert (door.outcome(reply), reply.receipt.asked.reference) == ("OK", srn)


@pytest.mark.parametrize(
    ("edit", "amount"), [((">RUB<", ">643<"), "5.00"), ((">RUB<", ">978<"), "1.00"), ((">RUB<", ">EUR<"), "1.00")]
)
def test_currencies_are_letters_or_digits(door: Door, edit: tuple[str, str], amount: str) -> None:
    message = samples.sample(REGISTER, local_at=NOON, rrn=new_rrn(), msisdn="79160000012", amount=amount)
    reply = door.client.send(message.replace(*edit).encode())
    assert door.outcome(reply) == "OK"
    assert reply.receipt.answered.credited.currency == "RUB"


def test_a_declined_payment_says_why_and_goes_on_saying_so(door: Door) -> None:
    rrn = new_rrn()
    for _ in range(2):
        reply = door.ask(REGISTER, rrn=rrn, msisdn="79160000019")
        assert (door.outcome(reply), reply.root.get("resp_code")) == ("PAYER_BLOCKED", "62")
        assert (text(reply, "Doc/Status/PostingStatus"), parameter(reply, "PaymentId")) == (None, None)
    assert door.ask(STATUS, rrn=rrn).root.get("resp_code") == "62"


INFORMATION = """<UFXMsg direction="Rq" scheme="WAY4Appl" msg_type="Information" version="2.3.81">
  <Source app="{app}"/><MsgId>free string 1</MsgId>
  <MsgData><Information>
    <ResultDtls><Parm><ParmCode>Balance</ParmCode><Value>AVAILABLE</Value></Parm></ResultDtls>
    <ObjectFor><ClientIDT><ClientInfo><ClientNumber>{msisdn}</ClientNumber></ClientInfo></ClientIDT></ObjectFor>
    <ActionType>{action}</ActionType><ObjectType>{kind}</ObjectType>
  </Information></MsgData></UFXMsg>"""


def test_an_inquiry_asks_for_a_balance_by_the_phone_number(door: Door) -> None:
    asked = {"app": "ATM-0001", "msisdn": "79160000015", "kind": "Client", "action": "Inquiry"}
    reply = door.client.send(INFORMATION.format(**asked).encode())
    assert door.outcome(reply) == "OK"
    assert text(reply, "Information/DataRs/ContractRs/Contract/Currency") == "RUB"
    door.refused(INFORMATION.format(**asked | {"action": "Update"}), "way4.message-code")
    door.refused(INFORMATION.format(**asked | {"kind": "Device"}), "way4.message-code")
    door.refused(INFORMATION.format(**asked | {"app": "NOBODY"}), "admission.terminal-unknown")


def test_a_statement_has_the_wanted_days_and_as_many_lines(door: Door) -> None:
    for amount in ("1.01", "1.02", "1.03"):
        assert door.code(REGISTER, msisdn="79160000006", amount=amount) == "OK"
    message = samples.sample(STATEMENT, local_at=NOON, rrn=new_rrn(), msisdn="79160000006")

    def amounts(reply: Reply) -> list[str | None]:
        assert door.outcome(reply) == "OK"
        return [each.findtext("PostingDetails/AccountAmount/Amount") for each in reply.root.iter("StmtItem")]

    assert amounts(door.client.send(message.encode())) == ["1.01", "1.02", "1.03"]
    assert amounts(door.client.send(message.replace(">5<", ">2<").encode())) == ["1.02", "1.03"]
    past = "<Parm><ParmCode>DateTo</ParmCode><Value>2026-01-01</Value></Parm></ResultDtls>"
    assert amounts(door.client.send(message.replace("</ResultDtls>", past).encode())) == []


# Both doors, one set of books


def soap_payment(reference: str, amount: str, msisdn: str) -> list[Any]:
    return [
        ("Reference", reference),
        ("Payer", [("Msisdn", msisdn)]),
        ("Amount", Amount(amount, "RUB")),
        ("PaidAt", "2026-03-01T12:00:00+03:00"),
    ]


def test_soap_and_way4_see_the_same_books(door: Door, client: Clients) -> None:
    atm, rrn, of = client("ATM-0001"), new_rrn(), {"msisdn": "79160000014", "amount": "33.00"}
    reference = f"ATM-0001/2026-03-01/{rrn}"
    paid = door.ask(REGISTER, rrn=rrn, **of)
    seen = atm.call("GetPaymentStatus", [("Reference", reference)]).fields
    assert (seen["status"], seen["payment_id"]) == ("REGISTERED", parameter(paid, "PaymentId"))
    again = atm.call("RegisterPayment", soap_payment(reference, "33.00", "79160000014")).fields
    assert (again["code"], again["replayed"], again["payment_id"]) == ("OK", True, seen["payment_id"])
    other = atm.call("RegisterPayment", soap_payment(reference, "34.00", "79160000014")).fields
    assert other["code"] == "REFERENCE_CONFLICT"
    payer = [("Payer", [("Msisdn", "79160000014")])]
    assert atm.call("GetBalance", payer).fields["balance"]["amount"] == available(door, "79160000014")
    cancelled = [("Reference", reference), ("Amount", Amount("33.00", "RUB")), ("Reason", "CUSTOMER_REQUEST")]
    assert atm.call("CancelPayment", cancelled).fields["code"] == "OK"
    assert door.code(REGISTER, rrn=rrn, **of) == "ALREADY_CANCELLED"

    rrn = new_rrn()
    reference = f"ATM-0001/2026-03-01/{rrn}"
    assert atm.call("RegisterPayment", soap_payment(reference, "33.00", "79160000014")).fields["code"] == "OK"
    repeated = door.ask(REGISTER, rrn=rrn, **of)
    assert (door.outcome(repeated), repeated.receipt.answered.replayed) == ("OK", True)
    assert door.code(CANCEL, rrn=rrn, **of) == "OK"
    assert atm.call("GetPaymentStatus", [("Reference", reference)]).fields["status"] == "CANCELLED"


def test_one_reference_over_both_doors_at_once_is_one_payment(door: Door, client: Clients) -> None:
    """24 copies over six connections, half of them signed SOAP and half of them UFX."""
    rrn, before = new_rrn(), door.books()
    reference = f"ATM-0001/2026-03-01/{rrn}"
    fields = soap_payment(reference, "7.00", "79160000014")
    message = samples.sample(REGISTER, local_at=NOON, rrn=rrn, msisdn="79160000014", amount="7.00").encode()

    def by_soap(_: int) -> list[tuple[str, bool]]:
        atm = client("ATM-0001")
        answers = [atm.call("RegisterPayment", fields).fields for _ in range(4)]
        return [(answer["payment_id"], answer["replayed"]) for answer in answers]

    def by_way4(_: int) -> list[tuple[str, bool]]:
        channel = channel_client(door.gateway.settings)
        replies = [channel.send(message) for _ in range(4)]
        return [(parameter(reply, "PaymentId"), reply.receipt.answered.replayed) for reply in replies]

    with ThreadPoolExecutor(6) as threads:
        under_way = [threads.submit((by_soap, by_way4)[number % 2], number) for number in range(6)]
        answers = [answer for each in under_way for answer in each.result()]
    assert len(answers) == 24
    assert len({payment_id for payment_id, _ in answers}) == 1
    assert sum(not is_replayed for _, is_replayed in answers) == 1
    assert door.books()[0] == before[0] + 1
