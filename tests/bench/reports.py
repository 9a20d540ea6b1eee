"""What reports cost by their rows: the real command in a process of its own, and the most memory it ever had.

Memory must not grow with the rows: the ratios of 10^6 to 10^5 say whether it does. Seconds include the start of the
process, which is told apart by the smallest report.
"""

import sqlite3
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from ulid import ULID

from bankapi import clock, settings
from bankapi.billing import customers, ledger, terminals
from bankapi.billing.customers import Account
from bankapi.billing.ledger import LedgerAccountKind
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, PayerKind
from bankapi.billing.payments import fingerprint
from bankapi.billing.terminals import Terminal
from bankapi.cli import home as homes
from bankapi.reports.render import PDF_ROWS_MAX
from bankapi.settings import Settings
from bankapi.storage.engine import Store
from tests.bench.growth import insert

SIZES = (10**5, 10**6)
DAYS = 30
DEALER = "DEMO-BANK"
TERMINALS = 8
FIRST_ON = date(2026, 3, 1)
_CUSTOMERS = 15  # of the demo home's twenty: those that are active
_EURO_EACH = 5
_DECLINED_EACH = 100
_CANCELLED_EACH = 50
"""Every other one of them on the same day, the others first thing the next day."""
_RATE = 90
_MINOR = 100_00
_BATCH = 20_000
_WITH_PEAK = (
    "import atexit, sys;"
    "peak = lambda: [line for line in open('/proc/self/status') if line.startswith('VmHWM')][0].split()[1];"
    "atexit.register(lambda: print(peak(), file=sys.stderr));"
    "from bankapi.cli.main import main; main(sys.argv[1:])"
)
"""The console script, which says in the end how much memory it had at most (Linux, in KiB)."""


@dataclass(frozen=True)
class Cost:
    """What one command took."""

    seconds: float
    peak_kib: int
    out: str


def run(folder: Path, sizes: Sequence[int] = SIZES, days: int = DAYS) -> None:
    """Print the costs of each format at each size, then those of days and registers."""
    small = _stocked(folder / "small", PDF_ROWS_MAX * 97 // 100, days)
    period = ("--dealer", DEALER, "--from", FIRST_ON, "--to", FIRST_ON + timedelta(days=days - 1))
    nothing = _bankapi(
        small, "report", "transactions", "--dealer", DEALER, "--from", "2026-01-01", "--to", "2026-01-02"
    )
    print(f"a report without rows: {nothing.seconds:.2f} s, {nothing.peak_kib // 1024} MB at most")
    print(f"  {'transactions':<16}{'rows':>11}{'s':>9}{'rows/s':>10}{'MB':>7}")
    _print(_report(small, folder, "transactions", "pdf", period), "pdf", _rows(small))
    stocked = [_stocked(folder / str(size), size, days) for size in sizes]
    peaks: dict[str, list[int]] = {}
    for format_ in ("csv", "xlsx", "html"):
        for own in stocked:
            cost = _report(own, folder, "transactions", format_, period)
            _print(cost, format_, _rows(own))
            peaks.setdefault(format_, []).append(cost.peak_kib)
    for format_, (few, *_, many) in peaks.items():
        print(f"  {format_}: {many / few:.2f} times the memory for {sizes[-1] // sizes[0]} times the rows")
    for own, size in zip(stocked, sizes, strict=True):
        _financial(own, folder, size, period)
    _reconcile(_stocked(folder / "one-day", sizes[0], 1), folder)


def _financial(own: Settings, folder: Path, size: int, period: tuple[object, ...]) -> None:
    """With open days, closing them, and with closed days: both reports must be the same."""
    print(f"  financial, {size:,} payments")
    written = []
    for state in ("open days", "closed days"):
        _print(_report(own, folder, "financial", "csv", period), state)
        written.append((folder / "report.csv").read_bytes())
        if state == "open days":
            _print(_bankapi(own, "day", "close", "--dealer", DEALER, "--through", period[-1]), "closing them")
    assert written[0] == written[1]


def _reconcile(own: Settings, folder: Path) -> None:
    """Our own register of a day, sent back as the bank's with one row of a thousand changed."""
    file = folder / "register.csv"
    export = _bankapi(own, "register", "export", "--dealer", DEALER, "--on", FIRST_ON, "--output", file)
    lines = file.read_text().splitlines(keepends=True)
    changed = [line.replace("REGISTERED", "CANCELLED") if n % 1000 == 500 else line for n, line in enumerate(lines)]
    file.write_text("".join(changed))
    rows = len(lines) - 2
    print(f"  {'register':<16}{'rows':>11}{'s':>9}{'rows/s':>10}{'MB':>7}")
    _print(export, "export", rows)
    _print(
        _bankapi(own, "reconcile", file, "--dealer", DEALER, "--on", FIRST_ON, "--limit", 0, ends_with=1),
        "reconcile",
        rows,
    )


def _report(own: Settings, folder: Path, report: str, format_: str, period: tuple[object, ...]) -> Cost:
    return _bankapi(own, "report", report, *period, "--output", folder / f"report.{format_}")


def _bankapi(own: Settings, *arguments: object, ends_with: int = 0) -> Cost:
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _WITH_PEAK, *map(str, arguments)],
        env={"BANKAPI_HOME": str(own.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - begun
    assert done.returncode == ends_with, done.stderr
    return Cost(seconds, int(done.stderr.splitlines()[-1]), done.stdout)


def _print(cost: Cost, name: str, rows: int | None = None) -> None:
    counted = " " * 11 if rows is None else f"{rows:11,}"
    speed = " " * 10 if rows is None else f"{rows / cost.seconds:10,.0f}"
    print(f"  {name:<16}{counted}{cost.seconds:9.2f}{speed}{cost.peak_kib // 1024:7}", flush=True)


def _rows(own: Settings) -> int:
    """Events of the dealer: payments, whatever became of them, and cancellations."""
    with closing(sqlite3.connect(own.home / "bankapi.db")) as database:
        question = "SELECT (SELECT count(*) FROM payments) + (SELECT count(*) FROM cancellations)"
        return int(database.execute(question).fetchone()[0])


# Stocking


@dataclass
class _Books:
    """Where the rows of a database refer to, and the numbers they are given."""

    terminals: Sequence[Terminal]
    accounts: Sequence[Account]
    sides: dict[str, tuple[int, int]]
    """Currency → the dealer's ledger account and that of the conversion."""
    balances: list[int] = field(default_factory=list)
    transaction: int = 0
    posting: int = 0


def _stocked(home: Path, size: int, days: int) -> Settings:
    """A demo home with so many payments more, as registering and cancelling them would have left it."""
    own = settings.load(home, {})
    homes.create(own, demo=True, now=clock.utc_now())
    store = Store(own.database_url)
    books = store.write(_opened)
    with closing(sqlite3.connect(home / "bankapi.db")) as database:
        database.execute("PRAGMA synchronous=OFF")
        books.transaction = database.execute("SELECT max(id) FROM billing_transactions").fetchone()[0]
        books.posting = database.execute("SELECT max(id) FROM postings").fetchone()[0]
        rows = _rows_of(books, size, days)
        while batch := list(islice(rows, _BATCH)):
            for table in ("payments", "cancellations", "billing_transactions", "postings"):
                if found := [row for name, row in batch if name == table]:
                    insert(database, table, found)
            database.commit()
        database.executemany(
            "UPDATE balances SET balance_minor = ? WHERE ledger_account_id = ?",
            [(balance, each.ledger_account.id) for balance, each in zip(books.balances, books.accounts, strict=True)],
        )
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with store.read() as connection:
        assert set(ledger.trial_balance(connection).values()) == {0}
        assert ledger.balances_that_differ(connection) == []
    store.close()
    return own


def _opened(connection: Any) -> _Books:
    first = terminals.find_terminal(connection, "ATM-0001")
    assert first is not None
    names = [f"BENCH-{number}" for number in range(TERMINALS)]
    for name in names:
        terminals.add_terminal(connection, dealer_id=first.dealer_id, name=name)
    found = [terminals.find_terminal(connection, name) for name in names]
    accounts = [customers.find_account(connection, _payer(number)) for number in range(_CUSTOMERS)]
    sides = {
        currency: (
            ledger.open_account(connection, LedgerAccountKind.DEALER_RECEIVABLE, DEALER, currency).id,
            ledger.open_account(connection, LedgerAccountKind.CONVERSION, "", currency).id,
        )
        for currency in ("RUB", "EUR")
    }
    books = _Books([each for each in found if each], [each for each in accounts if each], sides)
    books.balances = [each.balance.minor for each in books.accounts]
    return books


def _rows_of(books: _Books, size: int, days: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Table and row, in the order in which they would have been written."""
    late: deque[tuple[dict[str, Any], int]] = deque()
    apart = timedelta(hours=20) * days / size
    day_before = FIRST_ON
    for n in range(size):
        # From three in the morning in Moscow to eleven in the evening.
        day, within = divmod(n * apart, timedelta(hours=20))
        at = datetime(FIRST_ON.year, FIRST_ON.month, FIRST_ON.day, tzinfo=UTC) + timedelta(days=day) + within
        while day_before != at.date() and late:
            yield from _cancellation(books, *late.popleft(), at)
        day_before = at.date()
        payment = _payment(books, n, at)
        yield "payments", payment
        if payment["disposition"] == "DECLINED":
            continue
        yield from _posted(books, payment, at)
        booked = books.transaction
        if n % _CANCELLED_EACH == 1:
            if n % (2 * _CANCELLED_EACH) == 1:
                late.append((payment, booked))
            else:
                yield from _cancellation(books, payment, booked, at)


def _payment(books: _Books, n: int, at: datetime) -> dict[str, Any]:
    which = n % len(books.accounts)
    payer = _payer(which)
    is_declined = n % _DECLINED_EACH == 0
    currency = "EUR" if n % _EURO_EACH == 0 else "RUB"
    minor = _MINOR + n % 10_000
    terminal = books.terminals[n * 7 % len(books.terminals)]
    payment_id = str(ULID.from_datetime(at))
    return {
        "id": payment_id,
        "dealer_id": terminal.dealer_id,
        "terminal_id": terminal.id,
        "scheme": terminal.scheme,
        "reference": f"B-{n:08d}",
        "disposition": "DECLINED" if is_declined else "REGISTERED",
        "result": "LIMIT_EXCEEDED" if is_declined else "OK",
        "decided_at": _instant(at),
        "business_on": str(at.date()),
        "exchange_id": payment_id,
        "fingerprint": fingerprint(payer, Money(minor, currency)),
        "payer_kind": payer.kind,
        "payer_value": payer.value,
        "account_id": books.accounts[which].id,
        "amount_minor": minor,
        "currency": currency,
        "credited_minor": None if is_declined else minor * (_RATE if currency == "EUR" else 1),
        "credited_currency": None if is_declined else "RUB",
        "rate": str(_RATE) if currency == "EUR" and not is_declined else None,
        "fee_minor": 50,
        "fee_currency": currency,
        "paid_at": _instant(at),
        "rrn": f"{n:012d}",
    }


def _cancellation(
    books: _Books, payment: dict[str, Any], booked: int, at: datetime
) -> Iterator[tuple[str, dict[str, Any]]]:
    number = str(ULID.from_datetime(at))
    kept = {name: payment[name] for name in ("dealer_id", "terminal_id")}
    facts = {"payment_id": payment["id"], "reason": "TIMEOUT", "cancelled_at": _instant(at), "exchange_id": number}
    yield "cancellations", {**kept, **facts, "id": number, "business_on": str(at.date())}
    yield from _posted(books, payment, at, reverses=booked)


def _posted(
    books: _Books, payment: dict[str, Any], at: datetime, reverses: int | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """A billing transaction with its postings, from the dealer's side to the customer's or back."""
    books.transaction += 1
    yield (
        "billing_transactions",
        {
            "id": books.transaction,
            "kind": "PAYMENT" if reverses is None else "CANCELLATION",
            "occurred_at": _instant(at),
            "business_on": str(at.date()),
            "payment_id": payment["id"],
            "reverses_id": reverses,
        },
    )
    sign = 1 if reverses is None else -1
    paid, credited = sign * payment["amount_minor"], sign * payment["credited_minor"]
    currency = payment["currency"]
    which = next(n for n, each in enumerate(books.accounts) if each.id == payment["account_id"])
    books.balances[which] += credited
    entries = [(books.sides[currency][0], -paid, currency, None)]
    if currency != "RUB":
        entries += [(books.sides[currency][1], paid, currency, None), (books.sides["RUB"][1], -credited, "RUB", None)]
    entries.append((books.accounts[which].ledger_account.id, credited, "RUB", books.balances[which]))
    for account, minor, of, balance in entries:
        books.posting += 1
        yield (
            "postings",
            {
                "id": books.posting,
                "billing_transaction_id": books.transaction,
                "ledger_account_id": account,
                "amount_minor": minor,
                "currency": of,
                "balance_after_minor": balance,
            },
        )


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")


def _payer(number: int) -> PayerKey:
    return PayerKey(PayerKind.MSISDN, f"791600000{number + 1:02d}")
