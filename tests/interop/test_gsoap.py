"""gSOAP (C++), with its own wsse plugin. Builds the client with wsdl2h, soapcpp2 and g++ as Debian packs them."""

import shutil
import subprocess
from base64 import b64encode
from copy import deepcopy
from dataclasses import replace
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest
from lxml import etree

from bankapi import clock
from bankapi.cli.authority import Authority, Purpose, certificate_pem, key_pem, new_rsa_key, subject_name
from bankapi.gateway import keys
from bankapi.wsse import signing
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

    def test_a_code_of_a_later_contract_is_read(self, stack: Stack) -> None:
        """gSOAP refuses a whole answer for one value that an enumeration of its does not have."""
        settings = stack.gateway.settings
        identity = keys.load_identity(
            *(settings.gateway_file(name) for name in ("signing-cert.pem", "signing-key.pem"))
        )

        def later(answer: bytes) -> bytes:
            assert answer.count(b":Code>OK<") == 1
            envelope = etree.fromstring(answer.replace(b":Code>OK<", b":Code>ADDED_LATER<"))
            (exchange,) = (block for block in envelope.find(HEADER) if block.tag.endswith("}Exchange"))
            del exchange.attrib[WSU_ID]
            return signing.sign_envelope(envelope.find(BODY)[0], identity, now=clock.utc_now(), headers=[exchange])

        with man_in_the_middle(settings, "ATM-0001", of_answer=later) as middle:
            run = stack.run("status", reference=stack.reference(), url=middle.url)
        assert run[0]["answer"]["Result"]["Code"] == "ADDED_LATER"

    @pytest.mark.parametrize("wrong", ["name", "authority", None])
    def test_it_speaks_to_no_other_server(
        self, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str | None
    ) -> None:
        """Our CA, and the name in the address; what the system trusts beside them makes no difference."""
        settings, now = stack.gateway.settings, clock.utc_now()
        ours = Authority.load(settings.ca_certificate, settings.ca_key)
        authority = Authority.create("bankapi operator CA", now) if wrong == "authority" else ours
        (tmp_path / "system.pem").write_bytes(certificate_pem(authority.certificate))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
        hosts = ("other.example",) if wrong == "name" else ("localhost",)
        key = new_rsa_key()
        issued = authority.issue(subject_name("server"), key.public_key(), Purpose.TLS_SERVER, now, hosts=hosts)
        shutil.copytree(settings.home, tmp_path / "home", ignore=shutil.ignore_patterns("bankapi.db*"))
        elsewhere = replace(settings, home=tmp_path / "home")
        elsewhere.gateway_file("cert.pem").write_bytes(certificate_pem(issued))
        elsewhere.gateway_file("key.pem").write_bytes(key_pem(key))
        with man_in_the_middle(elsewhere, "ATM-0001") as middle:
            run = stack.run("ping", reference="-", url=middle.url)
        assert (run.exit_code, len(middle.requests)) == ((0, 1) if wrong is None else (3, 0))


def test_what_may_get_new_values_is_read_as_text() -> None:
    """Whatever the contract may extend must not be one of gSOAP's enums."""
    schema = etree.parse(WSDL_FILE).iter(f"{XS}simpleType")
    extensible = {each.get("name") for each in schema if "New values may be added" in "".join(each.itertext())}
    mapping = (SOURCE / "typemap.dat").read_text()
    assert extensible
    assert [name for name in extensible if f"\nbank__{name} = " not in mapping] == []
