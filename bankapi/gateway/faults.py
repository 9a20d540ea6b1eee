"""The one module that turns a cause into a SOAP fault (SOAP 1.1, section 4.4; WS-I Basic Profile 1.1, section 3.3).

What the caller sees depends on the fault code alone, never on the message or on our insides; the exact rule is in
the journal under the exchange id the fault carries.
"""

from dataclasses import dataclass
from typing import Final

from lxml import etree

from bankapi.contract.application import fault_detail
from bankapi.languages import catalog
from bankapi.refusals import Failure, FaultCode, Refusal, SchemaViolation
from bankapi.storage.engine import STORAGE_ERRORS
from bankapi.wsse.names import SOAP

HTTP_STATUS: Final = "500 Internal Server Error"
"""WS-I Basic Profile 1.1, R1126: every answer that holds a Fault has this status."""

_SOAP_CODES: Final = {
    FaultCode.OVERLOADED: "Server",
    FaultCode.INTERNAL: "Server",
    FaultCode.HEADER_NOT_UNDERSTOOD: "MustUnderstand",
}
"""The SOAP 1.1 fault codes that are not plainly `Client`."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why there is no answer, as the journal and the fault tell it."""

    code: FaultCode
    rule: str
    violations: tuple[SchemaViolation, ...] = ()


def cause_of(error: Exception) -> Cause:
    """Every exception has a cause; the ones nobody foresaw are INTERNAL and show nothing of themselves."""
    match error:
        case Refusal():
            return Cause(error.rule.fault, error.rule.journal_name, error.violations)
        case Failure():
            return Cause(error.code, f"failure.{error.code.lower()}")
        case _ if isinstance(error, STORAGE_ERRORS):
            return Cause(FaultCode.OVERLOADED, "failure.storage")
        case _:
            return Cause(FaultCode.INTERNAL, f"failure.{type(error).__name__}")


def fault(cause: Cause, exchange_id: str, language: str) -> etree._Element:
    """The `soap:Fault` element with the contract's typed detail."""
    message, spoken = catalog.fault_message(cause.code, language)
    element = etree.Element(f"{{{SOAP}}}Fault", nsmap={"soap": SOAP})
    # SOAP 1.1 section 4.4: these three children are in no namespace.
    etree.SubElement(element, "faultcode").text = f"soap:{_SOAP_CODES.get(cause.code, 'Client')}"
    etree.SubElement(element, "faultstring").text = message
    detail = etree.SubElement(element, "detail")
    detail.append(fault_detail(cause.code, message, spoken, exchange_id, cause.violations))
    return element
