"""The configuration: everything an answer needs is in it, and every mistake in it is named."""

from pathlib import Path

import pytest

from bankapi.contract.codes import PRECEDENCE
from bankapi.refusals import FaultCode, ResultCode
from bankapi.settings import SettingsError
from bankapi.way4 import configuration, currencies
from bankapi.way4.configuration import OUTCOMES, Configuration, ConfigurationError, Operation
from bankapi.way4.references import Template, TemplateError, compose

GOOD = "[access]\ndealers = DEMO-BANK\n[messages]\n02000R = register\n"


def test_the_demo_names_every_outcome_and_every_operation(demo: Configuration) -> None:
    assert set(demo.operations.values()) == set(Operation)
    assert set(demo.resp_codes) == set(OUTCOMES)
    assert set(FaultCode) < set(OUTCOMES)
    for operation in Operation:
        for step in PRECEDENCE[operation]:
            named = [code for code in ResultCode if code in str(step).split()]
            assert set(named) <= set(OUTCOMES)
    yes = [outcome for outcome, code in demo.resp_codes.items() if code == demo.resp_codes[ResultCode.OK]]
    assert yes == [ResultCode.OK]


def test_no_file_is_no_configuration(tmp_path: Path) -> None:
    assert configuration.load(tmp_path / "way4.ini") is None
    (tmp_path / "way4.ini").write_text(GOOD)
    found = configuration.load(tmp_path / "way4.ini")
    assert found is not None
    assert (found.operations, found.terminals) == ({"02000R": Operation.REGISTER}, {})


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "[messages] names no message code"),
        ("[messages]\n", "[messages] names no message code"),
        ("[messages]\n02000R = pay\n", "02000R in [messages] must be one of validate, register"),
        ("[messages]\n02000R+ = register\n", "is no message code"),
        ("[messages]\n+X = register\n", "is no message code"),
        ("[messages]\n02000R = register\n", "dealers in [access] names nobody"),
        (GOOD + "[mesages]\n", "no such section [mesages]"),
        (GOOD + "[paths]\nmsisdnn = Doc/X\n", "no such option in [paths]: msisdnn"),
        (GOOD + "[paths]\namount =\n", "[paths] names no place for amount"),
        (GOOD + "[paths]\nmsisdn =\naccount =\ncustomer =\n", "names no place for msisdn or account or customer"),
        (GOOD + "[paths]\ncurrency =\n", "names no place for currency, and [amounts] no currency"),
        (GOOD + "[paths]\nrrn =\n", "needs rrn, for which [paths] names no place"),
        (GOOD + "[paths]\namount = Doc//Amount\n", "amount in [paths]: Doc//Amount is not a path"),
        (GOOD + "[paths]\namount = Doc/Parm[]\n", "is not a path"),
        (GOOD + "[paths]\namount = Doc/@x/Amount\n", "is not a path"),
        (GOOD + "[references]\nreference =\n", "must say how a payment's reference is made"),
        (GOOD + "[references]\nreference = {terminal}\n", "must name {rrn} or {srn}"),
        (GOOD + "[references]\nreference = {rrn}{rrn}\n", "names a part twice"),
        (GOOD + "[references]\nreference = {rrn!r}\n", "and nothing else"),
        (GOOD + "[references]\nreference = {date}/{rrn}\n", "and nothing else"),
        (GOOD + "[references]\nreference = {rrn\n", "unbalanced braces"),
        (GOOD + "[references]\nreference = {rrn}?\n", "between its parts"),
        (GOOD + "[references]\npayment_id = ValidationId\n", "must differ"),
        (GOOD + "[time]\nzone = Mars/Base\n", "zone in [time] must be a time zone"),
        (GOOD + "[amounts]\ncurrency = RUR\n", "is no currency of ISO 4217"),
        (GOOD + "[resp_codes]\nPAYER_BLOCKED = 0\n", "PAYER_BLOCKED in [resp_codes] has the code of OK"),
        (GOOD + "[resp_codes]\nOK = 91\n", "TEMPORARILY_UNAVAILABLE in [resp_codes] has the code of OK"),
        (GOOD + "[resp_codes]\nOK = yes!\n", "OK in [resp_codes] must be 1 to 10 letters and digits"),
        (GOOD + "[resp_codes]\nFINE = 1\n", "no such option in [resp_codes]: FINE"),
        ("no section\n", "no section headers"),
        (GOOD + "02000R = cancel\n", "already exists"),
    ],
)
def test_a_mistake_is_named(text: str, mistake: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        configuration.read(text, "way4.ini")
    assert mistake in str(caught.value)
    assert isinstance(caught.value, SettingsError)


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        configuration.read(GOOD + "[paths]\nrrn = /\n[time]\nzone = X\n[resp_codes]\nOK =\n", "way4.ini")
    assert str(caught.value).count("way4.ini: ") >= 3


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("{terminal}/{local_on}/{rrn}", "ATM-0001/2026-03-01/123456789012"),
        ("{srn}", "ORDER-1/a"),
        ("W4.{rrn}", "W4.123456789012"),
        ("{terminal}:{rrn}", "T:1:123456789012"),
    ],
)
def test_a_template_knows_what_it_made(text: str, reference: str) -> None:
    template = Template.read(text)
    parts = template.parts_of(reference)
    assert parts is not None
    assert text.format_map(parts) == reference
    assert template.parts_of(reference + "?") is None


def test_the_first_template_with_all_its_parts_makes_the_reference(demo: Configuration) -> None:
    assert compose(demo.references, {"terminal": "T", "srn": "S"}, None) == ("S",)
    assert compose(demo.references, {"terminal": "T", "rrn": "R"}, None) == ()
    with pytest.raises(TemplateError):
        Template.read("{terminal}")


def test_currencies_have_letters_and_digits() -> None:
    """Some of ISO 4217, and what was taken out of it."""
    pairs = {"643": "RUB", "978": "EUR", "840": "USD", "398": "KZT", "944": "AZN", "392": "JPY", "048": "BHD"}
    for numeric, letters in pairs.items():
        assert currencies.alphabetic(numeric) == currencies.alphabetic(letters) == letters
        assert currencies.NUMERIC[letters] == numeric
    for none in ("810", "RUR", "276", "DEM", "XXX", "999", "XTS", "", "rub", "48"):
        assert currencies.alphabetic(none) is None
    assert len(currencies.ALPHABETIC) == len(currencies.NUMERIC) > 150
