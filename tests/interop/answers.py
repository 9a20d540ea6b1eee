"""What a man in the middle can do to an answer without the gateway's signing key, and what the gateway will do."""

from copy import deepcopy

from lxml import etree

from bankapi import clock
from bankapi.contract.types import NAMESPACE
from bankapi.gateway import keys
from bankapi.settings import Settings
from bankapi.wsse import signing
from bankapi.wsse.names import BODY, HEADER, SECURITY, SIGNATURE, WSU_ID
from bankapi.wsse.signing import SigningIdentity
from tests.interop.middle import Change

STATUS = b">NEVER_SEEN<"
FORGED = b">REGISTERED<"


def changed(answer: bytes) -> bytes:
    """One word of the Body."""
    assert STATUS in answer
    return answer.replace(STATUS, FORGED)


def without_signature(answer: bytes) -> bytes:
    """Another Body, and no Signature."""
    return unsigned(changed(answer))


def unsigned(answer: bytes) -> bytes:
    """The same Body, and no Signature."""
    envelope = etree.fromstring(answer)
    signature = next(envelope.iter(SIGNATURE))
    signature.getparent().remove(signature)
    return etree.tostring(envelope)


def without_security(answer: bytes) -> bytes:
    """Another Body, and no wsse:Security at all."""
    envelope = etree.fromstring(changed(answer))
    security = next(envelope.iter(SECURITY))
    security.getparent().remove(security)
    return etree.tostring(envelope)


def wrapped(answer: bytes) -> bytes:
    """The signed Body moved into the header, where its signature still holds, and another in its place."""
    return _wrap(answer, new_id="forged")


def wrapped_under_the_same_id(answer: bytes) -> bytes:
    """The same with the signed Body's id on both."""
    return _wrap(answer, new_id=None)


def moved_into_the_header(answer: bytes) -> bytes:
    """The signed Body as a header block of its own: Metro's WSIT takes its signature for the Body's."""
    envelope = etree.fromstring(wrapped(answer))
    header = envelope.find(HEADER)
    header.append(header.find("Wrapper")[0])
    header.remove(header.find("Wrapper"))
    return etree.tostring(envelope)


def with_another_exchange(answer: bytes) -> bytes:
    """The signed Exchange header moved aside, and an unsigned one in its place: to whom is this the answer?"""
    envelope = etree.fromstring(answer)
    header = envelope.find(HEADER)
    (exchange,) = (block for block in header if block.tag != SECURITY)
    forged = deepcopy(exchange)
    forged.set(WSU_ID, "forged")
    header.replace(exchange, forged)
    etree.SubElement(header, "Wrapper").append(exchange)
    return etree.tostring(envelope)


def signed_by_terminal(settings: Settings, terminal: str) -> Change:
    """Another Body, well signed by a certificate of the same CA; the genuine Exchange header is signed along."""
    identity = keys.load_identity(*(settings.terminal_file(terminal, name) for name in ("cert.pem", "key.pem")))
    return lambda answer: _sign(etree.fromstring(changed(answer)), identity)


def of_a_later_contract(settings: Settings) -> Change:
    """No forgery: the gateway's own signature over an answer with one more element than today's contract has."""
    identity = keys.load_identity(*(settings.gateway_file(name) for name in ("signing-cert.pem", "signing-key.pem")))

    def extend(answer: bytes) -> bytes:
        envelope = etree.fromstring(answer)
        payload = envelope.find(BODY)[0]
        etree.SubElement(payload, f"{{{NAMESPACE}}}AddedLater").text = "1"
        return _sign(envelope, identity)

    return extend


def _sign(envelope: etree._Element, identity: SigningIdentity) -> bytes:
    """The envelope's Body and Exchange header, signed anew."""
    (exchange,) = (header for header in envelope.find(HEADER) if header.tag != SECURITY)
    del exchange.attrib[WSU_ID]
    return signing.sign_envelope(envelope.find(BODY)[0], identity, now=clock.utc_now(), headers=[exchange])


def _wrap(answer: bytes, new_id: str | None) -> bytes:
    envelope = etree.fromstring(answer)
    body = envelope.find(BODY)
    forged = deepcopy(body)
    envelope.replace(body, forged)
    etree.SubElement(envelope.find(HEADER), "Wrapper").append(body)
    if new_id is not None:
        forged.set(WSU_ID, new_id)
    status = next(element for element in forged.iter() if element.text == "NEVER_SEEN")
    status.text = "REGISTERED"
    return etree.tostring(envelope)
