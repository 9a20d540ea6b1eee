"""gSOAP (C++), with its own wsse plugin. Builds the client with wsdl2h, soapcpp2 and g++ as Debian packs them."""

import shutil
import subprocess
from base64 import b64encode
from copy import deepcopy
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest
from lxml import etree

from bankapi.wsse.names import BODY, HEADER, SIGNATURE, WSU_ID
from tests.interop import answers
from tests.interop.middle import Change, man_in_the_middle
from tests.interop.promises import Promises
from tests.interop.stacks import CLIENTS, WSDL_FILE, Stack
from tests.running import RunningGateway

pytestmark = pytest.mark.slow
SOURCE = CLIENTS / "gsoap"
PROGRAMS = {"wsdl2h": "gsoap", "soapcpp2": "gsoap", "g++": "g++", "make": "make", "pkg-config": "pkg-config"}
LIBRARIES = {"gsoapssl++": "libgsoap-dev", "openssl": "libssl-dev", "zlib": "zlib1g-dev"}
XS = "{http://www.w3.org/2001/XMLSchema}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client, with what wsdl2h and soapcpp2 make of the published WSDL."""
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            pytest.skip(f"{package} is not installed: gSOAP was not tried")
    for library, package in LIBRARIES.items():
        if subprocess.run(["pkg-config", "--exists", library], check=False).returncode != 0:
            pytest.skip(f"{package} is not installed: gSOAP was not tried")
    folder = tmp_path_factory.mktemp("gsoap") / "client"
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("build"))
    command = ["make", "-s", "-j2", f"WSDL={WSDL_FILE}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    return folder / "build" / "client"


@pytest.fixture(scope="module")
def stack(client: Path, gateway: RunningGateway) -> Stack:
    return Stack(
        name="GSOAP",
        command=(str(client),),
        value_key="value",
        currency=lambda amount: amount["currency"],
        versions=_versions(),
        gateway=gateway,
        numbers=count(1),
    )


def _versions() -> str:
    """Of the generator, of the library that is linked, and of the compiler."""
    library, openssl = (_said("pkg-config", "--modversion", name) for name in ("gsoapssl++", "openssl"))
    compiler = _said("g++", "-dumpfullversion")
    return f"wsdl2h {_said('wsdl2h', '-V')}, libgsoap {library}, OpenSSL {openssl}, g++ {compiler}"


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return (done.stdout or done.stderr).strip()


def another_signature(answer: bytes) -> bytes:
    """Another Body, its digest, and the genuine SignedInfo in front: the plugin verifies that, and reads the other."""
    envelope = etree.fromstring(answers.changed(answer))
    signed, body = next(envelope.iter(SIGNATURE))[0], envelope.find(BODY)
    envelope.find(HEADER).insert(0, deepcopy(signed))
    (reference,) = (each for each in signed.iter(f"{DS}Reference") if each.get("URI") == f"#{body.get(WSU_ID)}")
    reference.find(f"{DS}DigestValue").text = _digest(body)
    return etree.tostring(envelope)


def another_body_first(answer: bytes) -> bytes:
    envelope = etree.fromstring(answer)
    envelope.find(BODY).addprevious(_forged_body(answer))
    return etree.tostring(envelope)


def another_body_last(answer: bytes) -> bytes:
    envelope = etree.fromstring(answer)
    envelope.find(BODY).addnext(_forged_body(answer))
    return etree.tostring(envelope)


def nothing(answer: bytes) -> bytes:
    return b""


def _forged_body(answer: bytes) -> etree._Element:
    body = etree.fromstring(answers.changed(answer)).find(BODY)
    del body.attrib[WSU_ID]
    return body


def _digest(element: etree._Element) -> str:
    return b64encode(sha256(etree.tostring(element, method="c14n", exclusive=True)).digest()).decode()


class TestGsoap(Promises):
    title = "gSOAP"

    @pytest.mark.parametrize(
        "forge", [another_signature, another_body_first, another_body_last, nothing], ids=lambda forge: forge.__name__
    )
    def test_what_the_plugin_does_not_ask_the_client_does(self, stack: Stack, forge: Change) -> None:
        with man_in_the_middle(stack.gateway.settings, "ATM-0001", of_answer=forge) as middle:
            run = stack.run("status", reference=stack.reference(), url=middle.url)
        assert b">NEVER_SEEN<" in middle.answers[0]
        assert set(run[0]) == {"step", "error", "exchange_id"}
        assert (run.exit_code, run[0]["exchange_id"]) == (3, "")


def test_what_may_get_new_values_is_read_as_text() -> None:
    """Whatever the contract may extend must not be one of gSOAP's enums."""
    schema = etree.parse(WSDL_FILE).iter(f"{XS}simpleType")
    extensible = {each.get("name") for each in schema if "New values may be added" in "".join(each.itertext())}
    mapping = (SOURCE / "typemap.dat").read_text()
    assert extensible
    assert [name for name in extensible if f"\nbank__{name} = " not in mapping] == []
