"""Every cause has a fault that the contract describes, and no fault says more than its code."""

import itertools
import re
from pathlib import Path

import pytest
from lxml import etree
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from bankapi.contract.types import NAMESPACE
from bankapi.gateway import faults
from bankapi.gateway.faults import Cause, cause_of
from bankapi.refusals import Failure, FaultCode, Refusal, Retry, Rule, SchemaViolation
from bankapi.wsse.names import SOAP

SECRET = "SECRET-4111111111111111"
EXCHANGE_ID = "01KAQXK5V3A8M0PZ9T6B2E4C7D"
VIOLATION = SchemaViolation("/soap:Envelope/soap:Body", "content", "Expected here: Payer.")
OVERLOADS = (
    DBAPIError(SECRET, {"reference": SECRET}, Exception(SECRET)),
    OperationalError(SECRET, None, Exception(SECRET)),
    IntegrityError(SECRET, None, Exception(SECRET)),
    PoolTimeoutError(SECRET),
)
UNFORESEEN = (
    RuntimeError(SECRET),
    AssertionError(SECRET),
    KeyError(SECRET),
    ValueError(SECRET),
    OSError(SECRET),
    MemoryError(SECRET),
    RecursionError(SECRET),
    UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, SECRET),
    TimeoutError(SECRET),
    type("VeryPrivateError", (Exception,), {})(SECRET),
)


@pytest.fixture(scope="module")
def schema(pytestconfig: pytest.Config) -> etree.XMLSchema:
    return etree.XMLSchema(file=str(Path(pytestconfig.rootpath) / "schemas/bankapi-v1.xsd"))


def causes() -> list[tuple[Exception, FaultCode]]:
    refusals = [(Refusal(rule, SECRET), rule.fault) for rule in Rule]
    failures = [(Failure(code, SECRET), code) for code in FaultCode if code.retry is Retry.SAME_REFERENCE]
    overloads = [(error, FaultCode.OVERLOADED) for error in OVERLOADS]
    return [*refusals, *failures, *overloads, *[(error, FaultCode.INTERNAL) for error in UNFORESEEN]]


def _name(value: object) -> str:
    return value.rule.journal_name if isinstance(value, Refusal) else str(getattr(value, "name", type(value).__name__))


@pytest.mark.parametrize("language", ["", "en", "ru", "tlh"])
@pytest.mark.parametrize("code", FaultCode)
def test_every_fault_conforms_to_the_contract(code: FaultCode, language: str, schema: etree.XMLSchema) -> None:
    (detail,) = faults.fault(Cause(code, "any"), EXCHANGE_ID, language)[2]
    schema.assertValid(etree.ElementTree(etree.fromstring(etree.tostring(detail))))


@pytest.mark.parametrize(("error", "code"), causes(), ids=_name)
def test_every_cause_has_a_fault(error: Exception, code: FaultCode) -> None:
    """SOAP 1.1 section 4.4: faultcode, faultstring, detail, in no namespace and in this order."""
    cause = cause_of(error)
    fault = faults.fault(cause, EXCHANGE_ID, "en")
    assert cause.code is code
    assert (fault.tag, [child.tag for child in fault]) == (f"{{{SOAP}}}Fault", ["faultcode", "faultstring", "detail"])
    (detail,) = fault[2]
    assert detail.findtext(f"{{{NAMESPACE}}}Code") == code
    assert detail.findtext(f"{{{NAMESPACE}}}Retry") == code.retry
    assert detail.findtext(f"{{{NAMESPACE}}}ExchangeId") == EXCHANGE_ID
    assert detail.findtext(f"{{{NAMESPACE}}}Message") == fault.findtext("faultstring")


@pytest.mark.parametrize(("error", "code"), causes(), ids=_name)
def test_nothing_of_the_cause_is_said(error: Exception, code: FaultCode) -> None:
    """Neither in the fault nor in the journal; of a security rule, not even which."""
    cause = cause_of(error)
    said = etree.tostring(faults.fault(cause, EXCHANGE_ID, "en")).decode()
    assert "SECRET" not in said + cause.rule
    assert type(error).__name__ not in said
    assert cause.rule not in said or code is not FaultCode.SECURITY
    assert said == etree.tostring(faults.fault(Cause(code, "another"), EXCHANGE_ID, "en")).decode()


def test_every_fault_code_comes_from_somewhere() -> None:
    assert {code for _, code in causes()} == set(FaultCode)


def test_every_rule_has_a_name_of_its_own() -> None:
    """And one that fits the journal's column."""
    names = [cause_of(error).rule for error, _ in causes() if isinstance(error, Refusal)]
    assert len(set(names)) == len(names) == len(Rule)
    assert all(re.fullmatch(r"[a-z0-9]+([.-][a-z0-9]+)*", name) and len(name) <= 64 for name in names)


def test_the_fault_codes_of_soap() -> None:
    """Client and Server say whose fault it is, and so does the retry hint."""
    for error, code in causes():
        soap_code = faults.fault(cause_of(error), EXCHANGE_ID, "en").findtext("faultcode")
        expected = "soap:Server" if code.retry is Retry.SAME_REFERENCE else "soap:Client"
        assert soap_code == ("soap:MustUnderstand" if code is FaultCode.HEADER_NOT_UNDERSTOOD else expected)


@pytest.mark.parametrize("count", [0, 1, 20, 21, 1_000])
def test_violations_are_told_as_far_as_the_contract_allows(count: int, schema: etree.XMLSchema) -> None:
    long = SchemaViolation("/x" * 1_000, "pattern", "Words\n" * 1_000)
    told = tuple(itertools.islice(itertools.cycle((VIOLATION, long)), count))
    cause = cause_of(Refusal(Rule.SCHEMA, SECRET, told))
    (detail,) = faults.fault(cause, EXCHANGE_ID, "en")[2]
    schema.assertValid(etree.ElementTree(etree.fromstring(etree.tostring(detail))))
    assert len(detail.findall(f"{{{NAMESPACE}}}Violation")) == min(count, 20)
