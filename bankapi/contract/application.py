"""The contract at work: one verified request element in, one answer element out.

Spyne is the dispatcher and the (de)serialiser, over trees: it never sees bytes, envelopes, headers or HTTP.
Conformity to the XSD was proved before (`gateway/conformity`), so Spyne validates nothing again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from lxml import etree

from bankapi.contract import messages as m
from bankapi.contract.protocol import TreeApplication, TreeProtocol, TreeServer
from bankapi.contract.service import UNAVAILABLE, VERSION, BankApi, message
from bankapi.contract.types import NAMESPACE, SHA256_URI, SIMPLE_TYPES, expanded
from bankapi.operations.call import Call
from bankapi.refusals import FaultCode, ResultCode, SchemaViolation

SERVICE: Final = "BankApi"
_LANGUAGE: Final = expanded("Language")
_CARD_BIN: Final = expanded("CardBin")


@cache
def server() -> TreeServer:
    """The Spyne application of the contract behind its in-process transport, built once per process."""
    beside_operations = [m.Exchange, *SIMPLE_TYPES]
    return TreeServer(
        TreeApplication(
            [BankApi],
            NAMESPACE,
            SERVICE,
            in_protocol=TreeProtocol(),
            out_protocol=TreeProtocol(),
            classes=beside_operations,
        )
    )


@dataclass(frozen=True, slots=True)
class Dispatched:
    """What an operation answered. `answer` is the response element alone, ready for a SOAP Body."""

    operation: str
    answer: etree._Element
    result: ResultCode


class Contract:
    """The operations a bank may call. One per process; every method may be called from any thread."""

    version: Final = VERSION

    def __init__(self) -> None:
        self._server = server()
        self.operations = frozenset(BankApi.public_methods)

    def soap_action(self, operation: str) -> str:
        """The SOAPAction an operation is called with (SOAP 1.1 section 6.1.1), without its quotes."""
        if operation not in self.operations:
            raise KeyError(operation)
        return f"{NAMESPACE}/{operation}"

    def dispatch(self, request: etree._Element, call: Call) -> Dispatched:
        """Perform what the request element asks. `request` is the child of a verified and conforming Body.

        An exception of the operation comes out as itself, so that the transaction rolls back and the gateway
        answers with a fault; an amount that its currency cannot have is a Refusal(Rule.SCHEMA).
        """
        done = self._server.perform(request, call)
        return Dispatched(done.descriptor.operation_name, done.out_document, done.out_object[0].Result.Code)

    def unavailable(self, operation: str, language: str, now: datetime) -> etree._Element:
        """The answer of an operation while nothing can be decided: TEMPORARILY_UNAVAILABLE, and Ping by its Status."""
        answer = UNAVAILABLE[operation](language, now)
        return _write(type(answer), answer)


def fault_detail(
    code: FaultCode, sentence: str, language: str, exchange_id: str, violations: Iterable[SchemaViolation]
) -> etree._Element:
    """The `BankApiFault` element for the detail of a SOAP fault. Violations beyond what the XSD allows are left out."""
    return _write(
        m.BankApiFault,
        m.BankApiFault(
            Code=code,
            Message=message(sentence, language),
            ExchangeId=exchange_id,
            Retry=code.retry,
            Violation=[
                m.Violation(Path=_line(each.path), Rule=each.rule, Reason=_line(each.reason))
                for each in list(violations)[: m.VIOLATIONS_MAX]
            ],
        ),
    )


def exchange_header(exchange_id: str, request_digest: bytes, checkpoint: bytes | None = None) -> etree._Element:
    """The `Exchange` header of an answer.

    `request_digest` is the SHA-256 of the request body as received, `checkpoint` the newest signed head of the journal.
    """
    return _write(
        m.Exchange,
        m.Exchange(
            ExchangeId=exchange_id,
            RequestDigest=m.RequestDigest(Value=[request_digest], algorithm=SHA256_URI),
            Checkpoint=None if checkpoint is None else [checkpoint],
        ),
    )


def requested_language(request: etree._Element) -> str | None:
    """The language tag (BCP 47) a request asks for."""
    return request.findtext(_LANGUAGE)


def card_bin(request: etree._Element) -> str | None:
    """The card BIN of a request that has one, from which the payer's country follows."""
    return request.findtext(_CARD_BIN)


def _write(model: Any, value: Any) -> etree._Element:
    element: etree._Element = server().app.out_protocol.write(model, value)
    return element


def _line(text: str) -> str:
    """Text as the contract's single-line types take it."""
    return " ".join(text.split())[:500] or "-"
