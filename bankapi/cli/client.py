"""A terminal's client: builds, signs and sends a request over mutual TLS, and believes only a verified answer."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

from bankapi import clock
from bankapi.cli.documents import Fields, answer_fields, request_element
from bankapi.contract.types import NAMESPACE
from bankapi.evidence.exchanges import request_digest
from bankapi.gateway import keys, tls
from bankapi.gateway.caller import Caller
from bankapi.refusals import Refusal
from bankapi.wsse import signing, verification
from bankapi.wsse.names import SOAP
from bankapi.wsse.profile import PROFILE_V1
from bankapi.wsse.trust import fingerprint


class AnswerNotTrusted(Exception):
    """What came back is not a signed answer of the gateway to this request."""


@dataclass(frozen=True)
class Answer:
    """A verified answer. `fields` carry the contract's own names; for a fault those of its typed detail."""

    is_fault: bool
    fields: dict[str, Any]
    request: bytes
    answer: bytes


class TerminalClient:
    """One terminal with its key pair, the operator's CA and the gateway's signing certificates."""

    def __init__(
        self, url: str, *, certificate: Path, key: Path, ca: Path, gateway_certificates: Iterable[Path]
    ) -> None:
        self._caller = Caller(url, tls.client_context(certificate, key, ca))
        self._identity = keys.load_identity(certificate, key)
        self._trust = keys.load_trust(ca)
        self._gateway = {fingerprint(keys.load_certificate(file)) for file in gateway_certificates}

    def call(self, operation: str, fields: Fields) -> Answer:
        """Send one request and return the verified answer.

        OSError when the gateway cannot be reached, AnswerNotTrusted when the answer does not prove itself.
        """
        request = self.sign(operation, fields)
        return self.verified(request, self.send(operation, request))

    def sign(self, operation: str, fields: Fields) -> bytes:
        """The signed request as it goes over the wire."""
        return signing.sign_envelope(request_element(operation, fields), self._identity, now=clock.utc_now())

    def send(self, operation: str, request: bytes) -> bytes:
        """POST the bytes over a kept-alive connection and return the bytes of the answer."""
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{NAMESPACE}/{operation}"'}
        return self._caller.post(request, headers).body

    def verified(self, request: bytes, answer: bytes) -> Answer:
        """Check that the gateway signed this answer, and to this request; AnswerNotTrusted otherwise."""
        try:
            parser = etree.XMLParser(resolve_entities=False, no_network=True)
            found = verification.verify(
                etree.fromstring(answer, parser),
                profile=PROFILE_V1,
                trust=self._trust,
                now=clock.utc_now(),
                find_certificate=lambda _: None,
            )
        except (Refusal, etree.XMLSyntaxError) as error:
            raise AnswerNotTrusted(f"the answer's signature does not hold: {error}") from error
        if found.fingerprint not in self._gateway:
            raise AnswerNotTrusted("the answer is signed, but not by the gateway")
        if answered_digest(found.headers) != request_digest(request):
            raise AnswerNotTrusted("the answer is to another request")
        is_fault = found.body.tag == f"{{{SOAP}}}Fault"
        payload = found.body.find(f"detail/{{{NAMESPACE}}}BankApiFault") if is_fault else found.body
        return Answer(is_fault, {} if payload is None else answer_fields(payload), request, answer)


def answered_digest(headers: Iterable[etree._Element]) -> bytes | None:
    """The digest of the request that an answer is to, by its signed headers."""
    for header in headers:
        if header.tag == f"{{{NAMESPACE}}}Exchange":
            return base64.b64decode(header.findtext(f"{{{NAMESPACE}}}RequestDigest") or "")
    return None
