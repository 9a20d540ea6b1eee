"""Later contracts must not break earlier clients: what `evolution` finds, and what it lets pass."""

import pytest

from bankapi.contract import evolution, publication
from tests.contract.earlier import DRAFT

NOW = publication.wsdl().decode()
REQUEST, ANSWER = "RegisterPaymentRequest", "RegisterPaymentResponse"
MEMBER = '<xs:element name="Added" type="tns:Rrn"/>'
OPTIONAL = '<xs:element name="Added" type="tns:Rrn" minOccurs="0"/>'
PAID_AT = '<xs:element name="PaidAt"'
VALUE = '<xs:enumeration value="ADDED"/>'


def changed(of_type: str, before: str, after: str) -> bytes:
    """Today's WSDL with the first `before` in the declaration of a type, or in the document when none, replaced."""
    at = NOW.index(before, NOW.index(f'Type name="{of_type}"') if of_type else 0)
    return (NOW[:at] + after + NOW[at + len(before) :]).encode()


def put_before(of_type: str, here: str, added: str) -> bytes:
    return changed(of_type, here, added + here)


UNNOTICED = {
    "nothing": NOW.encode(),
    "words": changed("", "Payments to the operator", "Bills of the operator"),
    "an optional member anywhere in a request": put_before(REQUEST, PAID_AT, OPTIONAL),
    "an optional member at the end of an answer": put_before(ANSWER, "</xs:sequence>", OPTIONAL),
    "one more kind of payer": put_before("Payer", "</xs:choice>", MEMBER),
    "a mandatory member that becomes optional in a request": changed(REQUEST, PAID_AT, f'{PAID_AT} minOccurs="0"'),
    "a longer text in a request": changed("Language", 'Length value="35"', 'Length value="70"'),
    "a value of an enumeration that says so": put_before("ResultCode", "<xs:enumeration", VALUE),
}


@pytest.mark.parametrize("later", UNNOTICED.values(), ids=UNNOTICED.keys())
def test_what_earlier_clients_do_not_notice_may_change(later: bytes) -> None:
    assert evolution.breaks(NOW.encode(), later) == []


BREAKS = {
    "RegisterPaymentRequest: Added is new and mandatory": put_before(REQUEST, PAID_AT, MEMBER),
    "RegisterPaymentRequest: CardBin may occur less freely": changed(
        REQUEST, 'type="tns:CardBin" minOccurs="0"', 'type="tns:CardBin"'
    ),
    "RegisterPaymentRequest: PaidAt is gone, or of another type": changed(REQUEST, "tns:ZonedTime", "tns:UtcTime"),
    "RegisterPaymentResponse: Added is new and mandatory": put_before(ANSWER, "</xs:sequence>", MEMBER),
    "RegisterPaymentResponse: Replayed is gone, moved, or of another type": put_before(
        ANSWER, '<xs:element name="Replayed"', OPTIONAL
    ),
    "RegisterPaymentResponse: Replayed may be absent, or repeat, where it could not": changed(
        ANSWER, '<xs:element name="Replayed"', '<xs:element name="Replayed" minOccurs="0"'
    ),
    "PaymentState: values are new, and nobody was told that they may be": put_before(
        "PaymentState", "<xs:enumeration", VALUE
    ),
    "CancelReason: values are gone": changed("CancelReason", '"CUSTOMER_REQUEST"', '"CLIENT_REQUEST"'),
    "Reference: its maxLength is another": changed("Reference", 'Length value="64"', 'Length value="10"'),
    "Language: its pattern is another": changed("Language", "{2,8}", "{2,9}"),
    "PositiveAmount: its attributes are others": changed("PositiveAmount", "tns:CurrencyCode", "tns:Language"),
    "PaymentState: its base is another": changed("PaymentState", 'base="xs:string"', 'base="xs:token"'),
    "binding/wsdl:operation Ping is another": changed("", "urn:bankapi:v1/Ping", "urn:bankapi:v1/Pong"),
    "service BankApi is another": changed("", "</wsdl:service>", "<wsdl:port/></wsdl:service>"),
    "message PingRequest is gone": changed("", 'message name="PingRequest"', 'message name="PongRequest"'),
    "the policy is another": changed("", "<sp:Lax/>", "<sp:Strict/>"),
    "element PingRequest is gone": changed("", 'element name="PingRequest" type', 'element name="PongRequest" type'),
}  # fmt: skip


@pytest.mark.parametrize(("said", "later"), BREAKS.items(), ids=BREAKS.keys())
def test_what_would_break_them_is_found(said: str, later: bytes) -> None:
    found = evolution.breaks(NOW.encode(), later)
    assert any(said in each for each in found), found


def test_what_goes_both_ways_may_become_neither_shorter_nor_longer() -> None:
    for length in ("10", "100"):
        later = changed("Reference", 'Length value="64"', f'Length value="{length}"')
        assert evolution.breaks(NOW.encode(), later) == ["type Reference: its maxLength is another"]


def test_of_the_draft_only_the_policy_was_changed() -> None:
    """It has clients check the Exchange header, too; those of the draft go on without."""
    assert evolution.breaks(DRAFT.read_bytes(), NOW.encode()) == ["the policy is another"]
