"""The commands for a bank's Way4 team and for staff, and the guide whose samples are run here."""

import re
import shutil
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from lxml import etree

from bankapi import clock, settings
from bankapi.cli.main import cli
from bankapi.evidence import notes
from bankapi.gateway import keys
from bankapi.settings import Settings
from bankapi.way4 import LABEL, samples
from bankapi.way4.configuration import Operation
from tests.unit.cli.commands import done, refused, run
from tests.way4.conftest import NOON, Door, new_rrn
from tests.way4.test_evidence import way4_journal


def send(own: Settings, message: str, *options: str) -> Any:
    environment = {"BANKAPI_HOME": str(own.home)}
    return CliRunner().invoke(cli, ["way4", "send", "-", *options], input=message, env=environment)


def test_a_sample_of_every_operation_is_sent_and_answered(door: Door, tmp_path: Path) -> None:
    own, rrn = door.gateway.settings, new_rrn()
    for operation in (Operation.VALIDATE, Operation.REGISTER, *list(Operation)[3:], Operation.CANCEL):
        options = ("--rrn", rrn, "--msisdn", "79160000009", "--amount", "1.00", "--local-at", "2026-03-01 12:00:00")
        sample = run(own, "way4", "sample", operation.name.lower(), *options)
        assert sample.exit_code == 0
        answered = send(own, sample.out, "--receipt", str(tmp_path / f"{operation}.txt"))
        assert answered.exit_code == 0, answered.output
        assert etree.fromstring(answered.stdout.encode()).get("resp_code") == "0"
        note = (tmp_path / f"{operation}.txt").read_text()
        notes.verify(note, keys.load_certificate(own.gateway_file("signing-cert.pem")))
    assert send(own, sample.out.replace("ATM-0001", "ATM-0101")).exit_code == 1
    assert send(own, "<x/>").exit_code == 1
    assert send(own, sample.out.replace("ATM-0001", "ATM-0002"), "--terminal", "ATM-0002").exit_code == 0


def test_what_cannot_be_sent_is_a_sentence(door: Door) -> None:
    own = door.gateway.settings
    nobody = send(own, "<x/>", "--channel", "NOBODY")
    assert (nobody.exit_code, nobody.stderr.count("\n")) == (3, 1)
    assert "there is no key of NOBODY here" in nobody.stderr
    nowhere = send(own, "<x/>", "--url", "https://localhost:1/way4")
    assert (nowhere.exit_code, nowhere.stderr.count("\n")) == (3, 1)
    elsewhere = send(own, "<x/>", "--url", own.gateway.url.replace("/soap/v1", "/nothing"))
    assert (elsewhere.exit_code, "404" in elsewhere.stderr) == (3, True)


def test_the_gateway_does_not_start_with_a_mistake_in_the_configuration(demo_home: Path, tmp_path: Path) -> None:
    shutil.copytree(demo_home, tmp_path / "var")
    with (tmp_path / "var" / "way4.ini").open("a") as file:
        file.write("[resp_codes_]\n")
    ended = run(settings.load(tmp_path / "var", {}), "serve")
    assert ended.exit_code == 2
    assert "no such section [resp_codes_]" in ended.err


# End-of-day files


@pytest.fixture
def day(demo_home: Path, tmp_path: Path) -> tuple[Settings, str]:
    """A home with a day's payments over both doors, and the day."""
    today = clock.utc_now().astimezone(samples.DEMO_ZONE).replace(tzinfo=None, microsecond=0)
    with way4_journal(demo_home, tmp_path / "var") as journal:
        for number in range(1, 4):
            journal.ask(Operation.REGISTER, f"{number:012}", local_at=today)
        journal.ask(Operation.CANCEL, "000000000002", local_at=today)
        journal.ask(Operation.REGISTER, "000000000004", local_at=today - timedelta(days=1), amount="5.50")
        journal.soap.ask("ATM-0001", "RegisterPayment", _soap("SOAP-1"))
        return journal.soap.settings, f"{today:%Y-%m-%d}"


def _soap(reference: str) -> Any:
    from tests.journals import registration

    return registration(reference)


def test_what_is_exported_is_imported_without_a_difference(day: tuple[Settings, str], tmp_path: Path) -> None:
    own, on = day
    file = tmp_path / "day.xml"
    written = done(own, "way4", "export", "--dealer", "DEMO-BANK", "--on", on, "--output", file)
    assert written["records"] == 6, "five payments and a reversal"
    compared = done(own, "way4", "import", file, "--dealer", "DEMO-BANK", "--on", on)
    assert (compared["matched"], compared["differences"]) == (5, [])
    schema = etree.XMLSchema(
        etree.fromstring(resources.files("bankapi.schemas").joinpath("ufx-public-subset.xsd").read_bytes())
    )
    for doc in etree.parse(file).getroot().iter("Doc"):
        message = etree.Element("UFXMsg", direction="Rq")
        etree.SubElement(message, "MsgData").append(doc)
        schema.assertValid(message)


def test_a_bank_that_knows_another_amount_is_told(day: tuple[Settings, str], tmp_path: Path) -> None:
    own, on = day
    file = tmp_path / "day.xml"
    done(own, "way4", "export", "--dealer", "DEMO-BANK", "--on", on, "--output", file)
    content = file.read_text().replace(">5.50<", ">5.51<")
    (total,) = re.findall("<HashTotalAmount>(.*)</HashTotalAmount>", content)
    file.write_text(content)
    assert "FileTrailer gives 6 records" in refused(own, "way4", "import", file, "--dealer", "DEMO-BANK", "--on", on)
    file.write_text(content.replace(total, str(round(float(total) + 0.01, 2))))
    ended = run(own, "way4", "import", file, "--dealer", "DEMO-BANK", "--on", on, "--json")
    assert ended.exit_code == 1
    assert [each["kind"] for each in ended.json["differences"]] == ["AMOUNT_DIFFERS"]


# The guide


GUIDE = resources.files("bankapi.way4").joinpath("GUIDE.md").read_text(encoding="utf-8")


def test_the_label_is_wherever_a_user_meets_the_adapter(door: Door) -> None:
    own = door.gateway.settings
    schema = resources.files("bankapi.schemas").joinpath("ufx-public-subset.xsd").read_text(encoding="utf-8")
    for text in (GUIDE, schema, (own.home / "way4.ini").read_text(), " ".join(run(own, "way4", "--help").out.split())):
        assert LABEL.lower() in text.lower()


def test_the_samples_of_the_guide_are_answered_as_it_says(door: Door) -> None:
    """Each message, in this order, gives the answer that stands behind it, but for what is new each time."""
    found = re.findall("```xml\n(.*?)```\n\nanswers\n\n```xml\n(.*?)```", GUIDE, re.DOTALL)
    assert len(found) >= 6
    rrn = new_rrn()
    for request, expected in found:
        reply = door.client.send(request.replace("612300000042", rrn).replace("79160000001", "79160000011").encode())
        assert _comparable(reply.body.decode()) == _comparable(
            expected.replace("612300000042", rrn).replace("79160000001", "79160000011")
        )


def _comparable(content: str) -> bytes:
    """Without white space and without ids, balances and times of booking, which are other ones each time."""
    root = etree.fromstring(content.encode(), etree.XMLParser(remove_blank_text=True))
    for value in root.xpath(
        "//DataRs//Amount | //DataRs//LocalDt | //Parm[ParmCode[.='PaymentId' or .='ValidationId']]/Value"
    ):
        value.text = "-"
    items = root.findall(".//StmtItem")
    for item in items[:-1]:
        item.getparent().remove(item)
    return etree.tostring(root, method="c14n")


def test_every_code_and_place_that_the_guide_names_is_the_demos() -> None:
    for operation in Operation:
        assert samples.sample(operation, local_at=NOON, rrn="612300000042").split("<MsgCode>")[1].split("<")[0] in GUIDE
