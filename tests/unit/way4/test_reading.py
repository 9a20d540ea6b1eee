"""Neither the order of elements nor what we do not know changes what a message asks for."""

from datetime import datetime
from importlib import resources

import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, PayerKind
from bankapi.refusals import Refusal, Rule
from bankapi.way4 import configuration, samples
from bankapi.way4.configuration import Configuration, Field, Operation
from bankapi.way4.message import Conformity
from bankapi.way4.paths import Path
from tests.unit.way4.conftest import Read, read_by, root_of

FULL = """<UFXMsg version="2.0" msg_type="Doc" direction="Rq" scheme="WAY4Doc">
  <MsgId>9b2d8f14-77a1-4f0e-8f5e-0a4a2a8f6c11</MsgId><Source app="CORE"/>
  <MsgData><Doc>
    <TransType><TransCode><MsgCode>02000R</MsgCode><ServiceCode>TEL</ServiceCode></TransCode>
      <TransRules><TransRule><ParmCode>SkipAuth</ParmCode><Value>Y</Value></TransRule></TransRules></TransType>
    <DocRefSet>
      <Parm><ParmCode>RRN</ParmCode><Value>123456789012</Value></Parm>
      <Parm><ParmCode>SRN</ParmCode><Value>ORDER-1</Value></Parm>
      <Parm><ParmCode>AuthCode</ParmCode><Value>A1B2C3</Value></Parm>
    </DocRefSet>
    <LocalDt>2026-03-01 23:59:58</LocalDt>
    <Requestor><ContractNumber>4111111111111111</ContractNumber><MemberId>01</MemberId>
      <CardInfo><CardExpiry>2912</CardExpiry></CardInfo></Requestor>
    <Source><ContractNumber>ATM-0001</ContractNumber></Source>
    <Destination><Client><ClientInfo><ClientNumber>+79160000001</ClientNumber></ClientInfo></Client></Destination>
    <Transaction><Currency>643</Currency><Amount>100.50</Amount>
      <Extra><Type>FEE</Type><Currency>RUB</Currency><Amount>1.5</Amount></Extra>
      <Extra><Type>OTHER</Type><Currency>RUB</Currency><Amount>7</Amount></Extra></Transaction>
  </Doc></MsgData>
</UFXMsg>"""
KNOWN = frozenset(str(element.tag) for element in root_of(FULL).iter())

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,11}", fullmatch=True).filter(lambda name: name not in KNOWN)
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co")), max_size=20)


def _element(name: str, namespace: str | None, text: str, attribute: str | None) -> etree._Element:
    element = etree.Element(f"{{{namespace}}}{name}" if namespace else name)
    element.text = text
    if attribute:
        element.set(attribute, text)
    return element


def _with_children(parts: tuple[etree._Element, list[etree._Element]]) -> etree._Element:
    parent, children = parts
    parent.extend(children)
    return parent


strangers = st.recursive(
    st.builds(_element, names, st.sampled_from([None, "urn:x"]), words, st.one_of(st.none(), names)),
    lambda inner: st.builds(
        lambda name, children: _with_children((etree.Element(name), children)), names, st.lists(inner, max_size=3)
    ),
    max_leaves=5,
)
"""Elements that nobody knows, some of them with others in them."""


@settings(max_examples=30)
@given(data=st.data())
def test_order_and_unknown_elements_never_change_what_is_read(
    data: st.DataObject, read: Read, demo: Configuration, conformity: Conformity
) -> None:
    expected = read(FULL)
    root = root_of(FULL)
    # Where unknown elements stand in values, they are no values any more: parents only.
    parents = [element for element in root.iter() if len(element)]
    for parent in parents:
        children = data.draw(st.permutations(list(parent)))
        for child in children:
            parent.append(child)  # moves it to the end
    for stranger in data.draw(st.lists(strangers, max_size=6)):
        parent = data.draw(st.sampled_from(parents))
        if parent.tag == "MsgData" and stranger.tag in ("Doc", "Information", "Application"):
            continue
        parent.insert(data.draw(st.integers(0, len(parent))), stranger)
    assert read_by(etree.tostring(root), demo, conformity) == expected


def test_a_whole_payment_is_read(read: Read) -> None:
    found = read(FULL)
    assert found.operation is Operation.REGISTER
    assert (found.contract_number, found.terminal) == ("ATM-0001", "ATM-0001")
    assert found.payer == PayerKey(PayerKind.MSISDN, "79160000001")
    assert (found.amount, found.fee) == (Money(10050, "RUB"), Money(150, "RUB"))
    assert found.references == ("ATM-0001/2026-03-01/123456789012",)
    assert found.local_at == datetime.fromisoformat("2026-03-01T23:59:58")
    assert (found.rrn, found.authorization_code) == ("123456789012", "A1B2C3")
    assert (found.card_bin, found.card_last_four) == ("411111", "1111")


def test_a_reversal_names_the_day_before_too(read: Read) -> None:
    assert read(FULL.replace(">02000R<", ">02000R_rev<")).references == (
        "ATM-0001/2026-03-01/123456789012",
        "ATM-0001/2026-02-28/123456789012",
    )


def _configured(**options: str) -> Configuration:
    messages = (
        "[access]\ndealers = X\n[messages]\nOrdReq+TEL = register\nOrdReq+TEL/FAST = validate\n"
        "OrdReq+/SLOW = cancel\n02000R = register\n"
    )
    return configuration.read(messages + options.get("more", ""), "test")


@pytest.mark.parametrize(
    ("service", "extension", "operation"),
    [
        ("TEL", None, Operation.REGISTER),
        ("TEL", "FAST", Operation.VALIDATE),
        ("TEL", "OTHER", Operation.REGISTER),
        ("OTHER", "SLOW", Operation.CANCEL),
        (None, "SLOW", Operation.CANCEL),
        ("OTHER", None, None),
        (None, None, None),
    ],
)
def test_the_entry_that_says_most_counts_and_none_is_guessed(
    service: str | None, extension: str | None, operation: Operation | None
) -> None:
    assert _configured().operation("OrdReq", service, extension) is operation


def test_codes_are_where_configured_and_terminals_have_other_names(conformity: Conformity) -> None:
    by = _configured(
        more="[terminals]\nT77 = ATM-0001\n[paths]\nmsisdn = Doc/Requestor/RBSNumber\n"
        "[references]\nreference = W4-{srn}\n[time]\nzone = Asia/Almaty\n[amounts]\ncurrency = KZT\n"
    )
    content = (
        FULL.replace(">02000R<", ">OrdReq<")
        .replace(">ATM-0001<", ">T77<")
        .replace("<MemberId>01</MemberId>", "<RBSNumber>77010000001</RBSNumber>")
        .replace("<Currency>643</Currency>", "")
    )
    found = read_by(content, by, conformity)
    assert (found.terminal, found.contract_number, found.references) == ("ATM-0001", "T77", ("W4-ORDER-1",))
    assert found.payer == PayerKey(PayerKind.MSISDN, "77010000001")
    assert found.amount == Money(10050, "KZT")
    assert by.zone is not None


def test_a_path_leads_to_one_value_or_is_refused() -> None:
    root = root_of("<UFXMsg><MsgData><Doc><P><ParmCode>A</ParmCode><Value> 1 </Value></P></Doc></MsgData></UFXMsg>")
    assert Path.read("Doc/P[A]/Value").value(root) == "1"
    assert Path.read("Doc/P[B]/Value").value(root) is None
    assert Path.read("Doc/X/Y").value(root) is None
    assert Path.read("/MsgData/Doc/P/@x").value(root) is None
    for path in ("Doc", "Doc/P"):
        with pytest.raises(Refusal) as caught:
            Path.read(path).value(root)
        assert caught.value.rule is Rule.WAY4_FIELD


@pytest.mark.parametrize("number", ["378282246310005", "+378282246310005", "30569309025904"])
def test_a_card_number_in_the_place_of_a_phone_number_is_refused(read: Read, number: str) -> None:
    with pytest.raises(Refusal) as caught:
        read(FULL.replace("+79160000001", number))
    assert caught.value.rule is Rule.CARD_NUMBER


def test_a_phone_number_may_satisfy_luhn_by_chance(read: Read) -> None:
    assert read(FULL.replace("+79160000001", "+4222222222222")).phone == "4222222222222"


def test_another_schema_engine_takes_the_schema_too() -> None:
    """Only the root is compared: within lax content, xmlschema does not look for elements of no namespace."""
    file = resources.files("bankapi.schemas").joinpath("ufx-public-subset.xsd")
    explaining = xmlschema.XMLSchema10(file.read_text(encoding="utf-8"))
    deciding = etree.XMLSchema(etree.fromstring(file.read_bytes()))
    wrong = [FULL.replace('"Rq"', '"X"'), FULL.replace('"2.0"', '"two"'), FULL.replace("<MsgData>", "text<MsgData>")]
    for content, is_good in ((FULL, True), *((each, False) for each in wrong)):
        assert explaining.is_valid(root_of(content)) is deciding.validate(root_of(content)) is is_good


def test_every_sample_is_read_as_its_operation(read: Read) -> None:
    at = datetime.fromisoformat("2026-03-01T12:00:00")
    for operation in Operation:
        assert read(samples.sample(operation, local_at=at, rrn="123456789012")).operation is operation
    assert set(Field) == set(_configured().paths)
