"""Bytes that are no message of ours: wrong media, hostile XML, too much of something, no SOAP 1.1 request."""

import gzip
import json
import socket
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bankapi.gateway.envelope import BYTES_MAX
from bankapi.refusals import FaultCode, Rule
from tests.attacks.arena import Arena, Attack, Case, Scene, new_canary
from tests.messages import PING, SOAP

MALFORMED, MEDIA = FaultCode.MALFORMED_MESSAGE, FaultCode.UNSUPPORTED_MEDIA_TYPE
TOO_LARGE, NOT_UNDERSTOOD = FaultCode.MESSAGE_TOO_LARGE, FaultCode.HEADER_NOT_UNDERSTOOD
XOP = '<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:1"/>'


# Builders. Each begins with a good signed message wherever that makes sense.


def signed(**http: Any) -> Callable[[Scene], Attack]:
    """A good message, sent in another way."""
    return lambda scene: Attack(scene.signed(), **http)


def drafted(**changes: Any) -> Callable[[Scene], bytes]:
    return lambda scene: scene.signed(**changes)


def before(markup: str) -> Callable[[Scene], bytes]:
    return lambda scene: markup.encode() + scene.signed()


def in_the_reference(content: str, doctype: str = "") -> Callable[[Scene], bytes]:
    """Markup in the place where the Reference's text is."""
    return lambda scene: (
        doctype.encode() + scene.signed().replace(b"<b:Reference>", b"<b:Reference>" + content.encode())
    )


def in_the_payload(content: Callable[[Scene], str]) -> Callable[[Scene], bytes]:
    return lambda scene: scene.signed(payload=content(scene))


def in_a_header(content: str, attributes: str = "") -> Callable[[Scene], bytes]:
    return lambda scene: scene.signed(
        headers_after=f'<x:Note xmlns:x="urn:x" {attributes}>{scene.canary}{content}</x:Note>'
    )


def encoded(encoding: str, declared: str | None = None, **http: Any) -> Callable[[Scene], Attack]:
    """The message in another character encoding, which the declaration names, or not."""

    def build(scene: Scene) -> Attack:
        declaration = "" if declared is None else f'<?xml version="1.0" encoding="{declared}"?>'
        return Attack((declaration + scene.signed().decode()).encode(encoding), **http)

    return build


def compressed(compress: Callable[[bytes], bytes], coding: str) -> Callable[[Scene], Attack]:
    return lambda scene: Attack(compress(scene.signed()), headers=(("Content-Encoding", coding),))


def mtom(scene: Scene) -> Attack:
    parts = (
        b'--b\r\nContent-Type: application/xop+xml; charset=UTF-8; type="text/xml"\r\nContent-ID: <0>\r\n\r\n'
        + scene.signed()
        + b"\r\n--b--\r\n"
    )
    return Attack(parts, content_type='multipart/related; type="application/xop+xml"; start="<0>"; boundary="b"')


def as_json(scene: Scene) -> bytes:
    return json.dumps({"RegisterPayment": {"Reference": scene.canary, "Amount": 150}}).encode()


def deep(levels: int) -> Callable[[Scene], bytes]:
    return in_a_header("<x:a>" * levels + "</x:a>" * levels)


def many(count: int, what: str) -> Callable[[Scene], bytes]:
    return in_a_header("".join(what.format(n=n) for n in range(count)))


def oversized(chunked: bool) -> Callable[[Scene], Attack]:
    """One byte more than is allowed. It is not taken in, so the fault answers nothing."""

    def build(scene: Scene) -> Attack:
        body = scene.signed().ljust(BYTES_MAX + 1)
        return Attack(body, chunked=chunked, received=b"")

    return build


def bomb(entities: int, times: int) -> str:
    """Billion laughs: each entity holds the one before ten times."""
    lines = ['<!ENTITY e0 "ha">']
    lines += [f'<!ENTITY e{n} "{f"&e{n - 1};" * times}">' for n in range(1, entities)]
    return f"<!DOCTYPE x [{''.join(lines)}]>"


def soap_fault(scene: Scene) -> str:
    return (
        f'<s:Fault xmlns:s="{SOAP}"><faultcode>s:Client</faultcode><faultstring>{scene.canary}</faultstring></s:Fault>'
    )


DOCUMENTS: dict[str, Case] = {
    # Media
    "soap 1.2 media type": (signed(content_type="application/soap+xml; charset=utf-8"), MEDIA, Rule.HTTP_MEDIA_TYPE),
    "json media type": (
        lambda scene: Attack(as_json(scene), content_type="application/json"),
        MEDIA,
        Rule.HTTP_MEDIA_TYPE,
    ),
    "a form": (signed(content_type="application/x-www-form-urlencoded"), MEDIA, Rule.HTTP_MEDIA_TYPE),
    "xml of any kind": (signed(content_type="application/xml"), MEDIA, Rule.HTTP_MEDIA_TYPE),
    "no media type": (signed(content_type=""), MEDIA, Rule.HTTP_MEDIA_TYPE),
    "mtom": (mtom, MEDIA, Rule.HTTP_MEDIA_TYPE),
    "multipart/related": (signed(content_type="multipart/related; type=text/xml"), MEDIA, Rule.HTTP_MEDIA_TYPE),
    "utf-7 by charset": (encoded("utf-7", content_type="text/xml; charset=utf-7"), MEDIA, Rule.HTTP_CHARSET),
    "utf-16 by charset": (encoded("utf-16", content_type="text/xml; charset=utf-16"), MEDIA, Rule.HTTP_CHARSET),
    "two charsets": (signed(content_type="text/xml; charset=utf-8; charset=utf-7"), MEDIA, Rule.HTTP_CHARSET),
    "gzip": (compressed(gzip.compress, "gzip"), MEDIA, Rule.HTTP_CONTENT_ENCODING),
    "deflate": (compressed(zlib.compress, "deflate"), MEDIA, Rule.HTTP_CONTENT_ENCODING),
    "a bomb in gzip": (
        lambda scene: Attack(gzip.compress(b" " * 50_000_000), headers=(("Content-Encoding", "gzip"),)),
        MEDIA,
        Rule.HTTP_CONTENT_ENCODING,
    ),
    # Characters
    "utf-7 by declaration": (encoded("utf-8", "utf-7"), MALFORMED, Rule.XML_NOT_UTF8),
    "utf-7 without saying so": (
        lambda scene: scene.signed().replace(b"<", b"+ADw-"),
        MALFORMED,
        Rule.XML_NOT_WELL_FORMED,
    ),
    "utf-16 by declaration": (encoded("utf-16", "utf-16"), MALFORMED, Rule.XML_NOT_UTF8),
    "utf-16 without a mark": (encoded("utf-16-le", "utf-16"), MALFORMED, Rule.XML_NOT_UTF8),
    "ebcdic": (encoded("cp037", "cp037"), MALFORMED, Rule.XML_NOT_UTF8),
    "latin-1": (encoded("utf-8", "iso-8859-1"), MALFORMED, Rule.XML_NOT_UTF8),
    "overlong utf-8": (
        lambda scene: scene.signed().replace(b"CANARY", b"CANARY\xc0\xbc"),
        MALFORMED,
        Rule.XML_NOT_UTF8,
    ),
    "a null character": (lambda scene: scene.signed() + b"\0", MALFORMED, Rule.XML_NOT_UTF8),
    # XML
    "nothing": (lambda scene: b"", MALFORMED, Rule.XML_NOT_WELL_FORMED),
    "half a message": (lambda scene: scene.signed()[:-300], MALFORMED, Rule.XML_NOT_WELL_FORMED),
    "json as xml": (as_json, MALFORMED, Rule.XML_NOT_WELL_FORMED),
    "two documents": (lambda scene: scene.signed() * 2, MALFORMED, Rule.XML_NOT_WELL_FORMED),
    "doctype": (before("<!DOCTYPE x>"), MALFORMED, Rule.XML_DOCTYPE),
    "an external doctype": (before('<!DOCTYPE x SYSTEM "file:///etc/passwd">'), MALFORMED, Rule.XML_DOCTYPE),
    "billion laughs": (in_the_reference("&e9;", bomb(10, 10)), MALFORMED, Rule.XML_DOCTYPE),
    "quadratic blow-up": (
        in_the_reference("&e1;" * 1000, f'<!DOCTYPE x [<!ENTITY e1 "{"a" * 50_000}">]>'),
        MALFORMED,
        Rule.XML_DOCTYPE,
    ),
    "an entity nobody declared": (in_the_reference("&e1;"), MALFORMED, Rule.XML_ENTITY),
    "an entity declared nowhere": (in_the_reference('<!ENTITY e1 "a">'), MALFORMED, Rule.XML_ENTITY),
    "a comment": (in_the_reference("<!-- -->"), MALFORMED, Rule.XML_COMMENT),
    "an instruction": (in_the_reference("<?php x ?>"), MALFORMED, Rule.XML_PROCESSING_INSTRUCTION),
    "a style sheet": (
        before('<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="file:///etc/passwd"?>'),
        MALFORMED,
        Rule.XML_PROCESSING_INSTRUCTION,
    ),
    "xop": (in_the_reference(XOP), MALFORMED, Rule.XOP_INCLUDE),
    # Too much
    "nested 200 levels": (deep(200), TOO_LARGE, Rule.SIZE_DEPTH),
    "nested 4 000 levels": (in_the_reference("<a>" * 4_000 + "</a>" * 4_000), MALFORMED, Rule.XML_NOT_WELL_FORMED),
    "5 001 elements": (many(5_001, "<a/>"), TOO_LARGE, Rule.SIZE_ELEMENTS),
    "2 001 attributes": (many(2_001, '<a b=""/>'), TOO_LARGE, Rule.SIZE_ATTRIBUTES),
    "2 000 namespaces": (many(2_000, '<a xmlns:n{n}="urn:{n}"/>'), TOO_LARGE, Rule.SIZE_NAMESPACES),
    "an attribute of 250 000 characters": (
        in_a_header("", f'y="{"a" * 250_000}" soapenv:mustUnderstand="1"'),
        NOT_UNDERSTOOD,
        Rule.SOAP_MUST_UNDERSTAND,
    ),
    "a byte too many": (oversized(chunked=False), TOO_LARGE, Rule.SIZE_BYTES),
    "a byte too many, in chunks": (oversized(chunked=True), TOO_LARGE, Rule.SIZE_BYTES),
    # SOAP
    "soap 1.2": (
        lambda scene: scene.signed().replace(SOAP.encode(), b"http://www.w3.org/2003/05/soap-envelope"),
        MALFORMED,
        Rule.SOAP_NOT_AN_ENVELOPE,
    ),
    "a naked payment": (lambda scene: scene.payment.encode(), MALFORMED, Rule.SOAP_NOT_AN_ENVELOPE),
    "another operation's action": (
        signed(soap_action='"urn:bankapi:v1/Ping"'),
        MALFORMED,
        Rule.SOAP_ACTION_DIFFERS,
    ),
    "an action of nobody": (signed(soap_action="rm -rf"), MALFORMED, Rule.SOAP_ACTION_DIFFERS),
    "two operations": (in_the_payload(lambda scene: PING + scene.payment), MALFORMED, Rule.SOAP_BODY_CHILDREN),
    "no operation": (drafted(payload=""), MALFORMED, Rule.SOAP_BODY_CHILDREN),
    "text beside the operation": (
        in_the_payload(lambda scene: scene.canary + scene.payment),
        MALFORMED,
        Rule.SOAP_STRAY_TEXT,
    ),
    "a fault as a request": (
        lambda scene: Attack(scene.signed(payload=soap_fault(scene)), soap_action=None),
        MALFORMED,
        Rule.SOAP_BODY_CHILDREN,
    ),
    "two bodies": (
        lambda scene: scene.signed(between=f"<soapenv:Body>{scene.forged}</soapenv:Body>"),
        MALFORMED,
        Rule.SOAP_STRUCTURE,
    ),
    "a header that must be understood": (
        in_a_header("", 'soapenv:mustUnderstand="1"'),
        NOT_UNDERSTOOD,
        Rule.SOAP_MUST_UNDERSTAND,
    ),
    "a header that must be understood, in words": (
        in_a_header("", 'soapenv:mustUnderstand="TRUE"'),
        NOT_UNDERSTOOD,
        Rule.SOAP_MUST_UNDERSTAND,
    ),
}


@pytest.mark.parametrize("case", DOCUMENTS)
def test_what_is_no_message_of_ours_is_refused(arena: Arena, case: str) -> None:
    builder, fault, rule = DOCUMENTS[case]
    scene = arena.scene()
    arena.refuses(builder(scene), fault, rule, canary=scene.canary)


# External entities


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Somewhere an external entity could be fetched from."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


EXTERNAL = {
    "general entity": '<!DOCTYPE x [<!ENTITY e SYSTEM "{url}">]>',
    "parameter entity": '<!DOCTYPE x [<!ENTITY % p SYSTEM "{url}"> %p;]>',
    "external subset": '<!DOCTYPE x SYSTEM "{url}">',
    "public identifier": '<!DOCTYPE x PUBLIC "-//x" "{url}">',
}


@pytest.mark.parametrize("kind", EXTERNAL)
def test_external_entities_fetch_nothing(arena: Arena, kind: str, tmp_path: Path, listener: socket.socket) -> None:
    """Neither a file nor an address: what is in the file appears nowhere, and nobody calls."""
    secret, stored = new_canary(), arena.stored_since()
    (tmp_path / "secret").write_text(secret)
    port = listener.getsockname()[1]
    for url in ((tmp_path / "secret").as_uri(), f"http://127.0.0.1:{port}/x.dtd"):
        scene = arena.scene()
        raw = in_the_reference("&e;", EXTERNAL[kind].format(url=url))(scene)
        arena.refuses(raw, FaultCode.MALFORMED_MESSAGE, Rule.XML_DOCTYPE, canary=scene.canary)
    assert secret not in arena.gateway.log()
    assert secret.encode() not in stored()
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_schema_locations_fetch_nothing(arena: Arena, listener: socket.socket) -> None:
    scene = arena.scene()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/x.xsd"
    hints = f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:bankapi:v1 {url}" c=""'
    raw = scene.signed(payload=scene.payment.replace("<b:Payer>", f"<b:Payer {hints}>"))
    arena.refuses(raw, FaultCode.SCHEMA_VIOLATION, Rule.SCHEMA, canary=scene.canary)
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_connection_that_will_be_closed_is_announced_to_be(arena: Arena, chunked: bool) -> None:
    """RFC 9112 section 9.6: or else the next payment on it is lost."""
    reply = arena.post(oversized(chunked)(arena.scene()))
    assert reply.headers["Connection"] == "close"


def test_a_body_that_does_not_come_is_not_waited_for(arena: Arena) -> None:
    """Half of what was announced, then nothing: no answer, no payment."""
    scene = arena.scene()
    raw = scene.signed()
    with arena.nothing_happens(scene.canary):
        connection = arena.connect()
        connection.putrequest("POST", "/soap/v1")
        connection.putheader("Content-Type", "text/xml; charset=utf-8")
        connection.putheader("Content-Length", str(len(raw) + 100))
        connection.endheaders(raw)
        connection.sock.unwrap()
        connection.close()
