"""The addresses beside the service: what is published, and what is not there."""

import http.client

import pytest
from lxml import etree

from bankapi.gateway.wsgi import SOAP_PATH
from tests.attacks.arena import Arena

PUBLISHED_ADDRESS = b"https://localhost:8443/soap/v1"
METHODS = ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT")


def ask(arena: Arena, method: str, path: str, body: bytes | None = None) -> tuple[http.client.HTTPResponse, bytes]:
    connection = arena.connect()
    connection.request(method, path, body, {"Content-Type": "text/xml"} if body else {})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "SEARCH"])
def test_the_service_is_posted_to(arena: Arena, method: str) -> None:
    scene = arena.scene()
    with arena.nothing_happens(scene.canary):
        response, content = ask(arena, method, SOAP_PATH, scene.signed())
    assert (response.status, response.getheader("Allow"), content) == (405, "POST", b"")


def test_a_get_of_the_service_is_not_allowed_but_for_its_wsdl(arena: Arena) -> None:
    response, content = ask(arena, "GET", SOAP_PATH)
    assert (response.status, response.getheader("Allow"), content) == (405, "POST", b"")


@pytest.mark.parametrize(
    "path",
    [
        "/index.html",
        "/kit",
        "/kit/",
        "/kit/../bankapi.ini",
        "/kit/signing-key.pem",
        "/kit/ca-key.pem",
        "/soap",
        "/soap/v1/",
        "/soap/v2",
        "//soap/v1",
        "/soap/v1%00",
        "/soap/v1/../v1",
        "/schemas/",
        "/schemas/../bankapi.ini",
        "/schemas/%2e%2e/%2e%2e/etc/passwd",
        "/schemas/..%5c..%5cbankapi.ini",
        "/schemas/envelope-v1.xsd",
        "/ca/ca-key.pem",
        "/bankapi.db",
        "/.git/config",
        "/admin",
        "/<script>",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_there_is_nothing_elsewhere(arena: Arena, method: str, path: str) -> None:
    scene = arena.scene()
    with arena.nothing_happens(scene.canary):
        response, content = ask(arena, method, path, scene.signed() if method == "POST" else None)
    assert (response.status, content) == (404, b"")


def test_the_published_contract_is_served(arena: Arena, pytestconfig: pytest.Config) -> None:
    own_address = arena.gateway.url.encode()
    schema = (pytestconfig.rootpath / "schemas/bankapi-v1.xsd").read_bytes()
    wsdl = (pytestconfig.rootpath / "wsdl/bankapi-v1.wsdl").read_bytes()
    assert PUBLISHED_ADDRESS in wsdl
    for path, expected in (
        ("/schemas/bankapi-v1.xsd", schema),
        (f"{SOAP_PATH}?wsdl", wsdl.replace(PUBLISHED_ADDRESS, own_address)),
        (f"{SOAP_PATH}?WSDL", wsdl.replace(PUBLISHED_ADDRESS, own_address)),
    ):
        response, content = ask(arena, "GET", path)
        assert (response.status, response.getheader("Content-Type")) == (200, "text/xml; charset=utf-8")
        assert content == expected


def test_the_served_wsdl_leads_to_the_served_schema(arena: Arena) -> None:
    _, wsdl = ask(arena, "GET", f"{SOAP_PATH}?wsdl")
    document = etree.fromstring(wsdl)
    assert document.xpath("//@location[starts-with(., 'http')]") == [arena.gateway.url]
