"""Hostile bytes are refused by name, good ones become one envelope."""

import io
import random
from typing import Any

import pytest
from lxml import etree

from bankapi.gateway.envelope import (
    ATTRIBUTES_MAX,
    BYTES_MAX,
    DEPTH_MAX,
    ELEMENTS_MAX,
    NAMESPACES_MAX,
    ParsedEnvelope,
    ReceivedMessage,
    parse,
    parse_envelope,
    receive,
)
from bankapi.refusals import Refusal, Rule
from tests.messages import PAYMENT, PING, SOAP
from tests.timing import least_cpu_s

XOP = '<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="cid:a"/>'


def soap(body: str = PING, header: str = "", attributes: str = "") -> bytes:
    return (
        f'<s:Envelope xmlns:s="{SOAP}"{attributes}><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>'
    ).encode()


def message(body: bytes, soap_action: str | None = None) -> ReceivedMessage:
    return ReceivedMessage(body, "text/xml", "", soap_action)


def rule_of(call: Any, *arguments: Any) -> Rule | None:
    try:
        call(*arguments)
    except Refusal as refusal:
        return refusal.rule
    return None


def refused(body: bytes) -> Rule | None:
    return rule_of(parse, message(body))


# HTTP


class Trickle(io.BytesIO):
    """A stream that gives a few bytes at a time, as a slow client does."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 7) if size and size > 0 else size)


class Broken(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise OSError("reset")


def environ(body: bytes = b"<a/>", **changes: Any) -> dict[str, Any]:
    good = {"CONTENT_TYPE": "text/xml; charset=utf-8", "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
    return {**good, **changes}


def test_a_message_is_read_whole_however_it_trickles() -> None:
    body = soap(PAYMENT)
    received = receive(environ(body, **{"wsgi.input": Trickle(body), "HTTP_SOAPACTION": '"urn:x"'}))
    assert (received.body, received.soap_action) == (body, '"urn:x"')
    chunked = environ(body, **{"wsgi.input": Trickle(body), "HTTP_TRANSFER_ENCODING": "Chunked"})
    del chunked["CONTENT_LENGTH"]
    assert receive(chunked).body == body


def test_no_more_is_read_than_was_announced() -> None:
    """What follows in a kept-alive connection is another request."""
    stream = io.BytesIO(b"<a/><b/>")
    assert receive(environ(b"<a/>", **{"wsgi.input": stream})).body == b"<a/>"
    assert stream.read() == b"<b/>"


@pytest.mark.parametrize(
    "content_type",
    ["text/xml", "TEXT/XML", "text/xml;charset=UTF-8", 'text/xml; charset="utf-8"', "text/xml ; Charset=utf-8 ;"],
)
def test_media_types_of_soap_11_are_taken(content_type: str) -> None:
    assert rule_of(receive, environ(CONTENT_TYPE=content_type)) is None


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"CONTENT_TYPE": ""}, Rule.HTTP_MEDIA_TYPE),
        ({"CONTENT_TYPE": None}, Rule.HTTP_MEDIA_TYPE),
        ({"CONTENT_TYPE": "application/soap+xml"}, Rule.HTTP_MEDIA_TYPE),
        ({"CONTENT_TYPE": "application/xml"}, Rule.HTTP_MEDIA_TYPE),
        ({"CONTENT_TYPE": "application/json"}, Rule.HTTP_MEDIA_TYPE),
        ({"CONTENT_TYPE": "multipart/related; type=text/xml"}, Rule.HTTP_MEDIA_TYPE),
        ({"CONTENT_TYPE": "text/xml, text/xml"}, Rule.HTTP_MEDIA_TYPE),
        ({"CONTENT_TYPE": "text/xml; action=x"}, Rule.HTTP_MEDIA_TYPE),
        ({"CONTENT_TYPE": "text/xml; charset=utf-7"}, Rule.HTTP_CHARSET),
        ({"CONTENT_TYPE": "text/xml; charset=utf-16"}, Rule.HTTP_CHARSET),
        ({"CONTENT_TYPE": "text/xml; charset=iso-8859-1"}, Rule.HTTP_CHARSET),
        ({"CONTENT_TYPE": "text/xml; charset=rot13"}, Rule.HTTP_CHARSET),
        ({"CONTENT_TYPE": "text/xml; charset="}, Rule.HTTP_CHARSET),
        ({"CONTENT_TYPE": 'text/xml; charset="utf-8'}, Rule.HTTP_CHARSET),
        ({"CONTENT_TYPE": "text/xml; charset=utf-8; charset=utf-7"}, Rule.HTTP_CHARSET),
        ({"HTTP_CONTENT_ENCODING": "gzip"}, Rule.HTTP_CONTENT_ENCODING),
        ({"HTTP_CONTENT_ENCODING": "identity, gzip"}, Rule.HTTP_CONTENT_ENCODING),
        ({"HTTP_TRANSFER_ENCODING": "gzip, chunked"}, Rule.HTTP_CONTENT_ENCODING),
        ({"CONTENT_LENGTH": ""}, Rule.HTTP_CONTENT_LENGTH),
        ({"CONTENT_LENGTH": "-1"}, Rule.HTTP_CONTENT_LENGTH),
        ({"CONTENT_LENGTH": "+4"}, Rule.HTTP_CONTENT_LENGTH),
        ({"CONTENT_LENGTH": "4, 4"}, Rule.HTTP_CONTENT_LENGTH),
        ({"CONTENT_LENGTH": "٤"}, Rule.HTTP_CONTENT_LENGTH),
        ({"CONTENT_LENGTH": "9" * 5000}, Rule.HTTP_CONTENT_LENGTH),
        ({"CONTENT_LENGTH": str(BYTES_MAX + 1)}, Rule.SIZE_BYTES),
        ({"CONTENT_LENGTH": "5"}, Rule.HTTP_BODY_INCOMPLETE),
        ({"wsgi.input": Broken()}, Rule.HTTP_BODY_INCOMPLETE),
    ],
)
def test_http_that_we_do_not_take(changes: dict[str, Any], rule: Rule) -> None:
    assert rule_of(receive, environ(**changes)) is rule


def test_chunks_are_limited_as_a_length_is() -> None:
    for length, rule in ((BYTES_MAX, None), (BYTES_MAX + 1, Rule.SIZE_BYTES)):
        chunked = environ(b"a" * length, HTTP_TRANSFER_ENCODING="chunked", CONTENT_LENGTH=None)
        assert rule_of(receive, chunked) is rule


# XML


@pytest.mark.parametrize(
    "prologue",
    [
        b"",
        b"\xef\xbb\xbf",
        b'<?xml version="1.0"?>',
        b"<?xml version='1.0' encoding='utf-8'?>\n",
        b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\r\n',
        b'\xef\xbb\xbf<?xml version="1.0" encoding="Utf-8" ?>',
    ],
)
def test_utf8_is_taken_as_clients_announce_it(prologue: bytes) -> None:
    assert parse(message(prologue + soap())).operation == "Ping"


HIDDEN = '<b:PingRequest xmlns:b="urn:bankapi:v1">%s</b:PingRequest>'
DOCTYPE = b'<!DOCTYPE s:Envelope [<!ENTITY x "y">]>'


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b"", Rule.XML_NOT_WELL_FORMED),
        (b" ", Rule.XML_NOT_WELL_FORMED),
        (b"not xml", Rule.XML_NOT_WELL_FORMED),
        (b"{}", Rule.XML_NOT_WELL_FORMED),
        (soap()[:-1], Rule.XML_NOT_WELL_FORMED),
        (soap() + b"x", Rule.XML_NOT_WELL_FORMED),
        (soap() + soap(), Rule.XML_NOT_WELL_FORMED),
        (b' <?xml version="1.0"?>' + soap(), Rule.XML_PROCESSING_INSTRUCTION),
        (b'<?xml version="1.1"?>' + soap(), Rule.XML_NOT_WELL_FORMED),
        (b'<?xml version="1.0" encoding="UTF-16"?>' + soap(), Rule.XML_NOT_UTF8),
        (b'<?xml version="1.0" encoding="utf-7"?>' + soap(), Rule.XML_NOT_UTF8),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?>' + soap(), Rule.XML_NOT_UTF8),
        (b'<?xml version="1.0" encoding=""?>' + soap(), Rule.XML_NOT_WELL_FORMED),
        (b"<?xml?>" + soap(), Rule.XML_NOT_WELL_FORMED),
        (soap().decode().encode("utf-16"), Rule.XML_NOT_UTF8),
        (soap().decode().encode("utf-16-le"), Rule.XML_NOT_UTF8),
        (soap().decode().encode("utf-32"), Rule.XML_NOT_UTF8),
        (soap(HIDDEN % "\0"), Rule.XML_NOT_UTF8),
        (soap().replace(b"PingRequest", b"Ping\xffRequest"), Rule.XML_NOT_UTF8),
        (soap(HIDDEN % "X").replace(b"X", b"\xc0\xbc"), Rule.XML_NOT_UTF8),
        (soap(HIDDEN % "X").replace(b"X", b"\xed\xa0\x80"), Rule.XML_NOT_UTF8),
        (b"\xef\xbb\xbf\xef\xbb\xbf" + soap(), Rule.XML_NOT_WELL_FORMED),
        (soap(HIDDEN % "\x01"), Rule.XML_NOT_WELL_FORMED),
        (soap(HIDDEN % "&#0;"), Rule.XML_NOT_WELL_FORMED),
        (DOCTYPE + soap(), Rule.XML_DOCTYPE),
        (b'<?xml version="1.0"?>' + DOCTYPE + soap(HIDDEN % "&x;"), Rule.XML_DOCTYPE),
        (b'<!DOCTYPE a SYSTEM "http://evil.example/x.dtd">' + soap(), Rule.XML_DOCTYPE),
        (soap(HIDDEN % "<![CDATA[<!DOCTYPE]]>"), Rule.XML_DOCTYPE),
        (soap(HIDDEN % '<!ENTITY x "y">'), Rule.XML_ENTITY),
        (soap(HIDDEN % "&x;"), Rule.XML_ENTITY),
        (soap(HIDDEN % "<!-- x -->"), Rule.XML_COMMENT),
        (b"<!-- x -->" + soap(), Rule.XML_COMMENT),
        (soap() + b"<!-- x -->", Rule.XML_COMMENT),
        (soap(HIDDEN % "<?x y?>"), Rule.XML_PROCESSING_INSTRUCTION),
        (soap() + b"<?x y?>", Rule.XML_PROCESSING_INSTRUCTION),
        (soap(HIDDEN % "<u:x/>"), Rule.XML_NOT_WELL_FORMED),
        (soap(HIDDEN % '<x a="1" a="2"/>'), Rule.XML_NOT_WELL_FORMED),
        (soap(HIDDEN % XOP), Rule.XOP_INCLUDE),
        (soap(header=XOP), Rule.XOP_INCLUDE),
    ],
)
def test_bytes_that_are_no_plain_utf8_xml(raw: bytes, rule: Rule) -> None:
    assert refused(raw) is rule


def test_cdata_is_text() -> None:
    parsed = parse(message(soap(HIDDEN % "<![CDATA[a<b]]>")))
    assert parsed.envelope[1][0].text == "a<b"


# Limits


def nested(depth: int) -> bytes:
    """Envelope and Body are two of them."""
    return soap("<x>" * (depth - 2) + "</x>" * (depth - 2))


@pytest.mark.parametrize(
    ("within", "beyond", "rule"),
    [
        (nested(DEPTH_MAX), nested(DEPTH_MAX + 1), Rule.SIZE_DEPTH),
        (
            soap(f"<x>{'<y></y>' * (ELEMENTS_MAX - 4)}</x>"),
            soap(f"<x>{'<y></y>' * (ELEMENTS_MAX - 3)}</x>"),
            Rule.SIZE_ELEMENTS,
        ),
        (
            soap(f"<x>{'<y/>' * (ELEMENTS_MAX - 4)}</x>"),
            soap(f"<x>{'<y/>' * (ELEMENTS_MAX - 3)}</x>"),
            Rule.SIZE_ELEMENTS,
        ),
        (
            soap("<x>" + "<y a='' b=''/>" * (ATTRIBUTES_MAX // 2) + "</x>"),
            soap("<x c=''>" + "<y a='' b=''/>" * (ATTRIBUTES_MAX // 2) + "</x>"),
            Rule.SIZE_ATTRIBUTES,
        ),
        (
            soap("<x>" + "<y xmlns='urn:y'/>" * (NAMESPACES_MAX - 1) + "</x>"),
            soap("<x>" + "<y xmlns='urn:y'/>" * NAMESPACES_MAX + "</x>"),
            Rule.SIZE_NAMESPACES,
        ),
        (
            soap(f"<x>{'y' * (BYTES_MAX - len(soap('<x></x>')))}</x>"),
            soap(f"<x>{'y' * (BYTES_MAX - len(soap('<x></x>')) + 1)}</x>"),
            Rule.SIZE_BYTES,
        ),
    ],
    ids=["depth", "elements", "empty elements", "attributes", "namespaces", "bytes"],
)
def test_limits_are_exact(within: bytes, beyond: bytes, rule: Rule) -> None:
    assert refused(within) is None
    assert refused(beyond) is rule


@pytest.mark.parametrize(
    "raw",
    [
        soap("<x>" * 60_000),
        soap("<x/>" * 50_000),
        soap("<x " + " ".join(f"a{i}=''" for i in range(20_000)) + "/>"),
        soap("<x " + " ".join(f"xmlns:a{i}='u'" for i in range(10_000)) + "/>"),
        soap("&#65;" * 50_000),
        soap("<![CDATA[]]>" * 20_000),
        b"<" * BYTES_MAX,
        b"&" * BYTES_MAX,
    ],
)
def test_hostile_sizes_cost_milliseconds(raw: bytes) -> None:
    def work() -> None:
        assert refused(raw) is not None

    assert least_cpu_s(work) < 0.05


# SOAP


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b"<a/>", Rule.SOAP_NOT_AN_ENVELOPE),
        (soap().replace(SOAP.encode(), b"http://www.w3.org/2003/05/soap-envelope"), Rule.SOAP_NOT_AN_ENVELOPE),
        (f'<s:Envelope xmlns:s="{SOAP}"/>'.encode(), Rule.SOAP_STRUCTURE),
        (f'<s:Envelope xmlns:s="{SOAP}"><s:Body>{PING}</s:Body></s:Envelope>'.encode(), Rule.WSSE_HEADER_MISSING),
        (soap().replace(b"</s:Header>", b"</s:Header><s:Header/>"), Rule.SOAP_STRUCTURE),
        (soap().replace(b"</s:Body>", b"</s:Body><s:Body/>"), Rule.SOAP_STRUCTURE),
        (soap().replace(b"</s:Body>", b"</s:Body><x/>"), Rule.SOAP_STRUCTURE),
        (soap().replace(b"<s:Body>", b"<x/><s:Body>"), Rule.SOAP_STRUCTURE),
        (soap(""), Rule.SOAP_BODY_CHILDREN),
        (soap(PING * 2), Rule.SOAP_BODY_CHILDREN),
        (soap("<s:Fault/>"), Rule.SOAP_BODY_CHILDREN),
        (soap(PING + "x"), Rule.SOAP_STRAY_TEXT),
        (soap("x" + PING), Rule.SOAP_STRAY_TEXT),
        (soap(header="x"), Rule.SOAP_STRAY_TEXT),
        (soap().replace(b"<s:Body>", b"x<s:Body>"), Rule.SOAP_STRAY_TEXT),
        (soap("\N{NO-BREAK SPACE}" + PING), Rule.SOAP_STRAY_TEXT),
        (soap(header='<x s:mustUnderstand="1"/>'), Rule.SOAP_MUST_UNDERSTAND),
        (soap(header='<x s:mustUnderstand="true"/>'), Rule.SOAP_MUST_UNDERSTAND),
        (soap(header='<x s:mustUnderstand="yes"/>'), Rule.SOAP_MUST_UNDERSTAND),
        (soap(header='<x/><y s:mustUnderstand=" 1 " s:actor="urn:x"/>'), Rule.SOAP_MUST_UNDERSTAND),
    ],
)
def test_envelopes_of_another_shape(raw: bytes, rule: Rule) -> None:
    assert refused(raw) is rule


def test_headers_that_need_not_be_understood_are_let_pass() -> None:
    header = '<a:To xmlns:a="http://www.w3.org/2005/08/addressing" s:mustUnderstand="0">x</a:To>'
    assert refused(soap(header=header)) is None


def test_an_answer_may_be_a_fault() -> None:
    """A client reads answers with `parse_envelope`; only as a request a Fault is refused."""
    assert parse_envelope(soap("<s:Fault/>"))[1][0].tag == f"{{{SOAP}}}Fault"


@pytest.mark.parametrize("action", [None, "", '""', " ", "urn:bankapi:v1/Ping", '"urn:bankapi:v1/Ping"'])
def test_a_soap_action_says_nothing_or_names_the_operation(action: str | None) -> None:
    assert rule_of(parse, message(soap(), action)) is None


@pytest.mark.parametrize(
    "action",
    [
        "urn:bankapi:v1/CancelPayment",
        "Ping",
        '"urn:bankapi:v1/Ping',
        "urn:bankapi:v1/PingRequest",
        "urn:bankapi:v1/ping",
    ],
)
def test_a_soap_action_of_another_operation_is_refused(action: str) -> None:
    assert rule_of(parse, message(soap(), action)) is Rule.SOAP_ACTION_DIFFERS


def test_only_parse_makes_a_parsed_envelope() -> None:
    with pytest.raises(TypeError, match="only parse"):
        ParsedEnvelope(etree.Element("x"), b"", "x", object())


def test_what_is_parsed_is_what_was_received() -> None:
    raw = soap(PAYMENT)
    parsed = parse(message(raw))
    assert (parsed.raw, parsed.operation_element, parsed.operation) == (
        raw,
        "RegisterPaymentRequest",
        "RegisterPayment",
    )


def test_any_bytes_are_an_envelope_or_a_refusal() -> None:
    """Random damage to a message: never an exception other than Refusal."""
    chance = random.Random(20261123)
    good = soap(PAYMENT, header='<a xmlns="urn:a" b="c">d</a>')
    pieces = [b"<", b">", b"&", b'"', b"<!", b"<?", b"]]>", b"\0", b"\xff", b"&#x", b"xmlns:", b"</", b"<![CDATA["]
    for _ in range(5_000):
        raw = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            position = chance.randrange(len(raw))
            match chance.randrange(4):
                case 0:
                    raw[position] = chance.randrange(256)
                case 1:
                    del raw[position : position + chance.randint(1, 40)]
                case 2:
                    raw[position:position] = chance.choice(pieces)
                case _:
                    start = chance.randrange(len(raw))
                    raw[position:position] = raw[start : start + chance.randint(1, 60)]
        refused(bytes(raw))
