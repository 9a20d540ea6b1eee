"""What the page says is what is published, whole; and what it shows of others stays text."""

import io
import re
import zipfile
from datetime import UTC, datetime, timedelta
from importlib import resources
from itertools import pairwise
from pathlib import Path

import pytest
from lxml import etree

from bankapi.billing.holders import Holder
from bankapi.billing.terminals import AccessStatus, RegisteredCertificate
from bankapi.cli import home as homes
from bankapi.contract import codes
from bankapi.contract.service import BankApi
from bankapi.gateway.wsgi import Door
from bankapi.kit import archive, guides, page_content, page_files, page_markup, page_reference, samples
from bankapi.kit.page_markup import E
from bankapi.operations.ping import ServiceState
from bankapi.refusals import FaultCode, ResultCode
from bankapi.sandbox import numbers
from bankapi.settings import Settings

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
XS = {"xs": "http://www.w3.org/2001/XMLSchema"}
REGISTERED = RegisteredCertificate(1, 1, NOW, NOW + timedelta(days=700), None)
ATM = Holder(REGISTERED, "DEMO-BANK", AccessStatus.ACTIVE, "ATM-0001", AccessStatus.ACTIVE)
CHANNEL = Holder(REGISTERED, "DEMO-BANK", AccessStatus.ACTIVE, None, None)


def schema() -> etree._Element:
    return etree.fromstring(resources.files("bankapi.schemas").joinpath("bankapi-v1.xsd").read_bytes())


def drawn(
    settings: Settings,
    holder: Holder = ATM,
    state: ServiceState = ServiceState.AVAILABLE,
    is_sandbox: bool = False,
) -> etree._Element:
    page = page_content.page(settings, holder, state, now=NOW, contract_version="1.2.3", is_sandbox=is_sandbox)
    return etree.fromstring(page.decode(), etree.HTMLParser())


def text(element: etree._Element) -> str:
    return " ".join("".join(element.itertext()).split())


def named(page: etree._Element, name: str) -> etree._Element:
    (found,) = page.xpath("//*[@id=$name]", name=name)
    return found


@pytest.mark.parametrize("operation", BankApi.public_methods)
def test_every_member_of_every_operation_is_named(operation: str) -> None:
    section = named(page_reference.operations(), operation)
    for message in (f"{operation}Request", f"{operation}Response"):
        members = schema().xpath("xs:complexType[@name=$name]//xs:element/@name", namespaces=XS, name=message)
        assert members
        assert set(members) <= {text(code) for code in section.iterfind("dl/dt//code")}
    shown = text(section)
    for sample in samples.all():
        if sample.operation == operation:
            assert sample.title in shown
            assert all(" ".join(body.split()) in shown for body in sample.shown())


def test_every_type_that_is_no_message_of_an_operation_is_explained() -> None:
    explained = page_reference.types()
    declared = {each.get("name") for each in schema().iterfind("*[@name]")}
    messages = {f"{name}{side}" for name in BankApi.public_methods for side in ("Request", "Response")}
    assert {each.get("id") for each in explained.iterfind("dl/dt")} == declared - messages
    with_tables = "@name!='ResultCode' and @name!='FaultCode'"
    values = schema().xpath(f"xs:simpleType[{with_tables}]//xs:enumeration/@value", namespaces=XS)
    patterns = schema().xpath("xs:simpleType//xs:pattern/@value", namespaces=XS)
    assert len(values) > 20
    assert len(patterns) > 20
    assert {*values, *patterns} <= {text(code) for code in explained.iter("code")}


def test_every_code_has_its_line() -> None:
    for table, known in ((page_reference.results(), ResultCode), (page_reference.faults(), FaultCode)):
        lines = [text(each) for each in table.iterfind("table/tbody/tr/th")]
        assert lines == [str(code) for code in known]
        assert all(text(cell) for cell in table.iter("td"))


def test_words_in_backticks_are_shown_as_typed_and_no_backtick_is_left(installation: Settings) -> None:
    assert etree.tostring(page_markup.marked("ask `a <b>`, then go")) == (
        b"<span>ask <code>a &lt;b&gt;</code>, then go</span>"
    )
    assert "`" not in text(page_reference.faults())
    assert "`" not in text(drawn(installation))


def facts(page: etree._Element) -> dict[str, str]:
    return {text(each[0]): text(each[1]) for each in named(page, "connection").iterfind("dl/div")}


def test_the_reader_is_named(installation: Settings) -> None:
    assert facts(drawn(installation))["You are"] == "ATM-0001 of DEMO-BANK"
    assert facts(drawn(installation, CHANNEL))["You are"] == "DEMO-BANK, by a channel of its processing centre"
    assert facts(drawn(installation))["Your certificate ends"] == "2028-01-30 09:00:00 UTC"


@pytest.mark.parametrize("state", ServiceState)
def test_the_state_is_said_with_its_meaning(installation: Settings, state: ServiceState) -> None:
    assert facts(drawn(installation, state=state))["Service"] == f"{state} {codes.SERVICE_STATES[state]}"


def test_headings_are_in_order_and_names_are_unique(installation: Settings) -> None:
    for page in (drawn(installation, is_sandbox=True), etree.HTML(page_content.types().decode())):
        levels = [int(each.tag[1]) for each in page.iter("h1", "h2", "h3", "h4")]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
        names = page.xpath("//@id")
        assert len(names) == len(set(names))
        assert all(set(each.split()) <= set(names) for each in page.xpath("//@aria-labelledby"))
        assert page.xpath("count(//main)") == 1


def test_every_link_inside_leads_somewhere(installation: Settings) -> None:
    page, types = drawn(installation, is_sandbox=True), etree.HTML(page_content.types().decode())
    anchors = {"": page, "/": page, page_reference.TYPES_PATH: types}
    for here, links in (("", page.xpath("//a/@href")), (page_reference.TYPES_PATH, types.xpath("//a/@href"))):
        inside = [link.partition("#") for link in links if "#" in link]
        assert len(inside) > 30
        for path, _, name in inside:
            assert named(anchors[path or here], name) is not None


def test_only_a_sandbox_shows_its_numbers(installation: Settings) -> None:
    sandbox, production = (drawn(installation, is_sandbox=is_sandbox) for is_sandbox in (True, False))
    assert "SANDBOX" in text(sandbox.find(".//header"))
    shown = text(named(sandbox, "numbers"))
    assert all(line.number in shown and line.words in shown for line in numbers.table())
    assert all(words in shown for _, words in numbers.recipes())
    assert "SANDBOX" not in text(production)
    assert numbers.PREFIX + "000" not in text(production)


def test_the_certificates_of_a_rollover_are_there_while_it_lasts(installation: Settings) -> None:
    certificate = installation.gateway_file("signing-cert.pem").read_bytes()
    page = drawn(installation)
    assert page.xpath("//a[@href='/kit/gateway-signing-cert.pem']")
    assert not page.xpath("//a[@href='/kit/gateway-next-signing-cert.pem']")
    homes.write_public(installation.gateway_file("next-signing-cert.pem"), certificate)
    assert drawn(installation).xpath("//a[@href='/kit/gateway-next-signing-cert.pem']")


def test_text_stays_text() -> None:
    hostile = "</title><script>alert('&\"')</script>"
    page = page_markup.document(hostile, E.main({"id": hostile}, E.p(hostile), E.pre(hostile)))
    assert b"<script" not in page
    read = etree.fromstring(page.decode(), etree.HTMLParser())
    assert [read.findtext(".//title"), read.findtext(".//p"), read.findtext(".//pre")] == [hostile] * 3
    assert read.find(".//main").get("id") == hostile


def ask(doors: dict[tuple[str, str], Door], path: str) -> tuple[str, bytes]:
    answer = doors["GET", path]({})
    return answer.content_type, answer.body


def unpacked(packed: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(packed)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


@pytest.mark.parametrize("stack", archive.stacks())
def test_a_client_comes_whole_and_with_what_its_guide_names(installation: Settings, stack: str) -> None:
    content_type, packed = ask(dict(page_files.doors(installation)), f"/kit/client-{stack}.zip")
    assert content_type == page_files.ZIP
    files = {name.removeprefix(f"bankapi-{stack}/"): content for name, content in unpacked(packed).items()}
    sources = resources.files("bankapi.kit")
    own = {name for name in files if name.startswith(f"clients/{stack}/")}
    guide = f"clients/{stack}/README.md"
    assert all(files[name] == sources.joinpath(*name.split("/")).read_bytes() for name in own - {guide})
    assert files.keys() - own == {"README.md", "bankapi-v1.wsdl", "ca.pem", "gateway-signing-cert.pem"}
    assert b"BEGIN CERTIFICATE" in files["ca.pem"]
    assert files["gateway-signing-cert.pem"] == installation.gateway_file("signing-cert.pem").read_bytes()
    assert b"terminal-key.pem" in files["README.md"]
    named = set(re.findall(r"\.\./([a-z][a-z0-9.-]+)", files[guide].decode())) - {"clients", "cxf"}
    assert named <= files.keys() | {"terminal-cert.pem", "terminal-key.pem"}
    assert b"BANKAPI" not in files[guide]
    heading = sources.joinpath(guide).read_text().partition("\n")[0].strip("# ").replace("`", "")
    (link,) = drawn(installation).xpath(f"//a[@href='/kit/client-{stack}.zip']")
    assert text(link) == heading
    assert not [name for name in files if "node_modules" in name or "__pycache__" in name or "/target/" in name]
    assert ask(dict(page_files.doors(installation)), f"/kit/client-{stack}.zip")[1] == packed


def test_a_client_comes_with_the_signing_certificate_of_now(installation: Settings) -> None:
    doors = dict(page_files.doors(installation))
    for renewed in (installation.gateway_file("signing-cert.pem"), installation.terminal_file("ATM-0001", "cert.pem")):
        homes.write_public(installation.gateway_file("signing-cert.pem"), renewed.read_bytes())
        packed = unpacked(ask(doors, "/kit/client-zeep.zip")[1])
        assert packed["bankapi-zeep/gateway-signing-cert.pem"] == renewed.read_bytes()


def test_the_guides_are_those_of_the_kit(installation: Settings) -> None:
    packed = unpacked(ask(dict(page_files.doors(installation)), "/kit/guides.zip")[1])
    named = {name for name in packed if "/samples/" not in name}
    assert named == {f"bankapi-guides/{name}.md" for name in ("BY-HAND", "CHECKER", "CODES")}
    assert packed.keys() - named == {f"bankapi-guides/samples/{name}" for name in ("README.md", *samples.files())}
    assert all(b"@{" not in packed[name] for name in named)
    assert b"terminal-key.pem" in packed["bankapi-guides/CHECKER.md"]


def test_what_to_do_about_a_lost_answer_is_on_the_page(installation: Settings) -> None:
    page = drawn(installation)
    assert all(rule.replace("`", "") in text(named(page, "lost")) for rule in guides.LOST)
    for seen, look_at in guides.refusals("terminal-key.pem"):
        assert seen.replace("`", "") in text(named(page, "refused"))
        assert look_at.replace("`", "") in text(named(page, "refused"))


def test_a_whole_envelope_is_shown(installation: Settings) -> None:
    shown = text(named(drawn(installation), "first-payment"))
    for part in ("wsse:BinarySecurityToken", "ds:SignatureValue", "wsu:Created", "RegisterPaymentRequest"):
        assert f"<{part}" in shown


def test_no_private_key_is_handed_out(installation: Settings) -> None:
    doors = dict(page_files.doors(installation))
    signing = installation.gateway_file("signing-cert.pem")
    signing.write_bytes(signing.read_bytes() + installation.gateway_file("signing-key.pem").read_bytes())
    assert len(doors) > 8
    for _, path in doors:
        content = ask(doors, path)[1]
        if path.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(content)) as unpacked:
                content = b"".join(map(unpacked.read, unpacked.namelist()))
        assert not re.search(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]", content), path


def test_no_client_is_handed_out_with_a_key_that_strayed_into_it(
    installation: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "zeep").mkdir()
    (tmp_path / "zeep/client.pem").write_bytes(installation.terminal_file("ATM-0001", "key.pem").read_bytes())
    monkeypatch.setattr(archive, "clients", lambda: tmp_path)
    with pytest.raises(ValueError, match=r"client\.pem holds a private key"):
        ask(dict(page_files.doors(installation)), "/kit/client-zeep.zip")


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    digits = "".join(2 * digit for digit in colour) if len(colour) == 3 else colour
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read_on_its_ground(scheme: str) -> None:
    """WCAG 2.2, success criterion 1.4.3: 4.5 to 1."""
    style = resources.files("bankapi.kit").joinpath("page.css").read_text()
    beginning = style.split("@media")[0 if scheme == "light" else 1]
    colours = dict(re.findall(r"--([a-z]+): #([0-9a-f]+);", beginning))
    for ink in ("ink", "soft", "link", "good", "warn", "bad"):
        for ground in ("page", "head"):
            shades = sorted((luminance(colours[ink]), luminance(colours[ground])))
            assert (shades[1] + 0.05) / (shades[0] + 0.05) >= 4.5, (ink, ground)
