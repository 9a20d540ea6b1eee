"""Who and what is refused at `/way4`: strangers, terminals of others, unknown codes, and hostile bytes."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, update

from bankapi import clock
from bankapi.billing import tables, terminals
from bankapi.billing.terminals import AccessStatus
from bankapi.cli.authority import Authority, Purpose, certificate_pem, key_pem, new_ec_key, subject_name
from bankapi.cli.home import certificate_record, write_public, write_secret
from bankapi.cli.way4 import channel_client
from bankapi.storage.engine import Store
from bankapi.way4 import samples
from bankapi.way4.configuration import Operation
from tests.way4.conftest import NOON, Door, new_rrn, text


def message(operation: Operation = Operation.REGISTER, **values: str) -> str:
    values = {"msisdn": "79160000017", **values}
    return samples.sample(operation, local_at=NOON, rrn=new_rrn(), **values)


@contextmanager
def meanwhile(
    door: Door, change: Callable[[Connection], object], back: Callable[[Connection], object]
) -> Iterator[None]:
    """Something that staff change, and take back afterwards."""
    store = Store(door.gateway.settings.database_url)
    try:
        store.write(change)
        yield
    finally:
        store.write(back)
        store.close()


# Who may speak


def test_a_terminal_of_another_dealer_is_as_unknown_as_one_that_does_not_exist(door: Door) -> None:
    replies = [
        door.refused(message(terminal=terminal), "admission.terminal-unknown") for terminal in ("ATM-0101", "ATM-9999")
    ]
    assert [reply.status for reply in replies] == [200, 200]
    codes = {(reply.root.get("resp_code"), reply.root.get("resp_text")) for reply in replies}
    assert codes == {("63", "This sender or this terminal is not accepted.")}


def test_a_terminal_may_speak_for_itself_and_for_no_other(door: Door) -> None:
    own = channel_client(door.gateway.settings, terminal="ATM-0002")
    assert door.outcome(own.send(message(terminal="ATM-0002").encode())) == "OK"
    reply = own.send(message(terminal="ATM-0001").encode())
    assert door.row(reply)["rule"] == "admission.terminal-unknown"
    own.close()


def test_a_blocked_terminal_or_dealer_is_refused_on_the_next_message(door: Door) -> None:
    def set_terminal(status: AccessStatus) -> Callable[[Connection], object]:
        return lambda connection: terminals.set_terminal_status(connection, "ATM-0002", status)

    def set_dealer(status: AccessStatus) -> Callable[[Connection], object]:
        dealers = tables.dealers
        return lambda connection: connection.execute(
            update(dealers).where(dealers.c.name == "DEMO-BANK").values(status=status)
        )

    assert door.code(Operation.BALANCE, terminal="ATM-0002") == "OK"
    for change, rule in ((set_terminal, "admission.terminal-blocked"), (set_dealer, "admission.dealer-blocked")):
        with meanwhile(door, change(AccessStatus.BLOCKED), change(AccessStatus.ACTIVE)):
            door.refused(message(terminal="ATM-0002"), rule)
    assert door.code(Operation.BALANCE, terminal="ATM-0002") == "OK"


def test_a_terminal_that_may_not_call_an_operation_is_told_so_and_decides_nothing(door: Door) -> None:
    def allow(operations: str | None) -> Callable[[Connection], object]:
        table = tables.terminals
        return lambda connection: connection.execute(
            update(table).where(table.c.name == "ATM-0002").values(operations=operations)
        )

    rrn = new_rrn()
    of = {"rrn": rrn, "terminal": "ATM-0002", "msisdn": "79160000017", "amount": "3.00"}
    with meanwhile(door, allow("GetBalance"), allow(None)):
        assert door.code(Operation.REGISTER, **of) == "OPERATION_NOT_ALLOWED"
        assert door.code(Operation.BALANCE, terminal="ATM-0002") == "OK"
    assert door.code(Operation.REGISTER, **of) == "OK"


def test_a_dealer_who_has_not_agreed_to_it_is_not_taken_at_its_word(door: Door) -> None:
    """Its terminal's key is good for a handshake; a payment needs its signature, and so SOAP."""
    shop = channel_client(door.gateway.settings, terminal="ATM-0101")
    before = door.books()
    reply = shop.send(message(terminal="ATM-0101").encode())
    assert door.row(reply)["rule"] == "admission.signature-required"
    assert (reply.root.get("resp_code"), door.books()) == ("63", before)
    shop.close()


def test_a_certificate_must_be_registered_and_not_revoked(door: Door) -> None:
    settings, now = door.gateway.settings, clock.utc_now()
    authority = Authority.load(settings.ca_certificate, settings.ca_key)
    key = new_ec_key()
    certificate = authority.issue(subject_name("new channel"), key.public_key(), Purpose.TERMINAL, now)
    write_public(settings.channel_file("NEW", "cert.pem"), certificate_pem(certificate))
    write_secret(settings.channel_file("NEW", "key.pem"), key_pem(key))
    new = channel_client(settings, channel="NEW")
    assert door.row(new.send(message().encode()))["rule"] == "tls.certificate-unknown"
    record, table = certificate_record(certificate), tables.certificates

    def register(connection: Connection) -> None:
        terminal = terminals.find_terminal(connection, "ATM-0001")
        assert terminal is not None
        terminals.register_certificate(connection, dealer_id=terminal.dealer_id, terminal_id=None, certificate=record)

    def revoke(connection: Connection) -> None:
        found = update(table).where(table.c.fingerprint == record.fingerprint)
        connection.execute(found.values(revoked_at=clock.utc_now()))

    with meanwhile(door, register, revoke):
        assert door.outcome(new.send(message().encode())) == "OK"
    assert door.row(new.send(message().encode()))["rule"] == "admission.certificate-revoked", "the connection is alive"
    new.close()


# What is no request


def test_an_unknown_message_code_is_refused_and_never_guessed(door: Door) -> None:
    good = message()
    for code in ("02000X", "02000r", "02000R_rev_rev", "", " ", "Information"):
        reply = door.refused(good.replace(">02000R<", f">{code}<"), "way4.message-code")
        assert text(reply, "Doc/Status/RespText") == "This message code is not known here."
    door.refused(good.replace("<TransCode><MsgCode>02000R</MsgCode></TransCode>", ""), "way4.message-code")


WRONG = {
    "no RRN": ("<ParmCode>RRN</ParmCode>", "<ParmCode>XRN</ParmCode>"),
    "no amount": ("<Amount>100.00</Amount>", ""),
    "no currency": ("<Currency>RUB</Currency>", ""),
    "no local time": ("<LocalDt>2026-03-01 12:00:00</LocalDt>", ""),
    "no payer": ("ClientNumber>", "ClientName>"),
    "nothing paid": (">100.00<", ">0.00<"),
    "less than a kopek": (">100.00<", ">100.001<"),
    "another currency": (">RUB<", ">XXX<"),
    "another numeric currency": (">RUB<", ">999<"),
    "no such day": ("2026-03-01", "2026-02-30"),
    "a phone number with letters": (">79160000017<", ">7916000001X<"),
    "two amounts": ("</Amount>", "</Amount><Amount>100.00</Amount>"),
    "two transactions": ("<Transaction>", "<Transaction><Amount>1.00</Amount></Transaction><Transaction>"),
    "two terminals": ("<Source><ContractNumber>", "<Source/><Source><ContractNumber>"),
    "two RRN": ("<DocRefSet>", "<DocRefSet><Parm><ParmCode>RRN</ParmCode><Value>1</Value></Parm>"),
    "two codes": ("</MsgCode>", "</MsgCode><MsgCode>02000R</MsgCode>"),
}
NOT_SCHEMA = {
    "elements in a value": (">79160000017<", "><b>7</b>9160000017<"),
    "an amount in words": (">100.00<", ">hundred<"),
    "an exponent": (">100.00<", ">1e2<"),
    "a comma": (">100.00<", ">100,00<"),
    "a time with a zone": (" 12:00:00<", "T12:00:00Z<"),
    "an unknown direction": ('direction="Rq"', 'direction="XX"'),
    "text between elements": ("<Doc>", "<Doc>text"),
    "another type": (
        "<Transaction>",
        '<Transaction xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Code">',
    ),
}


def edited(edit: tuple[str, str]) -> str:
    good = message()
    assert edit[0] in good
    return good.replace(*edit)


@pytest.mark.parametrize("case", WRONG)
def test_what_an_operation_needs_is_there_once_and_in_its_form(door: Door, case: str) -> None:
    reply = door.refused(edited(WRONG[case]), "way4.field")
    assert (reply.status, reply.root.get("resp_code")) == (200, "30")


@pytest.mark.parametrize("case", NOT_SCHEMA)
def test_what_breaks_the_schema_is_refused(door: Door, case: str) -> None:
    assert door.refused(edited(NOT_SCHEMA[case]), "schema").status == 200


def test_a_message_names_its_terminal(door: Door) -> None:
    without = message().replace("<Source><ContractNumber>ATM-0001</ContractNumber></Source>", "")
    door.refused(without, "admission.terminal-unknown")  # there is still the application, which is no terminal of ours
    door.refused(without.replace('<Source app="DEMO-WAY4"/>', ""), "way4.field")


def test_the_place_is_named_and_the_value_is_not(door: Door) -> None:
    reply = door.refused(message().replace(">100.00<", ">SECRET<"), "schema")
    assert (reply.root.get("resp_text") or "").endswith("(UFXMsg/MsgData/Doc/Transaction/Amount)")
    reply = door.refused(message(amount="100.001"), "way4.field")
    assert (reply.root.get("resp_text") or "").endswith("(Doc/Transaction/Amount)")


UFX = "<UFXMsg direction='Rq'>{}</UFXMsg>"
DOC = "<Doc><TransType><TransCode><MsgCode>01000B</MsgCode></TransCode></TransType></Doc>"


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("", "way4.not-ufx"),
        ("<MsgData/>", "way4.not-ufx"),
        (f"<MsgData>{DOC}{DOC}</MsgData>", "way4.not-ufx"),
        (f"<MsgData>{DOC}</MsgData><MsgData>{DOC}</MsgData>", "way4.not-ufx"),
        (f"<MsgData>{DOC}<Information/></MsgData>", "way4.not-ufx"),
        ("<MsgData><Application/></MsgData>", "way4.not-ufx"),
        (f"<MsgData><x:Doc xmlns:x='urn:x'>{DOC}</x:Doc></MsgData>", "way4.not-ufx"),
        (f"<x:MsgData xmlns:x='urn:x'>{DOC}</x:MsgData>", "way4.not-ufx"),
    ],
)
def test_a_message_has_one_body(door: Door, content: str, rule: str) -> None:
    assert door.refused(UFX.format(content), rule).status == 200


def test_an_answer_is_no_request(door: Door) -> None:
    door.refused(message().replace('direction="Rq"', 'direction="Rs"'), "way4.not-ufx")


HOSTILE = {
    "nothing": (b"", "xml.not-well-formed"),
    "no XML": (b"MsgCode=02000R", "xml.not-well-formed"),
    "half a message": (message()[:-9].encode(), "xml.not-well-formed"),
    "two roots": ((message().strip() + "<x/>").encode(), "xml.not-well-formed"),
    "a SOAP envelope": (
        b"<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body/></s:Envelope>",
        "way4.not-ufx",
    ),
    "a namespace": (message().replace("<UFXMsg ", "<UFXMsg xmlns='urn:x' ").encode(), "way4.not-ufx"),
    "an external entity": (
        b"<!DOCTYPE UFXMsg [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>" + message()[39:].encode(),
        "xml.doctype",
    ),
    "a billion laughs": (
        b"<!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]><UFXMsg>&b;</UFXMsg>",
        "xml.doctype",
    ),
    "an entity of nobody": (b"<UFXMsg direction='Rq'>&x;</UFXMsg>", "xml.entity"),
    "a comment": (message().replace("<Doc>", "<Doc><!-- x -->").encode(), "xml.comment"),
    "a processing instruction": (message().replace("<Doc>", "<Doc><?x y?>").encode(), "xml.processing-instruction"),
    "a style sheet": (
        message().replace("?>", "?><?xml-stylesheet href='http://localhost/'?>", 1).encode(),
        "xml.processing-instruction",
    ),
    "UTF-16": (message().encode("utf-16"), "xml.not-utf8"),
    "another declared encoding": (message().replace("UTF-8", "windows-1251").encode(), "xml.not-utf8"),
    "bytes that are no UTF-8": (message().encode().replace(b"<Doc>", b"<Doc><x>\xff</x>"), "xml.not-utf8"),
    "a NUL": (message().encode().replace(b"<Doc>", b"<Doc>\0"), "xml.not-utf8"),
    "40 levels": (UFX.format("<a>" * 40 + "</a>" * 40).encode(), "size.depth"),
    "6000 elements": (UFX.format("<a/>" * 6000).encode(), "size.elements"),
    "300 KiB": (UFX.format("x" * 300_000).encode(), "size.bytes"),
    "compressed": (gzip.compress(message().encode()), "xml.not-utf8"),
    "an XOP reference": (
        UFX.format("<i:Include xmlns:i='http://www.w3.org/2004/08/xop/include' href='cid:x'/>").encode(),
        "xop.include",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_bytes_are_refused_and_nothing_of_them_comes_back(door: Door, case: str) -> None:
    content, rule = HOSTILE[case]
    reply = door.refused(content, rule)
    assert reply.status == 400
    assert len(reply.root) == 0
    assert len(reply.body) < 400
    assert door.code(Operation.BALANCE) == "OK"


@pytest.mark.parametrize(
    ("media_type", "rule"),
    [
        ("application/json", "http.media-type"),
        ("application/soap+xml", "http.media-type"),
        ("text/xml; charset=utf-7", "http.charset"),
        ("text/xml; boundary=x", "http.media-type"),
    ],
)
def test_only_xml_in_utf_8_is_read(door: Door, media_type: str, rule: str) -> None:
    assert door.refused(message(), rule, media_type=media_type).status == 400


def test_other_methods_are_not_allowed(door: Door) -> None:
    assert door.code(Operation.BALANCE) == "OK"
    connection = door.client._caller._connection
    assert connection is not None
    for method in ("GET", "PUT", "DELETE"):
        connection.request(method, "/way4")
        response = connection.getresponse()
        response.read()
        assert (response.status, response.getheader("Allow")) == (405, "POST")
