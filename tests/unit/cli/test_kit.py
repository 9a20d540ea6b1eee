"""The kit of a terminal: complete, the same every time, and never with a private key that was not made for a test."""

import hashlib
import re
import subprocess
import zipfile
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from lxml import etree

from bankapi.cli.authority import new_ec_key, new_rsa_key
from bankapi.contract import codes
from bankapi.contract.application import Contract
from bankapi.gateway import keys
from bankapi.kit import archive, guides, samples
from bankapi.refusals import FaultCode, ResultCode
from bankapi.sandbox import numbers
from bankapi.sandbox.numbers import Behaviour
from bankapi.settings import Settings
from tests.conftest import copy_home
from tests.unit.cli.commands import done, new_request, refused, run

KEY = "TEST-ONLY-terminal-key.pem"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "kit.zip"


@pytest.fixture(scope="module")
def home(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An installation that no test changes."""
    return copy_home(demo_home, tmp_path_factory.mktemp("kit") / "var")


@pytest.fixture(scope="module")
def files(home: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What is in an ordinary kit."""
    return kit(home, tmp_path_factory.mktemp("kit") / "kit.zip")


def kit(settings: Settings, out: Path, terminal: str = "ATM-0001", *options: str) -> dict[str, bytes]:
    """Path → bytes of everything in a kit that is made now."""
    done(settings, "kit", terminal, "--output", out, *options)
    return unzipped(out, terminal)


def unzipped(file: Path, terminal: str) -> dict[str, bytes]:
    folder = f"bankapi-kit-{terminal}/"
    with zipfile.ZipFile(file) as archive:
        assert all(name.startswith(folder) for name in archive.namelist())
        return {name.removeprefix(folder): archive.read(name) for name in archive.namelist()}


def secrets_in(settings: Settings) -> dict[str, bytes]:
    """File → the middle of every private key in the home, which no file without the key can hold."""
    found = {file: file.read_bytes() for file in settings.home.rglob("*.pem")}
    return {str(file): pem.split(b"\n")[8] for file, pem in found.items() if b"PRIVATE KEY" in pem}


def holding(files: dict[str, bytes], settings: Settings) -> set[str]:
    """The files that hold a private key: one of the home's, or any other's beginning."""
    begins = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{8}")
    secrets = secrets_in(settings).values()
    return {name for name, each in files.items() if begins.search(each) or any(part in each for part in secrets)}


def enrol(settings: Settings, terminal: str, folder: Path, command: str = "enrol", *options: str) -> x509.Certificate:
    request, _ = new_request(folder, f"{terminal}-{command}")
    certificate = folder / f"{terminal}-{command}.pem"
    done(settings, "terminal", command, terminal, *options, "--csr", request, "--out", certificate)
    return keys.load_certificate(certificate)


def test_it_holds_what_a_developer_needs(home: Settings, files: dict[str, bytes]) -> None:
    assert {
        "START.md",
        "BY-HAND.md",
        "CHECKER.md",
        "CODES.md",
        "MANIFEST",
        "bankapi-v1.xsd",
        "bankapi-register-v1.xsd",
    } <= files.keys()
    assert files["ca.pem"] == home.ca_certificate.read_bytes()
    assert files["terminal-cert.pem"] == home.terminal_file("ATM-0001", "cert.pem").read_bytes()
    assert files["gateway-signing-cert.pem"] == home.gateway_file("signing-cert.pem").read_bytes()
    assert {name for name in files if name.startswith("samples/")} == {
        "samples/README.md",
        *(f"samples/{name}" for name in samples.files()),
    }
    for operation in Contract().operations:
        assert f"samples/{operation}-request.xml" in files
        assert f"samples/{operation}-answer.xml" in files
    told = files["CODES.md"].decode()
    assert all(f"| {code} |" in told for code in (*ResultCode, *FaultCode))


def test_the_clients_are_the_very_files_that_the_tests_run(files: dict[str, bytes]) -> None:
    sources = Path(archive.__file__).parent / "clients"
    names = {name for name in files if name.startswith("clients/")}
    assert {name.split("/")[1] for name in names} == {each.name for each in sources.iterdir()}
    assert all(files[name] == (sources.parent / name).read_bytes() for name in names if not name.endswith(".md"))
    assert {"clients/zeep/client.py", "clients/node/client.mjs", "clients/cxf/pom.xml"} <= names


def test_every_client_has_a_guide_and_it_is_for_the_kit(files: dict[str, bytes]) -> None:
    stacks = {name.split("/")[1] for name in files if name.startswith("clients/")}
    for stack in stacks:
        guide = files[f"clients/{stack}/README.md"].decode()
        elsewhere = re.findall(r"BANKAPI\b|HOME_\b|`?make run`?|ATM-0001|var/", guide)
        assert elsewhere == [], f"{stack}: see bankapi/kit/guides.py for what can be said in a client's guide"


def test_what_tools_leave_in_a_client_stays_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "a/client.py",
        "a/__pycache__/client.pyc",
        "a/node_modules/x/index.js",
        "a/.env",
        "a/src/target/Main.java",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert [name for name, _ in archive.walk(tmp_path)] == ["a/client.py"]


def test_the_manifest_names_every_file(files: dict[str, bytes]) -> None:
    manifest = files["MANIFEST"].decode().splitlines()
    assert dict(reversed(line.split("  ")) for line in manifest) == {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != "MANIFEST"
    }


def test_no_place_is_left_to_fill_in(files: dict[str, bytes]) -> None:
    assert not [name for name, content in files.items() if name.endswith(".md") and b"@{" in content]


def test_the_wsdl_has_the_address_that_the_gateway_serves(home: Settings, files: dict[str, bytes]) -> None:
    wsdl = etree.fromstring(files["bankapi-v1.wsdl"])
    soap = {"soap": "http://schemas.xmlsoap.org/wsdl/soap/"}
    assert wsdl.xpath("//soap:address/@location", namespaces=soap) == [home.gateway.url]


def test_a_sandboxs_says_so_and_has_its_numbers(sandbox_home: Path, tmp_path: Path, files: dict[str, bytes]) -> None:
    of_sandbox = kit(copy_home(sandbox_home, tmp_path / "var"), tmp_path / "kit.zip")
    assert of_sandbox.keys() - files.keys() == {"SANDBOX.md"}
    assert all(line.number.encode() in of_sandbox["SANDBOX.md"] for line in numbers.table())
    start = of_sandbox["START.md"].decode()
    assert "It is a sandbox" in start
    assert b"sandbox" not in files["START.md"].lower()
    guide = of_sandbox["clients/zeep/README.md"].decode()
    payer = f" --msisdn {numbers.number_of(Behaviour.PAYS)}"
    assert (
        (start.count("--reference "), guide.count("--reference ")) == (start.count(payer), guide.count(payer)) == (3, 1)
    )


@pytest.mark.parametrize("options", [(), ("--test-key",)])
def test_the_same_installation_gives_the_same_bytes(home: Settings, tmp_path: Path, options: tuple[str, ...]) -> None:
    made = [tmp_path / "1.zip", tmp_path / "2.zip"]
    digests = [done(home, "kit", "ATM-0001", "--output", file, *options)["sha256"] for file in made]
    assert made[0].read_bytes() == made[1].read_bytes()
    assert digests == [hashlib.sha256(made[0].read_bytes()).hexdigest()] * 2


def test_no_private_key_is_in_it(home: Settings, files: dict[str, bytes]) -> None:
    assert len(secrets_in(home)) >= 7  # or this test could not fail
    assert holding(files, home) == set()


def test_a_key_made_here_is_in_it_when_asked_for_and_no_other(home: Settings, out: Path) -> None:
    files = kit(home, out, "ATM-0002", "--test-key")
    assert holding(files, home) == {KEY}
    assert files[KEY] == home.terminal_file("ATM-0002", "key.pem").read_bytes()
    own = x509.load_pem_x509_certificate(files["terminal-cert.pem"])
    assert own.public_key() == load_pem_private_key(files[KEY], None).public_key()
    assert KEY.encode() in files["START.md"]
    with zipfile.ZipFile(out) as packed:
        assert packed.getinfo(f"bankapi-kit-ATM-0002/{KEY}").external_attr >> 16 & 0o777 == 0o600


def test_a_key_that_strayed_into_a_certificate_file_stays_here(installation: Settings, out: Path) -> None:
    for file, key in (
        (installation.ca_certificate, installation.ca_key),
        (installation.gateway_file("signing-cert.pem"), installation.gateway_file("signing-key.pem")),
    ):
        file.write_bytes(key.read_bytes() + file.read_bytes())
    assert holding(kit(installation, out), installation) == set()


@pytest.mark.parametrize("name", ["client.pem", "deep/er/store.p12", "STORE.P12"])
def test_no_kit_is_made_when_a_key_strayed_into_a_client(
    installation: Settings, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "clients/zeep" / name).parent.mkdir(parents=True)
    (tmp_path / "clients/zeep" / name).write_bytes(installation.terminal_file("ATM-0001", "key.pem").read_bytes())
    monkeypatch.setattr(archive, "clients", lambda: tmp_path / "clients")
    said = refused(installation, "kit", "ATM-0001", "--output", out)
    assert f"clients/zeep/{name} holds a private key" in said
    assert not out.exists()


def _forms_of_a_key() -> dict[str, bytes]:
    key, protected = new_rsa_key(), BestAvailableEncryption(b"secret")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {
        "DER": key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        "DER of EC": new_ec_key().private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        "encrypted DER": key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, protected),
        "encrypted PEM": key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, protected),
        "PKCS #12": pkcs12.serialize_key_and_certificates(b"a", key, None, None, protected),
        "JSON": b'{"key": "' + pem.replace(b"\n", b"\\n") + b'"}',
        "JavaScript": b" +\n".join(b'"' + line + b'\\n"' for line in pem.splitlines()),
        "UTF-16": pem.decode().encode("utf-16"),
        "PuTTY": b"PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\n",
    }


def test_a_key_is_known_in_every_form_and_by_any_name() -> None:
    for form, content in _forms_of_a_key().items():
        with pytest.raises(ValueError, match="private key, which no kit may") as refusal:
            archive.refuse_keys({f"{form}.txt": content})
        assert str(refusal.value).startswith(f"{form}.txt ")


def test_no_archive_is_made_of_a_key() -> None:
    for form, content in _forms_of_a_key().items():
        with pytest.raises(ValueError, match="private key, which no kit may"):
            archive.zipped("any", {f"{form}.txt": content})
        assert archive.zipped("any", {"meant": content}, {"meant"})


def test_every_answer_to_a_registration_is_in_one_rule_about_lost_answers() -> None:
    """An answer that stood in none would be left to a developer's guess: money is lost by it."""
    named = [*guides.BOOKED, *guides.DECIDED_AGAINST, *guides.UNDECIDED]
    answered = {each.code for each in codes.result_codes() if "RegisterPayment" in each.operations}
    assert sorted(named) == sorted(answered)


def test_the_rules_about_lost_answers_are_in_its_first_guide(files: dict[str, bytes]) -> None:
    start = " ".join(files["START.md"].decode().split())
    assert all(rule in start for rule in guides.LOST)


def test_a_key_that_is_there_is_not_overwritten_by_a_guides_command(files: dict[str, bytes]) -> None:
    (key,) = re.findall(r"^openssl req .* -keyout (\S+)", files["START.md"].decode(), re.MULTILINE)
    assert key == "new-terminal-key.pem"


def test_the_key_of_a_bank_is_never_asked_for(installation: Settings, out: Path, tmp_path: Path) -> None:
    enrol(installation, "NEW-1", tmp_path, "enrol", "--dealer", "DEMO-BANK")
    said = refused(installation, "kit", "NEW-1", "--test-key", "--output", out)
    assert "a bank's key never leaves the bank" in said
    assert not out.exists()
    files = kit(installation, out, "NEW-1")
    assert b"terminal-key.pem" in files["START.md"]
    assert KEY.encode() not in files["START.md"] + files["CHECKER.md"]


def test_without_a_certificate_it_says_how_to_get_one(installation: Settings, out: Path, tmp_path: Path) -> None:
    done(installation, "terminal", "add", "NEW-1", "--dealer", "DEMO-BANK")
    files = kit(installation, out, "NEW-1")
    assert not [name for name in files if name.startswith("terminal-")]
    (command,) = re.findall(r"^openssl req .*$", files["START.md"].decode(), re.MULTILINE)
    command = command.replace("rsa:3072", "rsa:2048")  # which takes seconds less
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, capture_output=True)
    request, certificate = tmp_path / "terminal.csr", tmp_path / "terminal-cert.pem"
    done(installation, "terminal", "enrol", "NEW-1", "--dealer", "DEMO-BANK", "--csr", request, "--out", certificate)
    out.unlink()
    assert kit(installation, out, "NEW-1")["terminal-cert.pem"] == certificate.read_bytes()


def test_while_a_certificate_is_replaced_both_are_in_it(installation: Settings, out: Path, tmp_path: Path) -> None:
    former = installation.terminal_file("ATM-0001", "cert.pem").read_bytes()
    new = enrol(installation, "ATM-0001", tmp_path, "rotate").public_bytes(Encoding.PEM)
    files = kit(installation, out)
    assert (files["terminal-cert.pem"], files["terminal-former-cert-1.pem"]) == (new, former)
    out.unlink()
    files = kit(installation, out, "ATM-0001", "--test-key")  # the certificate that fits the key is the one to use
    assert (files["terminal-cert.pem"], files["terminal-former-cert-1.pem"]) == (former, new)
    done(installation, "terminal", "revoke", "ATM-0001", "--fingerprint", hashlib.sha256(_der(former)).hexdigest())
    assert "not in use any more" in refused(
        installation, "kit", "ATM-0001", "--test-key", "--output", tmp_path / "2.zip"
    )
    out.unlink()
    files = kit(installation, out)
    assert [name for name in files if name.startswith("terminal-")] == ["terminal-cert.pem"]
    assert files["terminal-cert.pem"] == new


def _der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def test_the_coming_signing_certificate_and_ca_are_in_it(installation: Settings, out: Path) -> None:
    for command in ("key", "ca"):
        assert run(installation, command, "prepare").exit_code == 0
    files = kit(installation, out)
    assert files["gateway-next-signing-cert.pem"] == installation.gateway_file("next-signing-cert.pem").read_bytes()
    assert b"`gateway-next-signing-cert.pem` | answers will be signed" in files["START.md"]
    assert len(x509.load_pem_x509_certificates(files["ca.pem"])) == 2
    assert files["START.md"].count(b"\nca.pem ") == 2


@pytest.mark.parametrize(
    ("before", "terminal", "words"),
    [
        ((), "NOBODY", "there is no terminal NOBODY"),
        (("terminal", "block", "ATM-0001"), "ATM-0001", "terminal ATM-0001 is blocked"),
        (("dealer", "block", "DEMO-BANK"), "ATM-0001", "dealer DEMO-BANK is blocked"),
        (("terminal", "revoke", "ATM-0001", "--all"), "ATM-0001", "has ended or is revoked"),
    ],
)
def test_whoever_is_not_answered_gets_none(
    installation: Settings, out: Path, before: tuple[str, ...], terminal: str, words: str
) -> None:
    if before:
        done(installation, *before)
    assert words in refused(installation, "kit", terminal, "--output", out)
    assert not out.exists()


def test_a_file_that_exists_is_not_overwritten(installation: Settings, out: Path) -> None:
    out.write_text("mine")
    assert "exists already" in refused(installation, "kit", "ATM-0001", "--output", out)
    assert out.read_text() == "mine"
