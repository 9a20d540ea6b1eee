"""Well signed messages that break the contract: told where and why, and never with the value that was wrong."""

import pytest

from bankapi.refusals import FaultCode, Rule
from tests.attacks.arena import Arena, Attack, Scene, new_canary, payment

BODY = "/soap:Envelope/soap:Body"
REQUEST = f"{BODY}/RegisterPaymentRequest"

# What is changed in a good payment → where the violation is, and which rule of the schema it breaks.
VIOLATIONS: dict[str, tuple[str, str, str, str]] = {
    "no payer": ("<b:Payer><b:Msisdn>79160000007</b:Msisdn></b:Payer>", "", REQUEST, "content"),
    "no currency": (' currency="RUB"', "", f"{REQUEST}/Amount", "attribute"),
    "wrong order": ("<b:Reference>", "<b:Rrn>SECRETSECRET</b:Rrn><b:Reference>", REQUEST, "content"),
    "an unknown element": ("<b:Payer>", "<b:SECRET>SECRET</b:SECRET><b:Payer>", REQUEST, "content"),
    "an element of another namespace": ("<b:Payer>", '<SECRET xmlns="urn:SECRET"/><b:Payer>', REQUEST, "content"),
    "an unknown attribute": ("<b:Payer>", '<b:Payer SECRET="SECRET">', f"{REQUEST}/Payer", "attribute"),
    "an element twice": ("<b:Payer>", "<b:Reference>SECRET</b:Reference><b:Payer>", REQUEST, "content"),
    "two payers": ("</b:Payer>", "<b:AccountNumber>SECRET</b:AccountNumber></b:Payer>", f"{REQUEST}/Payer", "content"),
    "text between": ("<b:Payer>", "SECRET<b:Payer>", REQUEST, "type"),
    "nil": (
        "<b:Payer>",
        '<b:Payer xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true">',
        f"{REQUEST}/Payer",
        "type",
    ),
    "another type by xsi:type": (
        "<b:Payer>",
        '<b:Payer xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="b:SECRET">',
        "/",
        "schema",
    ),
    "a reference with spaces": (">CANARY", ">SECRET CANARY", f"{REQUEST}/Reference", "pattern"),
    "a reference of 65 characters": (">CANARY", f">{'S' * 60}CANARY", f"{REQUEST}/Reference", "maxLength"),
    "sql in the reference": (">CANARY", ">'; DROP TABLE payments; --SECRET", f"{REQUEST}/Reference", "pattern"),
    "sql with a union": (">CANARY", ">1 UNION SELECT * FROM certificates", f"{REQUEST}/Reference", "pattern"),
    "markup in the reference": (">CANARY", ">&lt;script&gt;SECRET", f"{REQUEST}/Reference", "pattern"),
    "a line end in the reference": (">CANARY", ">SECRET&#10;CANARY", f"{REQUEST}/Reference", "pattern"),
    "a path in the reference": (">CANARY", ">..\\SECRET", f"{REQUEST}/Reference", "pattern"),
    "a phone number with a plus": ("79160000007", "+79160000007", f"{REQUEST}/Payer/Msisdn", "pattern"),
    "digits of another script": ("79160000007", "٧٩١٦٠٠٠٠٠٠٧", f"{REQUEST}/Payer/Msisdn", "pattern"),
    "an amount in words": ("150.00", "SECRET", f"{REQUEST}/Amount", "pattern"),
    "a negative amount": ("150.00", "-150.00", f"{REQUEST}/Amount", "pattern"),
    "an amount of zero": ("150.00", "0.00", f"{REQUEST}/Amount", "minExclusive"),
    "exponent notation": ("150.00", "1.5E2", f"{REQUEST}/Amount", "pattern"),
    "not a number": ("150.00", "NaN", f"{REQUEST}/Amount", "pattern"),
    "infinity": ("150.00", "INF", f"{REQUEST}/Amount", "pattern"),
    "a decimal comma": ("150.00", "150,00", f"{REQUEST}/Amount", "pattern"),
    "five decimals": ("150.00", "150.00001", f"{REQUEST}/Amount", "pattern"),
    "sixteen digits": ("150.00", "1234567890123451", f"{REQUEST}/Amount", "pattern"),
    "a currency in small letters": ("RUB", "rub", f"{REQUEST}/Amount/@currency", "pattern"),
    "a time without a zone": ("Z</b:PaidAt>", "</b:PaidAt>", f"{REQUEST}/PaidAt", "pattern"),
    "a language that is none": (
        "<b:Reference>",
        "<b:Language>../../SECRET</b:Language><b:Reference>",
        f"{REQUEST}/Language",
        "pattern",
    ),
    "an operation that is none": ("RegisterPaymentRequest", "SECRETRequest", f"{BODY}/*", "element"),
    "an answer as a request": ("RegisterPaymentRequest", "PingResponse", f"{BODY}/PingResponse", "content"),
    "another version's namespace": ("urn:bankapi:v1", "urn:bankapi:v2", BODY, "content"),
}


VALUE_RULES = {"pattern", "maxLength", "minExclusive"}


@pytest.mark.parametrize("case", VIOLATIONS)
def test_a_violation_says_where_and_which_rule_but_not_what(arena: Arena, case: str) -> None:
    old, new, path, rule = VIOLATIONS[case]
    scene = arena.scene()
    body = scene.payment.replace(old, new)
    assert body != scene.payment
    violations = _violations(arena, scene, body)
    assert (path, rule) in {(v["path"], v["rule"]) for v in violations}
    assert all(v["reason"].endswith(".") for v in violations)
    assert "SECRET" not in repr(violations)
    assert rule not in VALUE_RULES or new not in repr(violations)


def test_what_is_missing_is_named(arena: Arena) -> None:
    scene = arena.scene()
    body = scene.payment.replace("<b:PaidAt>", "<b:Rrn>123456789012</b:Rrn><b:PaidAt>")
    (violation,) = _violations(arena, scene, body)
    assert violation == {"path": REQUEST, "rule": "content", "reason": "Expected here: PaidAt."}


DECIMALS = {
    "half a yen": ("0.5", "JPY"),
    "a tenth of a kopek": ("0.001", "RUB"),
    "four decimals of a dinar": ("1.2345", "KWD"),
    "more than an account holds": ("999999999999999", "RUB"),
}


@pytest.mark.parametrize("case", DECIMALS)
def test_an_amount_that_its_currency_cannot_have_is_a_violation(arena: Arena, case: str) -> None:
    """XSD 1.0 cannot say it, so it is found when the message is verified already, and kept as evidence."""
    amount, currency = DECIMALS[case]
    scene = arena.scene()
    body = payment(scene.canary, amount, currency)
    (violation,) = _violations(arena, scene, body, is_evidence=True)
    assert violation["path"].endswith("/RegisterPaymentRequest/Amount")
    assert violation["rule"] == "currency-exponent"
    assert amount not in violation["reason"]


def test_paths_are_written_in_one_way(arena: Arena) -> None:
    scene = arena.scene()
    (violation,) = _violations(arena, scene, payment(scene.canary, "0.5", "JPY"), is_evidence=True)
    assert violation["path"] == f"{REQUEST}/Amount"


def _violations(arena: Arena, scene: Scene, body: str, is_evidence: bool = False) -> list[dict[str, str]]:
    attack = Attack(scene.signed(payload=body), soap_action=None)
    fault = FaultCode.SCHEMA_VIOLATION
    answer = arena.refuses(attack, fault, Rule.SCHEMA, canary=scene.canary, is_evidence=is_evidence)
    violations: list[dict[str, str]] = answer.fields["violations"]
    return violations


# Language


def test_the_language_is_the_messages_and_no_headers(arena: Arena) -> None:
    """Accept-Language says nothing, whatever it says; an unknown tag is answered in a language that is named."""
    canary = new_canary()
    ping = '<b:PingRequest xmlns:b="urn:bankapi:v1"><b:Language>%s</b:Language></b:PingRequest>'
    for language in ("tlh", "en", "tlh-Latn-x-1"):
        messages = set()
        for accept in ("ru", canary, "../../../etc/passwd", "*;q=1" + ",a" * 1000):
            raw = arena.scene().signed(payload=ping % language, body_id=new_canary())
            attack = Attack(raw, soap_action=None, headers=(("Accept-Language", accept),))
            answer = arena.accepted(arena.post(attack), attack)
            messages.add(answer.fields["message"])
            assert b'xml:lang="' in answer.answer
        assert len(messages) == 1
    assert canary not in arena.gateway.log()
