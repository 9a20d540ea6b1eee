"""`bankapi reconcile`, `register` and `reconciliation`: from a bank's file to a proof, and to a correction."""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from sqlalchemy import Connection, func, select
from ulid import ULID

from bankapi import clock
from bankapi.billing import dealers, terminals
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, PayerKind
from bankapi.billing.tables import billing_transactions, ledger_accounts, payments, postings
from bankapi.operations.call import Call
from bankapi.operations.register_payment import RegisterPayment, register_payment
from bankapi.refusals import ResultCode
from bankapi.reports import closing, reconciliation, reconciliation_notes, registers
from bankapi.reports.registers import Announcement, RegisterRow, RowStatus, totals_of
from bankapi.settings import Settings
from bankapi.storage.engine import Store
from tests.unit.cli.commands import Ended, assert_sound, done, refused, run

BANK = ("--dealer", "DEMO-BANK")
HEADING = "reference,status,amount,currency\n"


@contextmanager
def store_of(settings: Settings) -> Iterator[Store]:
    store = Store(settings.database_url)
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def today(installation: Settings) -> date:
    """The dealer's business day, with three payments of 100.00 on it: P-1, P-2 and P-3."""
    now = clock.utc_now()

    def pay(connection: Connection, reference: str) -> None:
        terminal = terminals.find_terminal(connection, "ATM-0001")
        assert terminal is not None
        payer = PayerKey(PayerKind.MSISDN, "79160000001")
        asked = RegisterPayment(reference, payer, Money(10_000, "RUB"), now)
        assert register_payment(Call(connection, terminal, now, "en", str(ULID())), asked).result is ResultCode.OK

    with store_of(installation) as store:
        for reference in ("P-1", "P-2", "P-3"):
            store.write(lambda connection, reference=reference: pay(connection, reference))  # type: ignore[misc]
    return dealers.calendar_day("Europe/Moscow", now)


@pytest.fixture
def differing(tmp_path: Path) -> Path:
    """A register with a difference for each of its three rows, and one for what it lacks."""
    file = tmp_path / "bank-7.csv"
    file.write_text(
        f"{HEADING}P-1,REGISTERED,100.01,RUB\nP-2,CANCELLED,100.00,RUB\nX-9,REGISTERED,5,EUR\n#TOTAL,3,205.01,\n"
    )
    return file


def compared(settings: Settings, file: Path, day: date, *more: object) -> Ended:
    return run(settings, "reconcile", file, *BANK, "--on", day, *more, "--json")


@pytest.mark.parametrize("form", ["csv", "xml"])
def test_what_we_export_comes_back_without_a_difference(
    installation: Settings, today: date, tmp_path: Path, form: str
) -> None:
    file = tmp_path / f"ours.{form}"
    written = done(installation, "register", "export", *BANK, "--on", today, "--format", form, "--output", file)
    assert (written["rows"], written["hash_total"]) == (3, "300.00")
    ended = compared(installation, file, today)
    assert ended.exit_code == 0, ended.err
    found = ended.json
    assert found["register"] == ("ours" if form == "csv" else str(today))
    assert (found["rows"], found["matched"], found["differences_total"], found["differences"]) == (3, 3, 0, [])
    assert found["signed"] is True


def test_differences_are_told_and_the_exit_code_says_so(
    installation: Settings, today: date, differing: Path, tmp_path: Path
) -> None:
    document = tmp_path / "out.xlsx"
    ended = compared(installation, differing, today, "--output", document, "--language", "ru")
    assert ended.exit_code == 1, ended.err
    found = ended.json
    kinds = {"amount_differs": 1, "status_differs": 1, "missing_here": 1, "missing_there": 1, "matched": 0}
    assert {name: found[name] for name in kinds} == kinds
    assert [(each["kind"], each["row"], each["reference"]) for each in found["differences"]] == [
        ("AMOUNT_DIFFERS", 1, "P-1"),
        ("STATUS_DIFFERS", 2, "P-2"),
        ("MISSING_HERE", 3, "X-9"),
        ("MISSING_THERE", None, "P-3"),
    ]
    first = found["differences"][0]
    assert first["their_amount"] == {"amount": "100.01", "currency": "RUB"}
    assert first["our_amount"] == {"amount": "100.00", "currency": "RUB"}
    assert (first["our_terminal"], first["our_business_on"]) == ("ATM-0001", str(today))
    cells = {str(cell.value) for sheet in openpyxl.load_workbook(document) for row in sheet for cell in row}
    assert {"AMOUNT_DIFFERS", "P-3", "ATM-0001"} <= cells
    table = run(installation, "reconciliation", "show", found["reconciliation_id"], "--limit", 1)
    assert table.exit_code == 0
    assert "AMOUNT_DIFFERS" in table.out
    assert "100.01 RUB" in table.out
    assert "X-9" not in table.out


def test_a_register_is_compared_again_and_never_replaced(installation: Settings, today: date, differing: Path) -> None:
    assert compared(installation, differing, today).json["run"] == 1
    second = compared(installation, differing, today).json
    assert second["run"] == 2
    third = run(installation, "reconciliation", "again", second["reconciliation_id"], "--json")
    assert (third.exit_code, third.json["run"]) == (1, 3)
    listed = done(installation, "reconciliation", "list", *BANK)
    assert [(each["run"], each["register"], each["differences"]) for each in listed] == [
        (3, "bank-7", 4),
        (2, "bank-7", 4),
        (1, "bank-7", 4),
    ]
    differing.write_text(f"{HEADING}P-1,REGISTERED,100.00,RUB\n#TOTAL,1,100,\n")
    sentence = refused(installation, "reconcile", differing, *BANK, "--on", today)
    assert "a corrected one needs a new --reference" in sentence
    assert compared(installation, differing, today, "--reference", "bank-7b").json["matched"] == 1


def test_a_file_with_mistakes_is_refused_and_nothing_is_kept(
    installation: Settings, today: date, tmp_path: Path
) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(f"{HEADING}=1+1,REGISTERED,1,RUB\n4111111111111111,PAID,1,RUB\n#TOTAL,2,2,\n")
    ended = run(installation, "reconcile", file, *BANK, "--on", today)
    assert ended.exit_code == 1
    assert ended.err.splitlines() == [
        "line 2, reference: is not 1 to 64 letters, digits and . _ : / -",
        "line 3, reference: could be a card number, which must not be kept",
        "line 3, status: is neither REGISTERED nor CANCELLED",
        f"bankapi: {file}: mistakes: 3; nothing was kept",
    ]
    with sqlite3.connect(installation.home / "bankapi.db") as database:
        assert database.execute("SELECT count(*) FROM registers").fetchone() == (0,)


def test_day_dealer_and_reference_must_fit_the_file(installation: Settings, today: date, tmp_path: Path) -> None:
    file = tmp_path / "ours.xml"
    done(installation, "register", "export", *BANK, "--on", today, "--format", "xml", "--output", file)
    yesterday, tomorrow = today - timedelta(days=1), today + timedelta(days=1)
    assert "is a register of" in refused(installation, "reconcile", file, *BANK, "--on", yesterday)
    assert "another reference" in refused(installation, "reconcile", file, *BANK, "--on", today, "--reference", "R")
    assert "no dealer" in refused(installation, "reconcile", file, "--dealer", "NOBODY", "--on", today)
    empty = tmp_path / "no name.csv"
    empty.write_text(f"{HEADING}#TOTAL,0,0,\n")
    assert run(installation, "reconcile", empty, *BANK, "--on", today).exit_code == 2
    later = refused(installation, "reconcile", empty, *BANK, "--on", tomorrow, "--reference", "R")
    assert "has not begun" in later


def _exported(settings: Settings, file: Path, day: date, folder: Path) -> str:
    found = compared(settings, file, day).json
    done(settings, "reconciliation", "export", found["reconciliation_id"], "--output", folder)
    return str(found["reconciliation_id"])


def _verified(folder: Path, *certificate: Path) -> tuple[int, str]:
    ended = subprocess.run(["sh", folder / "verify.sh", *certificate], capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout.splitlines()[-1]


def test_an_export_proves_itself_with_openssl_alone(
    installation: Settings, today: date, differing: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "proof"
    reconciliation_id = _exported(installation, differing, today, folder)
    certificate = installation.gateway_file("signing-cert.pem")
    assert _verified(folder) == _verified(folder, certificate) == (0, "PROVED")
    assert _verified(folder, installation.ca_certificate) == (1, "NOT PROVED")
    assert (folder / "register.csv").read_text().splitlines()[1].startswith("P-1,REGISTERED,100.01,RUB")
    assert len((folder / "differences.csv").read_text().splitlines()) == 5
    for name, old, new in (
        ("reconciliation.txt", "100.01", "100.00"),
        ("reconciliation.txt", "MISSING_HERE 1", "MISSING_HERE 0"),
        ("register.txt", "100.01", "100.00"),
        ("note.txt", "digest ", "digest 0"),
        ("note.txt", "signed-at 2", "signed-at 3"),
    ):
        changed = tmp_path / "changed"
        shutil.copytree(folder, changed)
        content = (changed / name).read_text()
        assert old in content
        (changed / name).write_text(content.replace(old, new))
        assert _verified(changed) == (1, "NOT PROVED"), name
        shutil.rmtree(changed)
    again = ("reconciliation", "export", reconciliation_id, "--output", folder)
    assert "exists already" in refused(installation, *again)


def test_the_readme_says_how_to_verify_by_hand(
    installation: Settings, today: date, differing: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "proof"
    _exported(installation, differing, today, folder)
    lines = (folder / "README.txt").read_text().splitlines()
    shutil.copy(installation.gateway_file("signing-cert.pem"), folder / "CERT.pem")
    script = "\n".join(line for line in lines if line.startswith("    ") and "verify.sh" not in line and "|" in line)
    script += "\n" + "\n".join(line for line in lines if line.startswith(("    head", "    openssl", "    sha256sum")))
    ended = subprocess.run(["sh", "-ec", script], cwd=folder, capture_output=True, text=True, check=True)
    verdict, *digests = ended.stdout.splitlines()
    assert verdict == "Verified OK"
    assert f"digest {digests[0].split()[0]}" == (folder / "note.txt").read_text().splitlines()[2]
    assert digests[1].split()[0] == (folder / "reconciliation.txt").read_text().splitlines()[8]


def test_what_is_not_what_was_signed_is_not_exported(
    installation: Settings, today: date, differing: Path, tmp_path: Path
) -> None:
    found = compared(installation, differing, today).json
    with sqlite3.connect(installation.home / "bankapi.db") as database:
        database.execute("DROP TRIGGER reconciliation_differences_no_update")
        database.execute("UPDATE reconciliation_differences SET their_amount_minor = 1 WHERE number = 1")
    export = ("reconciliation", "export", found["reconciliation_id"], "--output", tmp_path / "proof")
    assert "somebody has changed the database" in refused(installation, *export)
    assert not (tmp_path / "proof").exists()


def _booked(settings: Settings) -> dict[tuple[str, str], int]:
    """The sum of all postings of corrections by ledger account."""
    with store_of(settings) as store, store.read() as connection:
        query = (
            select(ledger_accounts.c.kind, ledger_accounts.c.owner, func.sum(postings.c.amount_minor))
            .join_from(postings, billing_transactions)
            .join(ledger_accounts, ledger_accounts.c.id == postings.c.ledger_account_id)
            .where(billing_transactions.c.kind == "CORRECTION")
            .group_by(ledger_accounts.c.kind, ledger_accounts.c.owner)
        )
        return {(kind, owner): int(total) for kind, owner, total in connection.execute(query)}


def _payments(settings: Settings) -> list[Any]:
    with store_of(settings) as store, store.read() as connection:
        return [tuple(row) for row in connection.execute(select(payments).order_by(payments.c.id))]


REASON = ("--reason", "the bank took 100.01", "--by", "Head of settlement")


def test_a_correction_is_a_new_entry_and_is_booked_once(installation: Settings, today: date, differing: Path) -> None:
    found = compared(installation, differing, today).json
    difference = f"{found['reconciliation_id']}/1"
    before = _payments(installation)
    correct = ("reconciliation", "correct", difference, "--amount", "0.01", "--currency", "RUB", *REASON)
    first = done(installation, *correct, "--account", "100000001")
    second = done(installation, *correct, "--account", "100000001")
    assert (first["repeated"], second["repeated"]) == (False, True)
    assert first["billing_transaction"] == second["billing_transaction"]
    assert first["business_on"] == str(today)
    assert _booked(installation) == {("DEALER_RECEIVABLE", "DEMO-BANK"): -1, ("CUSTOMER", "100000001"): 1}
    done(installation, *correct[:4], "-5", *correct[5:], "--reference", "BACK-1")
    assert _booked(installation)["OPERATOR_REVENUE", ""] == -500
    assert _payments(installation) == before
    shown = done(installation, "reconciliation", "show", found["reconciliation_id"])
    assert [each["reference"] for each in shown["corrections"]] == [difference, "BACK-1"]
    assert shown["differences"] == found["differences"]
    assert_sound(installation)


def test_a_correction_that_cannot_be_is_refused(installation: Settings, today: date, differing: Path) -> None:
    found = compared(installation, differing, today).json
    difference = f"{found['reconciliation_id']}/1"

    def correct(difference: str, amount: str, currency: str, *more: str) -> str:
        asked = ("reconciliation", "correct", difference, "--amount", amount, "--currency", currency, *REASON, *more)
        return refused(installation, *asked)

    done(installation, "reconciliation", "correct", difference, "--amount", "1", "--currency", "RUB", *REASON)
    assert "another correction" in correct(difference, "2", "RUB")
    assert "another correction" in correct(difference, "1", "RUB", "--account", "100000001")
    assert "no such difference" in correct(f"{found['reconciliation_id']}/99", "1", "RUB")
    assert "no such billing account" in correct(difference, "1", "RUB", "--account", "9", "--reference", "A")
    assert "is in RUB" in correct(difference, "1", "EUR", "--account", "100000001", "--reference", "A")
    assert "of nothing" in correct(difference, "0", "RUB", "--reference", "A")
    card = ("reconciliation", "correct", difference, "--amount", "1", "--currency", "RUB", "--by", "me")
    assert run(installation, *card, "--reason", "card 4111 1111 1111 1111").exit_code == 2
    assert run(installation, *card, "--reason", "x", "--reference", "a b").exit_code == 2
    assert sum(_booked(installation).values()) == 0


def test_a_correction_belongs_to_an_open_business_day(installation: Settings, today: date, differing: Path) -> None:
    found = compared(installation, differing, today).json
    with store_of(installation) as store:
        closing.close(store, "DEMO-BANK", today, clock.utc_now())
    asked = ("reconciliation", "correct", f"{found['reconciliation_id']}/1", "--amount", "1", "--currency", "RUB")
    assert done(installation, *asked, *REASON)["business_on"] == str(today + timedelta(days=1))


def test_the_worker_compares_and_signs_what_came_by_message(installation: Settings, today: date) -> None:
    rows = [RegisterRow(f"N-{number}", RowStatus.REGISTERED, Money(100, "RUB")) for number in range(3)]
    announced = Announcement("BY-SOAP", today, 1, totals_of(rows))

    def submit(connection: Connection) -> str:
        terminal = terminals.find_terminal(connection, "ATM-0001")
        assert terminal is not None
        kept = registers.submit_part(connection, terminal.dealer_id, announced, 1, rows, now=datetime.now(UTC))
        assert kept.register is not None
        return kept.register.id

    with store_of(installation) as store:
        register_id = store.write(submit)
        assert run(installation, "worker", "--once").exit_code == 0
        with store.read() as connection:
            result = reconciliation.latest(connection, register_id)
            assert result is not None
            assert (result.matched, result.difference_count) == (0, 6)
            note = reconciliation_notes.note_of(connection, result.id)
    assert note is not None
    assert note.splitlines()[:3] == [
        "bankapi/journal",
        f"reconciliation {result.id}",
        f"digest {result.digest.hex()}",
    ]
    assert announced.totals.hash_total == Decimal(3)
