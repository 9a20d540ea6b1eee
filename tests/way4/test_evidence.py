"""What is kept of an exchange over `/way4`, what the audit makes of it, and what a third party can verify."""

import hashlib
import io
import json
import shutil
import sqlite3
import subprocess
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from bankapi import clock, settings
from bankapi.evidence import archive, audit, notes, receipts
from bankapi.evidence.audit import Terms
from bankapi.evidence.exchanges import request_digest
from bankapi.gateway import keys, tls
from bankapi.storage.engine import Store
from bankapi.way4 import door, exchange, samples
from bankapi.way4.configuration import Operation
from bankapi.wsse.profile import PROFILE_V1
from bankapi.wsse.trust import fingerprint
from tests import journals
from tests.attacks.test_cards import new_card
from tests.exchange.test_evidence import TOOLS, needs_tools, prove, run
from tests.journals import Journal, cancellation, registration
from tests.unit.evidence.conftest import OpenTransaction, without_guards
from tests.way4.conftest import NOON

REGISTER, CANCEL = Operation.REGISTER, Operation.CANCEL
RRN = "000000000042"
REFERENCE = f"ATM-0001/2026-03-01/{RRN}"


class Way4Journal:
    """A journal of both doors, in process: everything but TLS and HTTP is real."""

    def __init__(self, journal: Journal) -> None:
        self.soap = journal
        (self._door,) = door.doors(journal.settings, journal.gateway).values()

    def ask(self, operation: Operation, rrn: str = RRN, **values: Any) -> etree._Element:
        return self.send(samples.sample(operation, rrn=rrn, **{"local_at": NOON, **values}))

    def send(self, message: str) -> etree._Element:
        certificate = keys.load_certificate(self.soap.settings.channel_file("DEMO-BANK", "cert.pem"))
        with _peer(fingerprint(certificate)):
            self.answer = self._door(_environ(message.encode()))
        return etree.fromstring(self.answer.body)


@contextmanager
def _peer(name: bytes) -> Iterator[None]:
    original, identity = tls.identify, tls.TLSIdentity(name, "channel", "TLSv1.3")
    tls.identify = lambda _: identity
    try:
        yield
    finally:
        tls.identify = original


def _environ(message: bytes) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": "text/xml",
        "CONTENT_LENGTH": str(len(message)),
        "wsgi.input": io.BytesIO(message),
    }


@contextmanager
def way4_journal(demo_home: Path, home: Path) -> Iterator[Way4Journal]:
    shutil.copytree(demo_home, home)
    with journals.opened(settings.load(home, {})) as journal:
        yield Way4Journal(journal)


def fill(journal: Way4Journal) -> None:
    """Every sort of exchange that leaves a trace, over both doors."""
    ask = journal.ask
    ask(REGISTER)
    ask(REGISTER)  # replayed
    ask(REGISTER, amount="100.01")  # conflict
    ask(CANCEL)
    ask(CANCEL)  # replayed
    ask(REGISTER, "000000000043", msisdn="79160000019")  # declined
    ask(CANCEL, "000000000044")  # never seen: two references are settled
    ask(REGISTER, "000000000044")
    ask(REGISTER, "000000000045", terminal="ATM-9999")  # refused
    ask(REGISTER, "000000000046", currency="978", amount="10.00")  # converted
    ask(Operation.BALANCE)
    ask(Operation.STATEMENT)
    ask(Operation.VALIDATE)
    ask(Operation.STATUS)
    journal.send("<UFXMsg")
    by_soap = journal.soap.ask
    by_soap("ATM-0001", "RegisterPayment", registration("ATM-0001/2026-03-01/000000000047"))
    ask(CANCEL, "000000000047")  # paid by SOAP, cancelled by Way4
    ask(REGISTER, "000000000048")
    by_soap("ATM-0001", "CancelPayment", cancellation("ATM-0001/2026-03-01/000000000048"))
    journal.soap.seal()


@pytest.fixture(scope="module")
def kept(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way4Journal]:
    with way4_journal(demo_home, tmp_path_factory.mktemp("way4") / "var") as journal:
        fill(journal)
        yield journal


def _terms(journal: Way4Journal) -> Terms:
    authority = keys.load_certificate(journal.soap.settings.ca_certificate)
    return Terms(authorities=(authority,), profile=PROFILE_V1, now=clock.utc_now(), is_strict=True)


def test_a_journal_of_both_doors_is_sound(kept: Way4Journal) -> None:
    report = audit.verify(kept.soap.gateway.store, _terms(kept))
    assert report.findings == ()
    assert (report.exchanges, report.examined, report.payments, report.cancellations) == (19, 19, 7, 3)


def test_the_receipt_names_what_is_kept_and_what_was_sent(kept: Way4Journal) -> None:
    card = new_card()
    message = samples.sample(REGISTER, local_at=NOON, rrn="000000000050").replace(
        "<Doc>", f"<Doc><Requestor><ContractNumber>{card}</ContractNumber></Requestor>"
    )
    kept.send(message)
    headers = kept.answer.headers
    receipt = receipts.read(b64decode(headers["Bankapi-Receipt"]))
    with kept.soap.gateway.store.read() as connection:
        row = connection.exec_driver_sql(
            "SELECT request, answer, request_digest, answer_digest FROM exchanges WHERE exchange_id = ?",
            (receipt.exchange_id,),
        ).one()
    request, answer = zlib.decompress(row.request), zlib.decompress(row.answer)
    note, copied = receipts.split(answer)
    assert note == b64decode(headers["Bankapi-Receipt"])
    assert (request_digest(request), request_digest(answer)) == (row.request_digest, row.answer_digest)
    assert (receipt.request_digest, receipt.answer_digest) == (request_digest(request), request_digest(copied))
    salt = b64decode(headers["Bankapi-Receipt-Salt"])
    assert receipt.received_digest == hashlib.sha256(salt + message.encode()).digest()
    assert salt not in answer
    assert salt.hex().encode() not in answer
    assert card.encode() not in request + answer
    assert f"{card[:6]}******{card[-4:]}".encode() in request
    notes.verify(receipt.note, kept.soap.gateway.identity.certificate)
    kept.soap.seal()


@needs_tools
@pytest.mark.parametrize(
    "number", ["42", "47", *(pytest.param(each, marks=pytest.mark.slow) for each in ("43", "44", "46", "48"))]
)
def test_a_proof_of_a_receipt_needs_openssl_alone(kept: Way4Journal, tmp_path: Path, number: str) -> None:
    folder = _exported(kept, f"0000000000{number}", tmp_path)
    by_soap = {"47": "", "48": "cancellation"}.get(number)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in TOOLS:
        if tool != "xmlsec1" or by_soap is not None:
            (tools / tool).symlink_to(str(shutil.which("dash") if tool == "sh" else shutil.which(tool)))
    assert prove(folder, tools) == (True, [])
    assert prove(folder, tools, str(kept.soap.settings.ca_certificate)) == (True, [])
    assert (folder / "receipt.txt").exists() == (number != "47")
    if by_soap is not None:
        assert (folder / by_soap / "terminal-cert.pem").exists()


@needs_tools
def test_openssl_verifies_the_receipt_by_hand(kept: Way4Journal, tmp_path: Path) -> None:
    """What the README says about the signature, without the script."""
    folder = _exported(kept, RRN, tmp_path)
    text, _, line = (folder / "receipt.txt").read_text().partition("\n\n")
    (tmp_path / "text").write_text(text + "\n")
    (tmp_path / "signature").write_bytes(b64decode(line.split()[-1])[4:])
    key = subprocess.run(
        ["openssl", "x509", "-in", folder / "gateway-cert.pem", "-pubkey", "-noout"], check=True, capture_output=True
    )
    (tmp_path / "key.pem").write_bytes(key.stdout)
    command = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "text"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).stdout == b"Verified OK\n"
    (tmp_path / "text").write_text(text.replace("100.00", "900.00") + "\n")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0


@needs_tools
@pytest.mark.slow
def test_a_changed_byte_ends_the_proof(kept: Way4Journal, tmp_path: Path) -> None:
    """With the sums adapted: what they do not hold, the receipt, the leaf and the signatures do."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(str(shutil.which("dash") if tool == "sh" else shutil.which(tool)))
    original = _exported(kept, "000000000046", tmp_path)
    for name in ("request.xml", "answer.xml", "receipt.txt", "leaf.txt", "channel-cert.pem", "gateway-cert.pem"):
        content = (original / name).read_bytes()
        for at in (len(content) // 3, len(content) - 2):
            folder = tmp_path / f"{name}-{at}"
            shutil.copytree(original, folder)
            (folder / name).write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            _adapt_sums(folder)
            assert not prove(folder, tools)[0], (name, at)


def _adapt_sums(folder: Path) -> None:
    names = sorted(file.name for file in folder.iterdir() if file.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines))


def _exported(journal: Way4Journal, rrn: str, folder: Path, *more: str) -> Path:
    options = ["--dealer", "DEMO-BANK", "--reference", f"ATM-0001/2026-03-01/{rrn}", *more]
    ended = run(journal.soap.settings, "export", *options, "--output", str(folder / "proof"), "--json")
    assert ended.exit_code == 0, ended.output
    (found,) = json.loads(ended.output)["folders"]
    return Path(found)


@needs_tools
def test_archived_messages_are_proved_from_the_archive(demo_home: Path, tmp_path: Path) -> None:
    with way4_journal(demo_home, tmp_path / "var") as journal:
        journal.ask(REGISTER)
        journal.ask(CANCEL, "000000000044")
        journal.soap.seal()
        store, file = journal.soap.gateway.store, tmp_path / "old.zip"
        assert archive.archive(store, clock.utc_now() + timedelta(minutes=1), file, clock.utc_now()) == 2
        report = audit.verify(store, replace(_terms(journal), is_strict=False))
        assert (report.findings, report.examined, report.archived) == ((), 2, 2)
        folder = _exported(journal, RRN, tmp_path, "--archive", str(file))
        done = subprocess.run(["sh", folder / "verify.sh"], capture_output=True, check=False)
        assert done.stdout.endswith(b"PROVED\n")


# What staff with the owner's role could change


@pytest.fixture(scope="module")
def changeable(kept: Way4Journal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., set[str]]]:
    """The kinds of what the audit finds after one change, in a database that refuses nothing any more."""
    copy = tmp_path_factory.mktemp("changed") / "bankapi.db"
    with sqlite3.connect(kept.soap.settings.home / "bankapi.db") as source, sqlite3.connect(copy) as target:
        source.backup(target)
    without_guards(copy)
    store = Store(f"sqlite:///{copy}")
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.rollback()

        def findings(statement: str, *values: object) -> set[str]:
            with connection.begin_nested() as savepoint:
                assert connection.exec_driver_sql(statement, values).rowcount > 0
                report = audit.verify(OpenTransaction(connection), replace(_terms(kept), is_strict=False))  # type: ignore[arg-type]
                savepoint.rollback()
            return {str(each.kind) for each in report.findings} - {"leaf.hash"}

        yield findings
        connection.rollback()
    store.close()


def _of(rrn: str) -> str:
    return f"reference = 'ATM-0001/2026-03-01/{rrn}'"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (f"UPDATE payments SET amount_minor = 9 WHERE {_of(RRN)}", "payment.differs"),
        (f"UPDATE payments SET payer_value = '79160000002' WHERE {_of(RRN)}", "payment.differs"),
        (f"UPDATE payments SET rrn = NULL WHERE {_of(RRN)}", "payment.differs"),
        (f"UPDATE payments SET paid_at = '2026-03-01 09:00:01.000000' WHERE {_of(RRN)}", "payment.differs"),
        (f"UPDATE payments SET reference = 'X' WHERE {_of('000000000044')}", "payment.differs"),
        (f"UPDATE payments SET reference = NULL WHERE {_of('000000000044')}", "payment.differs"),
        ("UPDATE payments SET reference = 'X' WHERE reference LIKE '%02-28/000000000044'", "payment.differs"),
        (f"DELETE FROM payments WHERE {_of('000000000043')}", "payment.missing"),
        ("DELETE FROM cancellations", "cancellation.missing"),
        ("UPDATE cancellations SET reason = 'DUPLICATE'", "cancellation.differs"),
        ("UPDATE exchanges SET tls_fingerprint = x'00' WHERE operation = 'GetBalance'", "exchange.differs"),
        ("UPDATE exchanges SET operation = 'Ping' WHERE operation = 'GetBalance'", "exchange.differs"),
        ("UPDATE exchanges SET outcome = 'X' WHERE operation = 'GetBalance'", "exchange.differs"),
        ("UPDATE exchanges SET request = NULL WHERE operation = 'GetBalance'", "body.missing"),
        ("UPDATE exchanges SET request_bytes = 7 WHERE operation = 'GetBalance'", "request.bytes"),
        (
            "UPDATE exchanges SET answered_at = '2026-03-01 09:00:01.000000' WHERE operation = 'GetBalance'",
            "exchange.differs",
        ),
    ],
)
def test_the_audit_finds_what_the_receipt_does_not_say(
    changeable: Callable[..., set[str]], change: str, kind: str
) -> None:
    assert kind in changeable(change)


@pytest.mark.parametrize(
    ("edit", "kind"),
    [
        (lambda kept: kept.replace(b"\noutcome OK\n", b"\noutcome NO\n"), "answer.signature"),
        (lambda kept: kept.replace(b"\npayer ", b"\npayer  "), "answer.signature"),
        (lambda kept: kept.replace(b"\nfee -\n", b"\nfee -\nfee -\n"), "answer.signature"),
        (lambda kept: kept.replace(b"<RespCode>0<", b"<RespCode>1<"), "answer.bytes"),
        (lambda kept: kept[: kept.index(b"\n\n")], "answer.signature"),
        (lambda kept: kept.replace(b"\n\n", b"\n\n\n", 1), "answer.signature"),
    ],
)
def test_the_audit_verifies_the_receipt(
    kept: Way4Journal, changeable: Callable[..., set[str]], edit: Callable[[bytes], bytes], kind: str
) -> None:
    """Even where the digest was adapted to what was changed."""
    with kept.soap.gateway.store.read() as connection:
        row = connection.exec_driver_sql("SELECT id, answer FROM exchanges WHERE operation = 'GetBalance'").first()
    assert row is not None
    original = zlib.decompress(row.answer)
    changed = edit(original)
    assert changed != original
    statement = "UPDATE exchanges SET answer = ?, answer_digest = ? WHERE id = ?"
    assert kind in changeable(statement, zlib.compress(changed), request_digest(changed), row.id)


# When nothing can be decided


def test_while_the_database_fails_the_answer_says_that_nothing_was_decided(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with way4_journal(demo_home, tmp_path / "var") as journal:
        database = sqlite3.connect(tmp_path / "var" / "bankapi.db", isolation_level=None)
        database.execute("ALTER TABLE accounts RENAME TO accounts_away")
        answer = journal.ask(REGISTER)
        assert (answer.get("resp_class"), answer.get("resp_code")) == ("E", "91")
        assert "Bankapi-Receipt" not in journal.answer.headers
        assert answer.findtext("MsgData/Doc/DocRefSet/Parm/Value") == RRN
        database.execute("ALTER TABLE accounts_away RENAME TO accounts")
        assert journal.ask(REGISTER).get("resp_code") == "0"
        monkeypatch.setattr(exchange.deadlines, "waited_s", lambda _: 60.0)
        waited = journal.ask(REGISTER)
        assert (waited.get("resp_code"), journal.answer.status, len(waited)) == ("91", "503 Service Unavailable", 0)
        database.close()


def test_a_payment_that_overtakes_its_reversal_leaves_nothing_half_decided(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look finds nothing, then the payment is there: all is undone, and the repetition cancels it."""
    with way4_journal(demo_home, tmp_path / "var") as journal:
        assert journal.ask(REGISTER, local_at=NOON - timedelta(days=1)).get("resp_code") == "0"
        with monkeypatch.context() as patched:
            patched.setattr("bankapi.way4.performing._found", lambda call, asked: [])
            assert journal.ask(CANCEL).get("resp_code") == "91"
        assert journal.ask(Operation.STATUS, local_at=NOON - timedelta(days=1)).get("resp_code") == "0"
        assert journal.ask(CANCEL).get("resp_code") == "0"
        assert journal.ask(Operation.STATUS, local_at=NOON - timedelta(days=1)).get("resp_code") == "21"


def test_without_a_configuration_there_is_no_door(demo_home: Path, tmp_path: Path) -> None:
    shutil.copytree(demo_home, tmp_path / "var")
    (tmp_path / "var" / "way4.ini").unlink()
    with journals.opened(settings.load(tmp_path / "var", {})) as journal:
        assert door.doors(journal.settings, journal.gateway) == {}
