"""What the XSD accepts and refuses, by two engines that must agree: libxml2 (the hot path) and xmlschema (explains)."""

from decimal import Decimal
from typing import Any

import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.contract.conftest import ULID, cancellation, children, element, payer, registration

GOOD = {
    "everything": registration(),
    "mandatory only": registration(
        Language=None, ValidationId=None, CardBin=None, CardLastFour=None, Rrn=None, AuthorizationCode=None, Fee=None
    ),
    "by account": registration(Payer=payer(AccountNumber="100000001")),
    "by customer": registration(Payer=payer(CustomerNumber="C-1")),
    "no decimals": registration(Amount=("100", "JPY")),
    "space around a decimal collapses": registration(Amount=(" 100.00\n", "RUB")),
    "UTC": registration(PaidAt="2026-11-23T12:00:00Z"),
    "leap day": registration(PaidAt="2028-02-29T23:59:59.999999999-14:00"),
    "validate": element("ValidatePayment", children(Payer=payer(), Amount=("1", "RUB"))),
    "status by reference": element("GetPaymentStatus", children(Reference="1")),
    "status by id": element("GetPaymentStatus", children(Language="en-GB", PaymentId=ULID)),
    "ping": element("Ping"),
    "cancel by reference": cancellation(),
    "cancel by id": cancellation(Reference=None, PaymentId=ULID),
    "balance": element("GetBalance", children(Payer=payer())),
    "mini statement": element("GetMiniStatement", children(Language="ru", Payer=payer(AccountNumber="100000001"))),
}
BAD = {
    "no reference": registration(Reference=None),
    "empty reference": registration(Reference=""),
    "long reference": registration(Reference="1" * 65),
    "reference with a space": registration(Reference="1 2"),
    "reference with a line end": registration(Reference="12\n"),
    "no payer": registration(Payer=None),
    "empty payer": registration(Payer=""),
    "two payers": registration(Payer=payer(Msisdn="79160000001", AccountNumber="1")),
    "msisdn with a plus": registration(Payer=payer(Msisdn="+79160000001")),
    "msisdn from zero": registration(Payer=payer(Msisdn="09160000001")),
    "msisdn in other digits": registration(Payer=payer(Msisdn="٧٩١٦٠٠٠٠٠٠١")),
    "amount of zero": registration(Amount=("0.00", "RUB")),
    "negative amount": registration(Amount=("-1.00", "RUB")),
    "amount with a plus": registration(Amount=("+1.00", "RUB")),
    "amount with an exponent": registration(Amount=("1E2", "RUB")),
    "amount with a comma": registration(Amount=("1,00", "RUB")),
    "amount without digits after the point": registration(Amount=("1.", "RUB")),
    "five decimals": registration(Amount=("1.00001", "RUB")),
    "sixteen digits": registration(Amount=("1234567890123456", "RUB")),
    "not a number": registration(Amount=("NaN", "RUB")),
    "small letters": registration(Amount=("1.00", "rub")),
    "no currency": element("ValidatePayment", children(Payer=payer(), Amount="1.00")),
    "negative fee": registration(Fee=("-0.01", "RUB")),
    "no time zone": registration(PaidAt="2026-11-23T15:00:00"),
    "no such day": registration(PaidAt="2026-02-29T15:00:00Z"),
    "hour 24": registration(PaidAt="2026-11-23T24:00:00Z"),
    "zone beyond fourteen hours": registration(PaidAt="2026-11-23T15:00:00+14:01"),
    "another century": registration(PaidAt="1999-11-23T15:00:00Z"),
    "long BIN": registration(CardBin="220012345"),
    "full card number": registration(CardLastFour="2200123412341234"),
    "id in small letters": registration(ValidationId=ULID.lower()),
    "language with an underscore": registration(Language="ru_RU"),
    "unknown element": registration(Surprise="1"),
    "wrong order": element("ValidatePayment", children(Amount=("1", "RUB"), Payer=payer())),
    "both reference and id": element("GetPaymentStatus", children(Reference="1", PaymentId=ULID)),
    "neither reference nor id": element("GetPaymentStatus"),
    "cancel by both": cancellation(PaymentId=ULID),
    "cancel by neither": cancellation(Reference=None),
    "cancel of zero": cancellation(Amount=("0", "RUB")),
    "cancel without an amount": cancellation(Amount=None),
    "cancel without a reason": cancellation(Reason=None),
    "cancel for an unknown reason": cancellation(Reason="BORED"),
    "cancel in another order": element("CancelPayment", children(Amount=("1", "RUB"), Reason="OTHER", Reference="R-1")),
    "balance of nobody": element("GetBalance"),
    "mini statement of two": element(
        "GetMiniStatement", children(Payer=payer(Msisdn="79160000001", AccountNumber="1"))
    ),
    "text between elements": element("Ping", "hello"),
    "no such operation": element("Pong"),
    "nil": element("Ping", '<b:Language xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"/>'),
}


@pytest.mark.parametrize("message", GOOD.values(), ids=GOOD.keys())
def test_both_accept(message: etree._Element, libxml2: etree.XMLSchema, pure_python: xmlschema.XMLSchema) -> None:
    libxml2.assertValid(message)
    pure_python.validate(message)


@pytest.mark.parametrize("message", BAD.values(), ids=BAD.keys())
def test_both_refuse(message: etree._Element, libxml2: etree.XMLSchema, pure_python: xmlschema.XMLSchema) -> None:
    assert not libxml2.validate(message)
    assert not pure_python.is_valid(message)


texts = st.text(st.sampled_from("0123456789AZaz.,:/_-+ \t\nTЖ٣"), max_size=20)
amounts = st.one_of(
    texts,
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.decimals(Decimal("-1"), Decimal("1e16"), places=4).map(lambda amount: format(amount, "f")),
)
moments = st.one_of(texts, st.datetimes().map(lambda moment: moment.isoformat() + "Z"), st.dates().map(str))
surprises: Any = st.fixed_dictionaries(
    {},
    optional={
        "Language": texts | st.from_regex(r"[a-z]{2}(-[A-Z]{2})?", fullmatch=True),
        "Reference": texts | st.from_regex(r"[A-Za-z0-9._:/-]{1,64}", fullmatch=True),
        "Amount": st.tuples(amounts, st.sampled_from(["RUB", "JPY", "rub", "RU", ""])),
        "PaidAt": moments,
        "CardBin": st.from_regex(r"[0-9]{5,9}", fullmatch=True),
        "Rrn": texts | st.none(),
        "Payer": st.sampled_from([payer(), payer(AccountNumber="1"), payer(Msisdn="1", CustomerNumber="1"), ""]),
    },
)


@given(changes=surprises)
@settings(max_examples=400)
def test_both_engines_agree(
    changes: dict[str, Any], libxml2: etree.XMLSchema, pure_python: xmlschema.XMLSchema
) -> None:
    message = registration(**changes)
    assert libxml2.validate(message) == pure_python.is_valid(message), etree.tostring(message)
