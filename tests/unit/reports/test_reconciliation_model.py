"""Random histories and registers with seeded differences: each is found, as what it is, and nothing else is.

What a reference should come to is worked out here from its history in plain Python, by the rules as they are written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bankapi.reports import expected, reconciliation
from bankapi.reports.registers import RegisterRow, RowStatus
from bankapi.storage import schema
from bankapi.storage.engine import Store
from tests.postgres import Postgres
from tests.unit.conftest import Books, with_accounts
from tests.unit.reports.registering import accepted, cancel, cancel_always, decline, found, on, pay, row

REGISTERED, CANCELLED = RowStatus.REGISTERED, RowStatus.CANCELLED
EXAMPLES = {"sqlite": 25, "postgresql": 10}


@dataclass(frozen=True)
class Past:
    """What became of one reference here: days from -1 to 1, seen from the day of the register."""

    disposition: str
    decided: int
    cancelled: int | None = None

    def kind(self, said: RowStatus, amount: str) -> str | None:
        """What a single row of the day comes to."""
        if self.disposition != "VOIDED" and amount != "100":
            return "AMOUNT_DIFFERS"
        if self.disposition != "REGISTERED":
            return None if said is CANCELLED else "STATUS_DIFFERS"
        is_cancelled = self.cancelled is not None and self.cancelled <= 0
        if is_cancelled != (said is CANCELLED):
            return "STATUS_DIFFERS"
        return None if self.is_expected else "OTHER_DAY"

    @property
    def is_expected(self) -> bool:
        return self.disposition == "REGISTERED" and 0 in (self.decided, self.cancelled)


def _pasts() -> st.SearchStrategy[Past | None]:
    days = st.integers(-1, 1)
    registered = st.builds(
        lambda first, second: Past("REGISTERED", min(first, second), max(first, second)), days, days
    ) | st.builds(Past, st.just("REGISTERED"), days)
    return st.none() | registered | registered | st.builds(Past, st.sampled_from(["DECLINED", "VOIDED"]), days)


_SAID = st.lists(st.tuples(st.sampled_from(RowStatus), st.sampled_from(["100", "100", "99.99"])), max_size=3)
"""The rows of one reference; more than one is a mistake of the dealer's."""
_REFERENCES = st.lists(st.tuples(_pasts(), _SAID), min_size=1, max_size=12)


def _books(url: str) -> Iterator[Books]:
    books = Books(Store(url))
    with_accounts(books)
    cancel_always(books)
    yield books
    books.assert_sound()
    books.store.close()


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    file: Path = tmp_path_factory.mktemp("model") / "books.db"
    store = Store(f"sqlite:///{file}")
    schema.create(store)
    store.close()
    yield from _books(f"sqlite:///{file}")


@pytest.fixture(scope="module")
def on_postgresql(postgres: Postgres) -> Iterator[Books]:
    with postgres.database() as url:
        yield from _books(url)


_NUMBERS = count()


def _happen(books: Books, past: Past, reference: str, day: int) -> None:
    match past.disposition:
        case "REGISTERED":
            pay(books, reference, day=day + past.decided)
            if past.cancelled is not None:
                cancel(books, reference, day=day + past.cancelled)
        case "DECLINED":
            decline(books, reference, day=day + past.decided)
        case _:
            cancel(books, reference, day=day + past.decided)


def _found_as_it_is(books: Books, drawn: list[tuple[Past | None, list[tuple[RowStatus, str]]]]) -> None:
    number = next(_NUMBERS)
    day = 10 * number  # every example has days of its own
    rows: list[RegisterRow] = []
    per_row: list[tuple[int, str, str]] = []
    missing: set[tuple[str, str]] = set()
    for place, (past, said) in enumerate(drawn):
        reference = f"P-{number}-{place}"
        if past is not None:
            _happen(books, past, reference, day)
            if past.is_expected and not said:
                missing.add(("MISSING_THERE", reference))
        for occurrence, (status, amount) in enumerate(said):
            rows.append(row(reference, status, amount))
            kind = "DUPLICATE" if occurrence else "MISSING_HERE" if past is None else past.kind(status, amount)
            if kind is not None:
                per_row.append((len(rows), kind, reference))
    register_id = accepted(books, rows, reference=f"R-{number}", day=day)
    result = reconciliation.reconcile(books.store, register_id, books.now)
    differences = found(books, result)
    assert [(each.row_number, each.kind, each.reference) for each in differences if each.row_number] == per_row
    assert {(each.kind, each.reference) for each in differences if not each.row_number} == missing
    assert len(differences) == len(per_row) + len(missing)
    assert result.matched == len(rows) - len(per_row)
    with books.store.read() as connection:
        ours = list(expected.our_register(connection, books.terminals["ATM-1"].dealer_id, on(day)))
    register_id = accepted(books, ours, reference=f"OURS-{number}", day=day)
    again = reconciliation.reconcile(books.store, register_id, books.now)
    assert (again.matched, again.difference_count) == (len(ours), 0)


_COMMON = {"suppress_health_check": list(HealthCheck)}


@settings(max_examples=EXAMPLES["sqlite"], **_COMMON)  # type: ignore[arg-type]
@given(drawn=_REFERENCES)
def test_differences_are_found_as_what_they_are_on_sqlite(
    on_sqlite: Books, drawn: list[tuple[Past | None, list[tuple[RowStatus, str]]]]
) -> None:
    _found_as_it_is(on_sqlite, drawn)


@settings(max_examples=EXAMPLES["postgresql"], **_COMMON)  # type: ignore[arg-type]
@given(drawn=_REFERENCES)
def test_differences_are_found_as_what_they_are_on_postgresql(
    on_postgresql: Books, drawn: list[tuple[Past | None, list[tuple[RowStatus, str]]]]
) -> None:
    _found_as_it_is(on_postgresql, drawn)
