"""The contract decides, its own words explain, and no value of a message is echoed."""

import socket
import time
from typing import Any

import pytest
from lxml import etree

from bankapi.gateway.conformity import VIOLATIONS_MAX, ConformingEnvelope, Conformity, holds_card_number
from bankapi.gateway.envelope import ParsedEnvelope, ReceivedMessage, parse
from bankapi.refusals import Refusal, Rule, SchemaViolation
from tests.messages import PAYMENT, PING, WSSE
from tests.unit.gateway.test_envelope import soap

BODY = "/soap:Envelope/soap:Body"
REQUEST = f"{BODY}/RegisterPaymentRequest"
CARD = "4111111111111111"


@pytest.fixture(scope="module")
def conformity() -> Conformity:
    return Conformity()


def parsed(body: str = PAYMENT, header: str = "") -> ParsedEnvelope:
    return parse(ReceivedMessage(soap(body, header), "text/xml", "", None))


def refusal(conformity: Conformity, body: str = PAYMENT, header: str = "") -> Refusal:
    with pytest.raises(Refusal) as refused:
        conformity.check(parsed(body, header))
    return refused.value


@pytest.mark.parametrize("body", [PAYMENT, PING])
def test_requests_of_the_contract_conform(body: str, conformity: Conformity) -> None:
    message = parsed(body)
    conforming = conformity.check(message)
    assert conforming.envelope is message.envelope
    assert conforming.raw == message.raw


def test_headers_of_other_standards_are_let_pass(conformity: Conformity) -> None:
    addressing = '<a:To xmlns:a="http://www.w3.org/2005/08/addressing">urn:x</a:To>'
    security = f'<w:Security xmlns:w="{WSSE}"><w:Nonsense/><w:Nonsense x="y">z</w:Nonsense></w:Security>'
    assert conformity.check(parsed(header=addressing + security))


def test_the_security_profile_judges_its_own_header(conformity: Conformity) -> None:
    """Two Security headers, two signatures: the precise rule is the verification's to name."""
    security = f'<w:Security xmlns:w="{WSSE}"/>'
    assert conformity.check(parsed(header=security * 2))


def test_a_security_header_is_never_told_as_the_reason(conformity: Conformity) -> None:
    """WSS4J names inclusive prefixes, which the explaining engine's own schema of ds:Signature does not know."""
    signature = (
        f'<w:Security xmlns:w="{WSSE}"><d:Signature xmlns:d="http://www.w3.org/2000/09/xmldsig#"><d:SignedInfo>'
        '<d:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">'
        '<c:InclusiveNamespaces xmlns:c="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="soap"/>'
        "</d:CanonicalizationMethod></d:SignedInfo></d:Signature></w:Security>"
    )
    assert conformity.check(parsed(header=signature))
    refused = refusal(conformity, PAYMENT.replace("79160000001", "abc"), signature)
    assert {each.path for each in refused.violations} == {f"{REQUEST}/Payer/Msisdn"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("150.00", "many"), (f"{REQUEST}/Amount", "pattern")),
        ((' currency="RUB"', ""), (f"{REQUEST}/Amount", "attribute")),
        (("RUB", "rub"), (f"{REQUEST}/Amount/@currency", "pattern")),
        (("<b:Payer>", '<b:Payer x="1">'), (f"{REQUEST}/Payer", "attribute")),
        (("b:Reference>", "b:Referenz>"), (REQUEST, "content")),
        (("79160000001", "abc"), (f"{REQUEST}/Payer/Msisdn", "pattern")),
        (("2026-11-23T09:00:00Z", "today"), (f"{REQUEST}/PaidAt", "pattern")),
        (("b:RegisterPaymentRequest", "b:Stranger"), (f"{BODY}/*", "element")),
        (("urn:bankapi:v1", "urn:bankapi:v2"), (BODY, "content")),
    ],
)
def test_a_refusal_says_where_and_which_rule(
    change: tuple[str, str], expected: tuple[str, str], conformity: Conformity
) -> None:
    refused = refusal(conformity, PAYMENT.replace(*change))
    assert refused.rule is Rule.SCHEMA
    assert expected in {(v.path, v.rule) for v in refused.violations}
    assert all(v.reason.endswith(".") for v in refused.violations)


def test_what_is_missing_is_named(conformity: Conformity) -> None:
    body = '<RegisterPaymentRequest xmlns="urn:bankapi:v1"><Reference>1</Reference></RegisterPaymentRequest>'
    assert refusal(conformity, body).violations == (SchemaViolation(REQUEST, "content", "Expected here: Payer."),)


@pytest.mark.parametrize(
    "body",
    [
        PAYMENT.replace("150.00", "SECRET"),
        PAYMENT.replace("RUB", "SECRET"),
        PAYMENT.replace("<b:Payer>", '<b:Payer SECRET="SECRET">'),
        PAYMENT.replace("<b:Payer>", "<b:SECRET>SECRET</b:SECRET><b:Payer>"),
        PAYMENT.replace("<b:Payer>", "SECRET<b:Payer>"),
        PAYMENT.replace("b:RegisterPaymentRequest", "b:SECRET"),
        PAYMENT.replace("urn:bankapi:v1", "urn:SECRET"),
        PAYMENT.replace("20261123-000000042", "SECRET SECRET"),
        "<SECRET/>",
    ],
)
def test_no_value_and_no_unknown_name_is_echoed(body: str, conformity: Conformity) -> None:
    refused = refusal(conformity, body)
    assert "SECRET" not in str(refused) + refused.detail + repr(refused.violations)


def test_violations_are_bounded(conformity: Conformity) -> None:
    header = '<b:PingRequest xmlns:b="urn:bankapi:v1"><b:Language>???</b:Language></b:PingRequest>' * 50
    assert 1 < len(refusal(conformity, header=header).violations) <= VIOLATIONS_MAX


def test_siblings_are_told_apart_by_position(conformity: Conformity) -> None:
    header = '<b:PingRequest xmlns:b="urn:bankapi:v1"><b:Language>???</b:Language></b:PingRequest>' * 2
    paths = {v.path for v in refusal(conformity, header=header).violations}
    assert "/soap:Envelope/soap:Header/PingRequest[2]/Language" in paths


@pytest.mark.parametrize("element", ["BankApiFault", "PingResponse", "Exchange"])
def test_what_is_no_request_is_refused(element: str, conformity: Conformity) -> None:
    assert refusal(conformity, f'<{element} xmlns="urn:bankapi:v1"/>').rule is Rule.SCHEMA


def test_a_response_that_conforms_is_still_no_request(conformity: Conformity) -> None:
    body = (
        '<Exchange xmlns="urn:bankapi:v1"><ExchangeId>01KAQXK5V3A8M0PZ9T6B2E4C7D</ExchangeId>'
        f'<RequestDigest algorithm="http://www.w3.org/2001/04/xmlenc#sha256">{"A" * 43}=</RequestDigest></Exchange>'
    )
    assert refusal(conformity, body).violations == (
        SchemaViolation(f"{BODY}/Exchange", "element", "This is not a request."),
    )


def test_schema_locations_in_a_message_are_never_followed(
    conformity: Conformity, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: Any) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    body = PAYMENT.replace("150.00", "x").replace(
        "<b:RegisterPaymentRequest",
        f'<b:RegisterPaymentRequest {xsi} xsi:schemaLocation="urn:x http://evil.example/x.xsd"',
    )
    assert refusal(conformity, body).rule is Rule.SCHEMA


def test_only_check_makes_a_conforming_envelope() -> None:
    with pytest.raises(TypeError, match="only Conformity"):
        ConformingEnvelope(etree.Element("x"), b"", "x", object())


# Card numbers: the networks' public test numbers

CARDS = [
    CARD,
    "4222222222222",
    "5555555555554444",
    "2223003122003222",
    "378282246310005",
    "6011111111111117",
    "6200000000000005",
    "3530111333300000",
    "30569309025904",
    "2200770239097761",
    "6759649826438453",
]


@pytest.mark.parametrize("number", CARDS)
@pytest.mark.parametrize("form", ["%s", "card %s.", "ref:%s;", "\n%s\n"])
def test_card_numbers_are_found_in_text(number: str, form: str) -> None:
    part = etree.Element("x")
    part.text = form % number
    assert holds_card_number(part)


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "20261123-4111111111111111",
        "12 4111 1111 1111 1111",
        "41111111-1111-1111-0000-000000000000",
        "٤١١١١١١١١١١١١١١١",
    ],
)
def test_card_numbers_are_found_in_groups_and_beside_other_numbers(text: str) -> None:
    part = etree.Element("x")
    etree.SubElement(part, "y").text = text
    assert holds_card_number(part)


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",
        "20261123-000000042",
        "411111111111",
        "41111111111111111111111111",
        "4111  1111  1111  1111",
        "1234567890123452",
        "79160000001",
        "41111111-1111-1111-1111-1111111111ab",
        "f4111111111111111111111111111111",
        "2026-11-23T09:00:00.123456Z",
        "",
    ],
)
def test_other_numbers_are_not_card_numbers(text: str) -> None:
    part = etree.Element("x")
    part.text = text
    assert not holds_card_number(part)


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (PAYMENT.replace("20261123-000000042", CARD), ""),
        (PAYMENT.replace("<b:Payer>", f'<b:Payer x="{CARD}">'), ""),
        (PAYMENT.replace("<b:Payer>", f"{CARD}<b:Payer>"), ""),
        (PAYMENT, f"<x>{CARD}</x>"),
        (PAYMENT, f'<x y="{CARD}"/>'),
        (PAYMENT.replace("20261123-000000042", "&#52;111111111111111"), ""),
        (f"<nonsense>{CARD}</nonsense>", ""),
    ],
)
def test_a_card_number_anywhere_is_refused_whatever_else_is_wrong(
    body: str, header: str, conformity: Conformity
) -> None:
    refused = refusal(conformity, body, header)
    assert refused.rule is Rule.CARD_NUMBER
    assert CARD not in str(refused) + refused.detail


@pytest.mark.parametrize("text", ["4 " * 120_000, "4111 " * 50_000, "4" * 250_000, "4-" * 120_000], ids=range(4))
def test_a_search_for_card_numbers_is_bounded(text: str) -> None:
    part = etree.Element("x")
    part.text = text
    started = time.process_time()
    holds_card_number(part)
    assert time.process_time() - started < 0.5


def test_a_phone_number_may_satisfy_luhn_by_chance(conformity: Conformity) -> None:
    phone = "4222222222222"
    assert conformity.check(parsed(PAYMENT.replace("79160000001", phone)))
    security = f'<w:Security xmlns:w="{WSSE}" x="{CARD}">{CARD}</w:Security>'
    assert conformity.check(parsed(header=security)), "base64 and ids are not looked into"
