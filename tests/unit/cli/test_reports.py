"""Reports and closed days on the command line: what is written, what is refused, and what is left behind."""

import csv
import gc
import io
import resource
import stat
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from openpyxl import load_workbook
from ulid import ULID

from bankapi import clock
from bankapi.billing import rates, terminals
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, PayerKind
from bankapi.billing.tables import billing_transactions, ledger_accounts, payments, postings
from bankapi.languages.texts import LANGUAGES
from bankapi.operations.call import Call
from bankapi.operations.cancel_payment import CancelPayment, CancelReason, cancel_payment
from bankapi.operations.register_payment import RegisterPayment, register_payment
from bankapi.settings import Settings
from bankapi.storage.engine import Store
from tests.unit.cli.commands import Ended, done, refused, run

FIRST = datetime(2026, 3, 1, 9, tzinfo=UTC)
PERIOD = ("--from", "2026-03-01", "--to", "2026-03-02")
BANK = ("--dealer", "DEMO-BANK", *PERIOD)
EXPECTED = [
    ("2026-03-01", "REGISTERED", "P-1", "ATM-0001", "100.00", "RUB"),
    ("2026-03-01", "REGISTERED", "P-2", "ATM-0002", "20.50", "RUB"),
    ("2026-03-01", "DECLINED", "D-1", "ATM-0001", "5.00", "RUB"),
    ("2026-03-02", "CANCELLED", "P-1", "ATM-0001", "100.00", "RUB"),
    ("2026-03-02", "VOIDED", "V-1", "ATM-0001", "", ""),
    ("2026-03-02", "REGISTERED", "P-3", "ATM-0002", "1.00", "EUR"),
]
"""Day, event, reference, terminal, amount and currency of DEMO-BANK's two days."""


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    store = Store(settings.database_url)
    yield store
    store.close()


@pytest.fixture
def stocked(installation: Settings) -> Settings:
    """Two days of two dealers, through the operations themselves."""
    done(installation, "dealer", "set", "DEMO-BANK", "--cancel-window", "always")

    def pay(reference: str, terminal: str, amount: str, currency: str = "RUB", *, day: int = 0, payer: int = 1) -> None:
        money = Money.from_decimal(Decimal(amount), currency)
        key = PayerKey(PayerKind.MSISDN, f"791600000{payer:02d}")
        asked = RegisterPayment(reference, key, money, FIRST, fee=Money(50, "RUB") if reference == "P-2" else None)
        perform(terminal, day, lambda call: register_payment(call, asked))

    def cancel(reference: str, amount: str, *, day: int) -> None:
        asked = CancelPayment(Money.from_decimal(Decimal(amount), "RUB"), CancelReason.TIMEOUT, reference=reference)
        perform("ATM-0001", day, lambda call: cancel_payment(call, asked))

    def perform(terminal: str, day: int, operation: object) -> None:
        def admitted(connection: object) -> None:
            account = terminals.find_terminal(connection, terminal)  # type: ignore[arg-type]
            assert account is not None
            call = Call(connection, account, FIRST + timedelta(days=day), "en", str(ULID()))  # type: ignore[arg-type]
            operation(call)  # type: ignore[operator]

        store.write(admitted)

    with opened(installation) as store:
        store.write(lambda connection: rates.add_rate(connection, "EUR", "RUB", Decimal("90"), FIRST))
        pay("P-1", "ATM-0001", "100.00")
        pay("P-2", "ATM-0002", "20.50")
        pay("D-1", "ATM-0001", "5.00", payer=19)
        pay("S-1", "ATM-0101", "7.00")
        cancel("P-1", "100.00", day=1)
        cancel("V-1", "3.00", day=1)
        pay("P-3", "ATM-0002", "1.00", "EUR", day=1)
    return installation


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def events(ended: Ended) -> list[tuple[str, ...]]:
    assert ended.exit_code == 0, ended.err
    names = ("business_on", "event", "reference", "terminal", "amount", "currency")
    return [tuple(row[name] for name in names) for row in rows(ended.out)]


def left_in(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


# What is in it


def test_transactions_are_every_event_of_the_period_and_of_nobody_else(stocked: Settings) -> None:
    assert events(run(stocked, "report", "transactions", *BANK)) == EXPECTED
    first_day = ("--dealer", "DEMO-BANK", "--from", "2026-03-01")
    assert events(run(stocked, "report", "transactions", *first_day)) == EXPECTED[:3]
    shop = run(stocked, "report", "transactions", "--dealer", "DEMO-SHOP", *PERIOD)
    assert [each[2] for each in events(shop)] == ["S-1"]
    before = run(stocked, "report", "transactions", "--dealer", "DEMO-BANK", "--from", "2026-02-01")
    assert events(before) == []


def test_only_what_was_chosen(stocked: Settings) -> None:
    chosen: list[tuple[tuple[str, ...], list[tuple[str, ...]]]] = [
        (("--status", "cancelled"), [EXPECTED[3]]),
        (("--status", "declined", "--status", "voided"), [EXPECTED[2], EXPECTED[4]]),
        (("--status", "registered", "--terminal", "ATM-0002"), [EXPECTED[1], EXPECTED[5]]),
        (("--currency", "EUR"), [EXPECTED[5]]),
        (("--scheme", "debit"), []),
    ]
    for options, expected in chosen:
        assert events(run(stocked, "report", "transactions", *BANK, *options)) == expected, options


def test_the_financial_report_ties_from_opening_to_closing(stocked: Settings) -> None:
    found = rows(run(stocked, "report", "financial", *BANK).out)
    for currency in ("RUB", "EUR"):
        mine = [row for row in found if row["currency"] == currency]
        kinds = {row["row"]: Decimal(row["balance"]) for row in mine if row["row"] != "LINE"}
        net = sum(Decimal(row["net"]) for row in mine if row["row"] == "LINE")
        assert kinds["OPENING"] - net + kinds["PAID_IN"] + kinds["CORRECTED"] == kinds["CLOSING"]
    lines = [(row["business_on"], row["terminal"], row["net"], row["fees"]) for row in found if row["row"] == "LINE"]
    assert lines == [
        ("2026-03-01", "ATM-0001", "100.00", "0.00"),
        ("2026-03-01", "ATM-0002", "20.50", "0.50"),
        ("2026-03-02", "ATM-0001", "-100.00", "0.00"),
        ("2026-03-02", "ATM-0002", "1.00", "0.00"),
    ]
    of_terminal = rows(run(stocked, "report", "financial", *BANK, "--terminal", "ATM-0002").out)
    assert {row["row"] for row in of_terminal} == {"LINE"}, "balances are the dealer's, not a terminal's"


def test_the_trial_balance_comes_to_nothing(stocked: Settings) -> None:
    found = rows(run(stocked, "report", "trial-balance", "--from", "2026-03-01", "--to", "2030-01-01").out)
    assert {row["currency"] for row in found} == {"RUB", "EUR"}
    for currency in ("RUB", "EUR"):
        mine = [row for row in found if row["currency"] == currency]
        assert sum(Decimal(row["closing"]) for row in mine) == sum(Decimal(row["opening"]) for row in mine) == 0
        assert sum(Decimal(row["debit"]) for row in mine) == sum(Decimal(row["credit"]) for row in mine) > 0


REPORTS = (("transactions", *BANK), ("financial", *BANK), ("trial-balance", *PERIOD))


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report[0])
def test_csv_is_the_same_in_every_language(stocked: Settings, report: tuple[str, ...]) -> None:
    written = {run(stocked, "report", *report, "--language", language).out for language in LANGUAGES}
    assert len(written) == 1
    assert len(rows(written.pop())) > 1


# How it is written


def is_whole(file: Path) -> bool:
    """Whether a file is complete, as the programs that read its format see it."""
    match file.suffix:
        case ".csv":
            return file.read_bytes().endswith(b"\r\n")
        case ".xlsx":
            return zipfile.ZipFile(file).testzip() is None and load_workbook(file).active is not None
        case ".pdf":
            return file.read_bytes().startswith(b"%PDF-") and file.read_bytes().rstrip().endswith(b"%%EOF")
        case _:
            return file.read_text().rstrip().endswith("</html>")


@pytest.mark.parametrize("format_", ["csv", "xlsx", "pdf", "html"])
def test_every_report_is_a_file_of_the_format_its_name_says(stocked: Settings, tmp_path: Path, format_: str) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    for name, *options in REPORTS:
        file = folder / f"{name}.{format_}"
        ended = run(stocked, "report", name, *options, "--output", file)
        assert (ended.exit_code, ended.out, ended.err) == (0, "", f"wrote {file}\n")
        assert is_whole(file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(left_in(folder)) == 3
    said = folder / "anything"
    assert run(stocked, "report", "financial", *BANK, "--format", format_, "--output", said).exit_code == 0
    assert said.read_bytes()[:4] == (folder / f"financial.{format_}").read_bytes()[:4]


def test_a_new_report_takes_the_place_of_an_old_one_with_its_own_mode(stocked: Settings, tmp_path: Path) -> None:
    file = tmp_path / "report.csv"
    file.write_text("old")
    file.chmod(0o644)
    assert run(stocked, "report", "transactions", *BANK, "--output", file).exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert rows(file.read_bytes().decode()) == rows(run(stocked, "report", "transactions", *BANK).out)


@contextmanager
def full_disk(octets: int) -> Iterator[None]:
    """No file may become larger: the kernel refuses the write, as it does when the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("format_", ["csv", "xlsx", "pdf", "html"])
def test_a_write_that_fails_leaves_what_was_there(
    stocked: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    with_declines(stocked, 600)
    folder = tmp_path / "reports"
    folder.mkdir()
    old, new = folder / f"old.{format_}", folder / f"new.{format_}"
    old.write_text("the report of yesterday")
    command = ("report", "transactions", *BANK, "--output")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with full_disk(36 * 1024):  # SQLite's shared memory has 32 KiB
        for file in (old, new):
            ended = run(stocked, *command, file)
            assert (ended.exit_code, ended.out, ended.err.count("\n")) == (3, "", 1), ended.err
    gc.collect()  # what a library forgot to close has nothing to complain of
    assert old.read_text() == "the report of yesterday"
    assert left_in(folder) == {old.name}
    assert left_in(temporary) == set(), "rows that waited name payers, too"
    assert run(stocked, *command, new).exit_code == 0
    assert new.stat().st_size > 36 * 1024, "it has to be a report that did not fit"


def with_declines(settings: Settings, count: int) -> None:
    """Many declined payments: they move no money, so that nothing else has to be written."""
    with opened(settings) as store:
        with store.read() as connection:
            terminal = terminals.find_terminal(connection, "ATM-0001")
        assert terminal is not None
        facts = {
            "dealer_id": terminal.dealer_id,
            "terminal_id": terminal.id,
            "scheme": terminal.scheme,
            "disposition": "DECLINED",
            "result": "PAYER_NOT_FOUND",
            "decided_at": FIRST,
            "business_on": FIRST.date(),
            "payer_kind": "Msisdn",
            "amount_minor": 1_00,
            "currency": "RUB",
        }
        ids = [str(ULID()) for _ in range(count)]
        found = [{**facts, "id": id_, "exchange_id": id_, "reference": id_, "payer_value": id_[-10:]} for id_ in ids]
        store.write(lambda connection: connection.execute(payments.insert(), found) and None)


# What is refused


def test_what_there_is_not_is_refused(stocked: Settings, tmp_path: Path) -> None:
    file = tmp_path / "report.csv"
    for report in ("transactions", "financial"):
        command = ("report", report, *PERIOD, "--output", file, "--dealer")
        assert "there is no dealer NOBODY" in refused(stocked, *command, "NOBODY")
        for terminal in ("ATM-0101", "ATM-9999"):
            sentence = refused(stocked, *command, "DEMO-BANK", "--terminal", terminal)
            assert f"dealer DEMO-BANK has no terminal {terminal}" in sentence
    assert not file.exists()


NO_SENSE = (
    ("transactions", "--dealer", "DEMO-BANK", "--from", "2026-03-02", "--to", "2026-03-01"),
    ("financial", "--dealer", "DEMO-BANK", "--from", "2026-03-02", "--to", "2026-03-01"),
    ("trial-balance", "--from", "2026-03-02", "--to", "2026-03-01"),
    ("financial", "--dealer", "DEMO-BANK", "--from", "0001-01-01"),
    ("financial", "--dealer", "DEMO-BANK", "--from", "2026-02-30"),
    ("financial", "--dealer", "DEMO-BANK"),
    ("financial", *PERIOD),
    ("trial-balance", *PERIOD, "--time-zone", "Mars/Olympus"),
    ("transactions", *BANK, "--status", "paid"),
    ("transactions", *BANK, "--currency", "rub"),
    ("transactions", *BANK, "--language", "tlh_Klingon"),
    ("transactions", *BANK, "--format", "xlsx"),
    ("transactions", *BANK, "--format", "html"),
    ("transactions", *BANK, "--output", "report.docx"),
    ("transactions", *BANK, "--output", "report"),
)


def test_what_makes_no_sense_is_a_usage_error(
    stocked: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for options in NO_SENSE:
        ended = run(stocked, "report", *options)
        assert (ended.exit_code, ended.out) == (2, ""), options
    assert left_in(folder) == set()


def test_a_folder_that_is_not_there_is_a_failure_in_one_sentence(stocked: Settings, tmp_path: Path) -> None:
    ended = run(stocked, "report", "transactions", *BANK, "--output", tmp_path / "nowhere" / "report.csv")
    assert (ended.exit_code, ended.err.count("\n")) == (3, 1)


def test_books_that_disagree_are_a_failure_and_no_report(stocked: Settings, tmp_path: Path) -> None:
    """Somebody took money from a dealer without a payment: the report says so, and no day is closed over it."""
    file = tmp_path / "report.csv"
    file.write_text("old")

    def tamper(connection: object) -> None:
        write = connection.execute  # type: ignore[attr-defined]
        (receivable,) = write(
            ledger_accounts.select().where(ledger_accounts.c.owner == "DEMO-BANK", ledger_accounts.c.currency == "RUB")
        ).all()
        fact = {"kind": "PAYMENT", "occurred_at": FIRST, "business_on": date(2026, 3, 1)}
        (number,) = write(billing_transactions.insert(), fact).inserted_primary_key
        entry = {"billing_transaction_id": number, "ledger_account_id": receivable.id, "currency": "RUB"}
        write(postings.insert(), {**entry, "amount_minor": -1})

    with opened(stocked) as store:
        store.write(tamper)
    ended = run(stocked, "report", "financial", *BANK, "--output", file)
    assert ended.exit_code == 3
    assert "bankapi audit verify" in ended.err
    assert file.read_text() == "old"
    closed = run(stocked, "day", "close", "--dealer", "DEMO-BANK", "--through", "2026-03-01")
    assert closed.exit_code == 3
    assert "DEMO-BANK: payments and ledger disagree" in closed.err
    assert done(stocked, "day", "list", "--dealer", "DEMO-BANK")[0]["digest"] is None


# Days


def test_a_closed_day_is_listed_and_its_report_stays(stocked: Settings) -> None:
    first_day = ("--dealer", "DEMO-BANK", "--from", "2026-03-01")
    before = [run(stocked, "report", report, *first_day).out for report in ("transactions", "financial")]
    close = ("day", "close", "--dealer", "DEMO-BANK", "--through", "2026-03-02")
    assert done(stocked, *close) == [
        {"dealer": "DEMO-BANK", "business_on": "2026-03-01"},
        {"dealer": "DEMO-BANK", "business_on": "2026-03-02"},
    ]
    assert done(stocked, *close) == []
    assert [run(stocked, "report", report, *first_day).out for report in ("transactions", "financial")] == before
    listed = done(stocked, "day", "list", "--dealer", "DEMO-BANK")
    assert [each["business_on"] for each in listed] == ["2026-03-02", "2026-03-01"]
    assert all(len(each["digest"]) == 64 for each in listed)
    assert done(stocked, "day", "list", "--dealer", "DEMO-BANK", "--limit", "1") == listed[:1]
    assert done(stocked, "day", "list", "--dealer", "DEMO-SHOP") == []


def test_every_dealers_days_that_have_ended_are_closed(stocked: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the third of March, so that there are few."""
    monkeypatch.setattr(clock, "utc_now", lambda: FIRST + timedelta(days=2))
    closed = Counter(each["dealer"] for each in done(stocked, "day", "close"))
    assert closed == {"DEMO-BANK": 2, "DEMO-SHOP": 2}
    for dealer in closed:
        listed = done(stocked, "day", "list", "--dealer", dealer)
        assert [each["business_on"] for each in listed] == ["2026-03-02", "2026-03-01"]
    assert done(stocked, "day", "close") == []


def test_days_that_cannot_be_closed_are_refused(stocked: Settings) -> None:
    assert "there is no dealer NOBODY" in refused(stocked, "day", "close", "--dealer", "NOBODY")
    assert "there is no dealer NOBODY" in refused(stocked, "day", "list", "--dealer", "NOBODY")
    far = ("day", "close", "--dealer", "DEMO-BANK", "--through", "2999-01-01")
    assert "2999-01-01 has not begun" in refused(stocked, *far)
    assert run(stocked, "day", "close", "--through", "2026-03-01").exit_code == 2
    assert run(stocked, "day", "list", "--dealer", "DEMO-BANK", "--limit", "0").exit_code == 2
    assert done(stocked, "day", "list", "--dealer", "DEMO-BANK") == []
