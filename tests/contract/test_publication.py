"""The published files: what the models say, released once, restricted, documented, buildable from the WSDL alone."""

import os
import subprocess
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import pytest
import zeep
from lxml import etree

from bankapi.billing import statements
from bankapi.billing.ledger import TransactionKind
from bankapi.billing.payers import ServiceStatus
from bankapi.contract import messages, policy, publication, types
from bankapi.contract.application import Contract
from bankapi.operations.cancel_payment import CancelReason
from bankapi.operations.get_payment_status import PaymentState
from bankapi.operations.ping import ServiceState
from bankapi.refusals import FaultCode, ResultCode, Retry

NS = {
    "wsdl": "http://schemas.xmlsoap.org/wsdl/",
    "soap": "http://schemas.xmlsoap.org/wsdl/soap/",
    "xs": "http://www.w3.org/2001/XMLSchema",
    "wsp": policy.WSP,
    "sp": "http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702",
    "wsu": policy.NAMESPACES["wsu"],
}
OF_DEALERS = {TransactionKind.DEPOSIT, TransactionKind.SETTLEMENT}
"""What moves no customer's balance, so that no statement can show it."""


@pytest.fixture(scope="module")
def wsdl() -> etree._Element:
    return etree.fromstring(publication.wsdl())


@pytest.fixture(scope="module")
def schema() -> etree._Element:
    return etree.fromstring(publication.schema())


class TestPromise:
    def test_the_published_files_are_what_the_models_say(self) -> None:
        assert not (drift := publication.differences()), f"run `bankapi contract export`, or undo:\n{drift}"

    def test_the_bytes_do_not_depend_on_the_process(self) -> None:
        script = (
            "import sys; from bankapi.contract import publication as p; sys.stdout.buffer.write(p.wsdl()+p.schema())"
        )
        for seed in ("1", "2"):
            run = [sys.executable, "-c", script]
            out = subprocess.run(run, capture_output=True, check=True, env=os.environ | {"PYTHONHASHSEED": seed}).stdout
            assert out == publication.wsdl() + publication.schema()

    def test_a_difference_is_shown_as_a_diff(self, tmp_path: Path) -> None:
        publication.export(tmp_path, tmp_path)
        assert publication.differences(tmp_path, tmp_path) == ""
        changed = tmp_path / publication.SCHEMA_FILE
        changed.write_bytes(changed.read_bytes().replace(b'name="Payer"', b'name="Payor"'))
        assert '+  <xs:complexType name="Payer">' in publication.differences(tmp_path, tmp_path)


class TestSchema:
    @pytest.mark.parametrize(
        ("name", "codes"),
        [
            ("ResultCode", ResultCode),
            ("FaultCode", FaultCode),
            ("Retry", Retry),
            ("ServiceStatus", ServiceStatus),
            ("PaymentState", PaymentState),
            ("ServiceState", ServiceState),
            ("CancelReason", CancelReason),
            ("TransactionKind", set(TransactionKind) - OF_DEALERS),
        ],
    )
    def test_every_code_is_published(self, schema: etree._Element, name: str, codes: Iterable[StrEnum]) -> None:
        values = schema.xpath(f"xs:simpleType[@name='{name}']/xs:restriction/xs:enumeration/@value", namespaces=NS)
        assert len(values) == len(set(values))
        assert set(values) == {str(code) for code in codes}

    def test_absent_has_one_spelling(self, schema: etree._Element) -> None:
        assert not schema.xpath("//@nillable", namespaces=NS)
        assert not schema.xpath("//xs:any | //@mixed | //@abstract", namespaces=NS)

    def test_it_needs_no_other_file(self, schema: etree._Element) -> None:
        assert not schema.xpath("//xs:import | //xs:include", namespaces=NS)

    def test_the_language_of_a_message_is_xml_lang(self, schema: etree._Element) -> None:
        open_to = schema.xpath("xs:complexType[@name='Message']//xs:anyAttribute/@namespace", namespaces=NS)
        assert open_to == ["http://www.w3.org/XML/1998/namespace"]

    def test_nothing_else_is_open_but_the_header_to_the_id_it_is_signed_by(self, schema: etree._Element) -> None:
        open_to = schema.xpath("xs:complexType[@name='Exchange']/xs:anyAttribute/@namespace", namespaces=NS)
        assert len(open_to) == 1
        assert open_to[0].endswith("oasis-200401-wss-wssecurity-utility-1.0.xsd")
        assert len(schema.xpath("//xs:anyAttribute", namespaces=NS)) == 2

    def test_every_text_is_restricted(self, schema: etree._Element) -> None:
        free = schema.xpath(
            "//*[self::xs:element or self::xs:attribute or self::xs:extension]/@*[.='xs:string']", namespaces=NS
        )
        assert not free
        for restriction in schema.iterfind("xs:simpleType/xs:restriction", NS):
            facets = {etree.QName(facet).localname for facet in restriction}
            assert facets >= {"enumeration"} or "pattern" in facets
            if restriction.get("base") == "xs:string" and "enumeration" not in facets:
                assert "length" in facets or facets >= {"minLength", "maxLength"}

    def test_types_are_named_and_there_is_nothing_unused(self, schema: etree._Element) -> None:
        names = schema.xpath("xs:simpleType/@name | xs:complexType/@name", namespaces=NS)
        used = {str(use).removeprefix("tns:") for use in schema.xpath("//@type | //@base", namespaces=NS)}
        assert set(names) == {name for name in used if not name.startswith("xs:")}
        assert not schema.xpath("//xs:element[not(@type)]", namespaces=NS)

    def test_everything_is_explained(self, schema: etree._Element) -> None:
        path = "xs:annotation/xs:documentation"
        explained = "xs:element | xs:simpleType | xs:complexType | xs:simpleType/xs:restriction/xs:enumeration"
        silent = [
            e.get("name") or e.get("value")
            for e in schema.xpath(explained, namespaces=NS)
            if not e.findtext(path, "", NS)
        ]
        assert silent == []

    def test_choices_are_choices(self, schema: etree._Element) -> None:
        for name, members in (
            ("Payer", ["Msisdn", "AccountNumber", "CustomerNumber"]),
            ("GetPaymentStatusRequest", ["Reference", "PaymentId"]),
            ("CancelPaymentRequest", ["Reference", "PaymentId"]),
        ):
            found = schema.xpath(f"xs:complexType[@name='{name}']//xs:choice/xs:element/@name", namespaces=NS)
            assert found == members

    def test_members_are_in_the_order_of_the_models(self, schema: etree._Element) -> None:
        for model in [*vars(messages).values(), *vars(types).values()]:
            if isinstance(model, type) and issubclass(model, types.Model) and model is not types.Model:
                path = f"xs:complexType[@name='{model.get_type_name()}']/xs:sequence//xs:element/@name"
                found = schema.xpath(path, namespaces=NS)
                assert not found or found == list(model.get_flat_type_info(model))

    def test_a_statement_is_as_long_as_the_ledger_makes_it(self, schema: etree._Element) -> None:
        path = "xs:complexType[@name='GetMiniStatementResponse']//xs:element[@name='Transaction']/@maxOccurs"
        assert schema.xpath(path, namespaces=NS) == [str(statements.LINES_MAX)]


class TestWsdl:
    def test_order_is_that_of_wsdl_1_1(self, wsdl: etree._Element) -> None:
        order = list(dict.fromkeys(etree.QName(child).localname for child in wsdl))
        assert order == ["Policy", "types", "message", "portType", "binding", "service"]

    def test_only_our_namespaces_and_those_of_the_standards(self, wsdl: etree._Element) -> None:
        found = {uri for each in wsdl.iter() for uri in each.nsmap.values()}
        assert found == {*NS.values(), "urn:bankapi:v1"}
        assert b"soap12" not in publication.wsdl()
        assert b"spyne" not in publication.wsdl()

    def test_service_and_operations_are_explained(self, wsdl: etree._Element) -> None:
        for path in ("wsdl:service", "wsdl:portType", "wsdl:portType/wsdl:operation"):
            found = wsdl.findall(path, NS)
            assert found
            assert all(each.findtext("wsdl:documentation", "", NS) for each in found)

    def test_operations_say_in_which_order_they_refuse(self, wsdl: etree._Element) -> None:
        words = {
            each.get("name"): each.findtext("wsdl:documentation", "", NS)
            for each in wsdl.iterfind("wsdl:portType/wsdl:operation", NS)
        }
        assert words["CancelPayment"].endswith(
            "Answers, the first that applies: OPERATION_NOT_ALLOWED, PAYMENT_NOT_FOUND, OK (never seen, voided before "
            "or declined), AMOUNT_MISMATCH, the first answer again (already cancelled), CANCEL_WINDOW_CLOSED, "
            "FUNDS_ALREADY_USED, OK."
        )
        assert words["RegisterPayment"].endswith(
            "Answers, the first that applies: OPERATION_NOT_ALLOWED, REFERENCE_VOIDED, REFERENCE_CONFLICT, "
            "ALREADY_CANCELLED, the first answer again (known reference), PAYER_NOT_FOUND, PAYER_BLOCKED, "
            "SERVICE_TERMINATED, CURRENCY_NOT_ACCEPTED, AMOUNT_TOO_SMALL, AMOUNT_TOO_LARGE, LIMIT_EXCEEDED, "
            "DEALER_FUNDS_INSUFFICIENT, OK."
        )
        assert all("the first that applies" in said for name, said in words.items() if name != "Ping")

    def test_actions_styles_and_address(self, wsdl: etree._Element, contract: Contract) -> None:
        bound = {
            operation.get("name"): operation.find("soap:operation", NS).get("soapAction")
            for operation in wsdl.iterfind("wsdl:binding/wsdl:operation", NS)
        }
        assert bound == {name: contract.soap_action(name) for name in contract.operations}
        assert bound["Ping"] == "urn:bankapi:v1/Ping"
        assert {str(use) for use in wsdl.xpath("//soap:body/@use | //soap:fault/@use", namespaces=NS)} == {"literal"}
        assert wsdl.xpath("string(//soap:address/@location)", namespaces=NS) == "https://localhost:8443/soap/v1"

    def test_every_operation_declares_the_typed_fault(self, wsdl: etree._Element) -> None:
        for operation in wsdl.iterfind("wsdl:binding/wsdl:operation", NS):
            fault = operation.find("wsdl:fault", NS)
            assert fault.get("name") == fault.find("soap:fault", NS).get("name") == "BankApiFault"

    def test_policy_is_attached_to_the_binding_and_every_message(self, wsdl: etree._Element) -> None:
        (binding,) = wsdl.findall("wsdl:binding", NS)
        assert etree.QName(binding[0]).localname == "PolicyReference"
        assert binding[0].get("URI") == f"#{policy.BINDING}"
        for message in binding.iterfind("wsdl:operation/*", NS):
            if signed_parts := policy.MESSAGES.get(etree.QName(message).localname):
                assert message.find("wsp:PolicyReference", NS).get("URI") == f"#{signed_parts}"
        ids = wsdl.xpath("wsp:Policy/@wsu:Id", namespaces=NS)
        assert ids == [policy.BINDING, policy.REQUEST, policy.ANSWER]

    def test_answers_sign_the_header_that_names_their_request(self, wsdl: etree._Element) -> None:
        signed = wsdl.xpath(f"wsp:Policy[@wsu:Id='{policy.ANSWER}']//sp:SignedParts/*", namespaces=NS)
        assert [(etree.QName(part).localname, part.get("Namespace"), part.get("Name")) for part in signed] == [
            ("Body", None, None),
            ("Header", "urn:bankapi:v1", "Exchange"),
        ]

    def test_policy_says_what_the_profile_asks(self, wsdl: etree._Element) -> None:
        asserted = {etree.QName(each).localname for each in wsdl.iterfind("wsp:Policy//sp:*", NS)}
        assert asserted == {
            "AsymmetricBinding",
            "InitiatorToken",
            "RecipientToken",
            "X509Token",
            "WssX509V3Token10",
            "AlgorithmSuite",
            "Basic256Sha256",
            "Layout",
            "Lax",
            "IncludeTimestamp",
            "OnlySignEntireHeadersAndBody",
            "Wss10",
            "SignedParts",
            "Body",
            "Header",
        }
        included = [str(value).rsplit("/", 1)[1] for value in wsdl.xpath("//@sp:IncludeToken", namespaces=NS)]
        assert included == ["AlwaysToRecipient", "AlwaysToInitiator"]

    def test_a_client_is_built_from_the_file_alone(self, tmp_path: Path, contract: Contract) -> None:
        alone = tmp_path / "alone.wsdl"
        alone.write_bytes(publication.wsdl())
        client = zeep.Client(str(alone))
        binding = client.wsdl.services["BankApi"].ports["BankApiSoap11"].binding
        assert set(binding.all()) == contract.operations
        detail = client.get_element("{urn:bankapi:v1}BankApiFault").type
        assert [name for name, _ in detail.elements] == ["Code", "Message", "ExchangeId", "Retry", "Violation"]
        for name in contract.operations:
            assert "BankApiFault" in binding.get(name).abstract.fault_messages
