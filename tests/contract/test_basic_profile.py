"""The contract and what it makes of messages keep the WS-I Basic Profile 1.1; and each rule can be broken."""

import pytest
from lxml import etree

from bankapi.contract import publication
from bankapi.kit import samples
from tests.contract.basic_profile import ENCODING, OF_DESCRIPTIONS, OF_MESSAGES, SOAP, WSDL, XS

DESCRIPTION = publication.wsdl().decode()
BROKEN_DESCRIPTIONS = {
    "R2028": ("<wsdl:portType ", '<wsdl:portType colour="red" '),
    "R2023": ("<wsdl:types>", "<wsdl:message name='Early'/><wsdl:types>"),
    "R2026": ("<soap:binding ", "<soap:binding wsdl:required='true' "),
    "R2102": ('type="tns:Rrn"', 'type="tns:Rnn"'),
    "R2105": ("<xs:schema ", f"<xs:schema xmlns:xs='{XS}'/><xs:schema "),
    "R2110": ('base="xs:string"', 'base="soapenc:Array"'),
    "R2111": ("<xs:sequence>", "<xs:sequence arrayType='x'>"),
    "R2112": ('complexType name="Payer"', 'complexType name="ArrayOfPayer"'),
    "R2201": ('<soap:body use="literal"/>', '<soap:body use="literal" parts="one two"/>'),
    "R2204": ('element="tns:PingRequest"', 'type="tns:PingRequest"'),
    "R2206": ('element="tns:PingRequest"', 'element="tns:PongRequest"'),
    "R2210": ('<wsdl:message name="PingRequest">', '<wsdl:message name="PingRequest"><wsdl:part element="x"/>'),
    "R2303": ('<wsdl:input name="PingRequest" message="tns:PingRequest"/>', ""),
    "R2304": ('<wsdl:operation name="Ping">', '<wsdl:operation name="GetBalance">'),
    "R2305": ('<wsdl:operation name="Ping">', '<wsdl:operation name="Ping" parameterOrder="a b">'),
    "R2306": ('element="tns:PingRequest"', 'element="tns:PingRequest" type="tns:PingRequest"'),
    "R2401": ("<soap:binding ", "<soap:no-binding "),
    "R2701": ("http://schemas.xmlsoap.org/soap/http", "http://schemas.xmlsoap.org/soap/smtp"),
    "R2705": ('style="document"/>', 'style="rpc"/>'),
    "R2706": ('use="literal"', 'use="encoded"'),
    "R2710": ('element="tns:PingRequest"', 'element="tns:GetBalanceRequest"'),
    "R2711": ("</wsdl:service>", "<wsdl:port><soap:address location='https://localhost:8443/soap/v1'/></wsdl:port></wsdl:service>"),
    "R2716": ('<soap:body use="literal"/>', '<soap:body use="literal" namespace="urn:x"/>'),
    "R2718": ('<wsdl:operation name="Ping">', '<wsdl:operation name="Pong">'),
    "R2721": ('<soap:fault name="BankApiFault" ', "<soap:fault "),
    "R2754": ('<soap:fault name="BankApiFault" ', '<soap:fault name="Fault" '),
    "R2740": ('<soap:fault name="BankApiFault" use="literal"/>', ""),
    "R2801": ('<xs:minLength value="1"/>', '<xs:minLength value="one"/>'),
}  # fmt: skip

FAULT = next(sample.answer for sample in samples.all() if b":Fault>" in sample.answer).decode()
BROKEN_MESSAGES = {
    "R1000": ("<faultcode>", "<reason/><faultcode>"),
    "R1001": ("<faultcode>", "<faultcode xmlns='urn:x'>"),
    "R1004": (":Client</faultcode>", ":Customer</faultcode>"),
    "R1031": ("</faultcode>", ".Security</faultcode>"),
    "R1005": ("<soap:Body ", f"<soap:Body xmlns:s11='{SOAP}' s11:encodingStyle='{ENCODING}' "),
    "R1008": ("?>\n", "?>\n<!DOCTYPE x>"),
    "R1009": ("<faultcode>", "<?go on?><faultcode>"),
    "R1011": ("</soap:Envelope>", "<later/></soap:Envelope>"),
    "R1012": ('"UTF-8"', '"ISO-8859-1"'),
    "R1013": ('mustUnderstand="1"', 'mustUnderstand="true"'),
    "R1014": ("<soap:Fault>", "<more/><soap:Fault>"),
    "R1032": ("<soap:Body ", f"<soap:Body xmlns:s11='{SOAP}' s11:actor='urn:x' "),
    "R9981": ("<soap:Fault>", "<more xmlns='urn:x'/><soap:Fault>"),
    "R9980": ("</soap:Header>", "</soap:Header><soap:Header/>"),
    "R1017": ("<faultcode", "<faultcode xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:type='x'"),
}

DESCRIBED = [*OF_DESCRIPTIONS]
SENT = [*OF_MESSAGES]


@pytest.mark.parametrize("rule", DESCRIBED)
def test_the_published_wsdl_keeps_the_rule(rule: str) -> None:
    assert OF_DESCRIPTIONS[rule](etree.fromstring(DESCRIPTION.encode()))


@pytest.mark.parametrize("rule", DESCRIBED)
def test_a_wsdl_that_breaks_the_rule_is_found(rule: str) -> None:
    before, after = BROKEN_DESCRIPTIONS[rule.split()[0]]
    assert before in DESCRIPTION
    assert not OF_DESCRIPTIONS[rule](etree.fromstring(DESCRIPTION.replace(before, after, 1).encode()))


@pytest.mark.parametrize("sample", samples.all(), ids=lambda sample: sample.name)
def test_requests_and_answers_keep_every_rule(sample: samples.Sample) -> None:
    for message in (sample.request, sample.answer):
        envelope = etree.fromstring(message)
        assert [rule for rule, check in OF_MESSAGES.items() if not check(envelope)] == []
        assert b"xmlns:xml=" not in message, "R1033"


@pytest.mark.parametrize("rule", SENT)
def test_a_message_that_breaks_the_rule_is_found(rule: str) -> None:
    before, after = BROKEN_MESSAGES[rule.split()[0]]
    assert before in FAULT
    assert not OF_MESSAGES[rule](etree.fromstring(FAULT.replace(before, after, 1).encode()))


@pytest.mark.parametrize("sample", samples.all(), ids=lambda sample: sample.name)
def test_a_body_holds_an_instance_of_the_element_that_the_wsdl_names(sample: samples.Sample) -> None:
    """R2712, of document-literal bindings."""
    description = etree.fromstring(DESCRIPTION.encode())
    for direction, message in (("input", sample.request), ("output", sample.answer)):
        (element,) = etree.fromstring(message).find(f"{{{SOAP}}}Body")
        if element.tag == f"{{{SOAP}}}Fault":
            direction, element = "fault", element.find("detail")[0]
        path = f"w:portType/w:operation[@name='{sample.operation}']/w:{direction}/@message"
        (name,) = description.xpath(path, namespaces={"w": WSDL})
        (part,) = description.xpath(f"w:message[@name='{name.removeprefix('tns:')}']/w:part", namespaces={"w": WSDL})
        assert element.tag == f"{{urn:bankapi:v1}}{part.get('element').removeprefix('tns:')}"
