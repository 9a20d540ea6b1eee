"""From hostile bytes to one SOAP 1.1 envelope: HTTP framing, size, XML, structure. Nothing is believed yet.

What can be refused by looking at bytes is refused before a parser sees them; what the parser sees is bounded, so it
takes microseconds for a message and about a millisecond for the worst one.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import InitVar, dataclass
from typing import Any

from lxml import etree

from bankapi.refusals import Refusal, Rule
from bankapi.wsse import names

BYTES_MAX = 256 * 1024
DEPTH_MAX = 32
ELEMENTS_MAX = 5_000
ATTRIBUTES_MAX = 2_000
NAMESPACES_MAX = 200
CONTRACT = "urn:bankapi:v1"

_PROOF = object()
_XML_SPACE = " \t\r\n"
_BOM = b"\xef\xbb\xbf"
_DECLARATION = re.compile(
    rb"<\?xml\s+version\s*=\s*(?:'1\.0'|\"1\.0\")"
    rb"(?:\s+encoding\s*=\s*(?:'([A-Za-z0-9._-]+)'|\"([A-Za-z0-9._-]+)\"))?"
    rb"(?:\s+standalone\s*=\s*(?:'(?:yes|no)'|\"(?:yes|no)\"))?\s*\?>"
)
_deeper_than_allowed = etree.XPath("boolean(" + "/*" * (DEPTH_MAX + 1) + ")")
_count_elements = etree.XPath("count(//*)")
_count_attributes = etree.XPath("count(//@*)")


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """One HTTP message body and the header fields that matter, within the limits."""

    body: bytes
    content_type: str
    content_encoding: str
    soap_action: str | None


@dataclass(frozen=True, slots=True)
class ParsedEnvelope:
    """A well-formed SOAP 1.1 envelope with one operation in it. Only `parse` makes one."""

    envelope: etree._Element
    raw: bytes
    operation_element: str
    """Local name of the Body's single child. The frame of `wsse` proves that this child is the one that is verified."""
    proof: InitVar[object]

    def __post_init__(self, proof: object) -> None:
        if proof is not _PROOF:
            raise TypeError("only parse() makes a ParsedEnvelope")

    @property
    def operation(self) -> str:
        """The operation's name: its request element is `<Operation>Request`. Not yet known to be one of ours."""
        return self.operation_element.removesuffix("Request")


def receive(
    environ: Mapping[str, Any],
    keep: Callable[[bytes], None] = lambda body: None,
    media_types: Collection[str] = ("text/xml",),
) -> ReceivedMessage:
    """Read a POST body from WSGI: XML of such a type in UTF-8, uncoded, at most 256 KiB, and complete.

    `keep` is given a complete body before its media type is judged: a refusal names the digest of what it refuses.
    """
    content_type = environ.get("CONTENT_TYPE") or ""
    content_encoding = environ.get("HTTP_CONTENT_ENCODING") or ""
    transfer_encoding = environ.get("HTTP_TRANSFER_ENCODING") or ""
    if transfer_encoding.strip().lower() not in ("", "chunked"):  # gunicorn lets "gzip, chunked" pass
        raise Refusal(Rule.HTTP_CONTENT_ENCODING, "a transfer coding beside chunked")
    length = environ.get("CONTENT_LENGTH") or ""
    if length:
        body = _read_exactly(environ["wsgi.input"], _content_length(length))
    elif transfer_encoding:
        body = _read_to_end(environ["wsgi.input"])
    else:
        raise Refusal(Rule.HTTP_CONTENT_LENGTH, "neither a length nor chunks")
    keep(body)
    _check_media_type(content_type, media_types)
    if content_encoding.strip().lower() not in ("", "identity"):
        raise Refusal(Rule.HTTP_CONTENT_ENCODING)
    return ReceivedMessage(body, content_type, content_encoding, environ.get("HTTP_SOAPACTION"))


def parse(message: ReceivedMessage) -> ParsedEnvelope:
    """The request's envelope: one operation, no header we would have to understand, the action of that operation."""
    envelope = parse_envelope(message.body)
    header, body = envelope
    for block in header:
        if block.tag != names.SECURITY and _must_understand(block):
            raise Refusal(Rule.SOAP_MUST_UNDERSTAND)
    (operation,) = body
    if operation.tag == names.FAULT:
        raise Refusal(Rule.SOAP_BODY_CHILDREN, "a Fault as a request")
    name = etree.QName(operation).localname
    parsed = ParsedEnvelope(envelope, message.body, name, _PROOF)
    _check_soap_action(message.soap_action, parsed.operation)
    return parsed


def parse_envelope(raw: bytes) -> etree._Element:
    """Hostile bytes as a SOAP 1.1 envelope of the one allowed shape; a client reads our answers with it, too."""
    envelope = parse_document(raw)
    _check_structure(envelope)
    return envelope


def parse_document(raw: bytes) -> etree._Element:
    """Hostile bytes as the root of one well-formed XML document within the limits, whatever it is about."""
    _scan(raw)
    try:
        root = etree.fromstring(raw, _parser())
    except etree.XMLSyntaxError as error:
        undeclared = getattr(error, "code", None) == etree.ErrorTypes.ERR_UNDECLARED_ENTITY
        raise Refusal(Rule.XML_ENTITY if undeclared else Rule.XML_NOT_WELL_FORMED) from error
    except (ValueError, LookupError) as error:
        raise Refusal(Rule.XML_NOT_WELL_FORMED) from error
    _check_limits(root, raw)
    return root


# HTTP


def _check_media_type(content_type: str, media_types: Collection[str]) -> None:
    """`text/xml` for SOAP, at most with charset=utf-8 (SOAP 1.1 section 6, WS-I BP 1.1 R1018)."""
    media_type, *parameters = content_type.split(";")
    if media_type.strip().lower() not in media_types:
        raise Refusal(Rule.HTTP_MEDIA_TYPE)
    parameters = [parameter.strip() for parameter in parameters if parameter.strip()]
    if len(parameters) > 1:
        raise Refusal(Rule.HTTP_CHARSET, "more than one parameter")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() != "charset":
            raise Refusal(Rule.HTTP_MEDIA_TYPE, "a parameter that is not charset")
        if value.strip().lower() not in ("utf-8", '"utf-8"'):
            raise Refusal(Rule.HTTP_CHARSET)


def _content_length(length: str) -> int:
    if not (length.isascii() and length.isdigit()) or len(length) > 18:
        raise Refusal(Rule.HTTP_CONTENT_LENGTH)
    if int(length) > BYTES_MAX:
        raise Refusal(Rule.SIZE_BYTES)
    return int(length)


def _read_exactly(stream: Any, length: int) -> bytes:
    body = _read(stream, length)
    if len(body) != length:
        raise Refusal(Rule.HTTP_BODY_INCOMPLETE)
    return body


def _read_to_end(stream: Any) -> bytes:
    """A chunked body: gunicorn ends the stream where the message ends."""
    body = _read(stream, BYTES_MAX + 1)
    if len(body) > BYTES_MAX:
        raise Refusal(Rule.SIZE_BYTES)
    return body


def _read(stream: Any, length: int) -> bytes:
    """Up to `length` bytes; a stream may give less at a time."""
    parts: list[bytes] = []
    missing = length
    while missing:
        try:
            part = stream.read(missing)
        except Exception as error:  # bad chunks, resets and timeouts are not one family in gunicorn
            raise Refusal(Rule.HTTP_BODY_INCOMPLETE, type(error).__name__) from error
        if not part:
            break
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


# XML


def _scan(raw: bytes) -> None:
    """What needs no parser. In UTF-8 the bytes of markup never occur inside another character."""
    if len(raw) > BYTES_MAX:
        raise Refusal(Rule.SIZE_BYTES)
    start = len(_BOM) if raw.startswith(_BOM) else 0  # WS-I BP 1.1 R4001: a byte order mark is accepted
    if b"\0" in raw:
        raise Refusal(Rule.XML_NOT_UTF8)
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal(Rule.XML_NOT_UTF8) from error
    if raw.startswith(b"<?xml", start):
        declaration = _DECLARATION.match(raw, start)
        if declaration is None:
            raise Refusal(Rule.XML_NOT_WELL_FORMED, "XML declaration")
        if (declaration[1] or declaration[2] or b"utf-8").lower() != b"utf-8":
            raise Refusal(Rule.XML_NOT_UTF8, "declared otherwise")
        start = declaration.end()
    if raw.find(b"<?", start) >= 0:
        raise Refusal(Rule.XML_PROCESSING_INSTRUCTION)
    _scan_declarations(raw, start)
    if raw.count(b"<") > 2 * ELEMENTS_MAX + 1:
        raise Refusal(Rule.SIZE_ELEMENTS)
    if raw.count(b"xmlns") > NAMESPACES_MAX:
        raise Refusal(Rule.SIZE_NAMESPACES)


def _scan_declarations(raw: bytes, start: int) -> None:
    """Of everything that starts with `<!`, only CDATA sections are allowed, and nothing of the kind inside them."""
    while (start := raw.find(b"<!", start)) >= 0:
        if raw.startswith(b"<!--", start):
            raise Refusal(Rule.XML_COMMENT)
        if not raw.startswith(b"<![CDATA[", start):
            raise Refusal(Rule.XML_ENTITY if raw.startswith(b"<!ENTITY", start) else Rule.XML_DOCTYPE)
        start += 2


def _parser() -> etree.XMLParser:
    """No entities, no network, no DTD, libxml2's own limits on, and UTF-8 whatever anything else says."""
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=False,
        collect_ids=False,
    )


def _check_limits(root: etree._Element, raw: bytes) -> None:
    """Bytes bound the numbers from above: only a message that could exceed a limit is counted."""
    if root.getroottree().docinfo.internalDTD is not None:
        raise Refusal(Rule.XML_DOCTYPE)
    if raw.count(b"<") > ELEMENTS_MAX and _number(_count_elements, root) > ELEMENTS_MAX:
        raise Refusal(Rule.SIZE_ELEMENTS)
    if raw.count(b"=") > ATTRIBUTES_MAX and _number(_count_attributes, root) > ATTRIBUTES_MAX:
        raise Refusal(Rule.SIZE_ATTRIBUTES)
    if _deeper_than_allowed(root):
        raise Refusal(Rule.SIZE_DEPTH)
    # Bytes may spell the name with any prefix, but not without the local name.
    if b"Include" in raw and next(root.iter("{http://www.w3.org/2004/08/xop/include}Include"), None) is not None:
        raise Refusal(Rule.XOP_INCLUDE)


def _number(count: etree.XPath, root: etree._Element) -> float:
    number = count(root)
    assert isinstance(number, float)
    return number


# SOAP 1.1 section 4


def _check_structure(envelope: etree._Element) -> None:
    """Envelope, one Header, one Body, one element in it; no text between; nothing after (WS-I BP 1.1 R1011)."""
    if envelope.tag != names.ENVELOPE:
        raise Refusal(Rule.SOAP_NOT_AN_ENVELOPE)
    parts = [child.tag for child in envelope]
    if parts == [names.BODY]:
        raise Refusal(Rule.WSSE_HEADER_MISSING)  # good SOAP, sent by a stack whose signing is not switched on
    if parts != [names.HEADER, names.BODY]:
        raise Refusal(Rule.SOAP_STRUCTURE)
    header, body = envelope
    if len(body) != 1:
        raise Refusal(Rule.SOAP_BODY_CHILDREN)
    for parent in (envelope, header, body):
        texts = [parent.text, *[child.tail for child in parent]]
        if any(text.strip(_XML_SPACE) for text in texts if text):
            raise Refusal(Rule.SOAP_STRAY_TEXT)


def _must_understand(block: etree._Element) -> bool:
    """SOAP 1.1 section 4.2.3. Whatever is not plainly "no" is "yes"."""
    return (block.get(names.MUST_UNDERSTAND) or "0").strip().lower() not in ("0", "false")


def _check_soap_action(soap_action: str | None, operation: str) -> None:
    """WS-I BP 1.1 R1109: quoted; absent and empty say nothing, anything else must be the Body's operation."""
    action = (soap_action or "").strip()
    if len(action) >= 2 and action[0] == action[-1] == '"':
        action = action[1:-1]
    if action and action != f"{CONTRACT}/{operation}":
        raise Refusal(Rule.SOAP_ACTION_DIFFERS)
