"""How far behind the work in the background is, and that Ping tells of it, on both databases."""

from datetime import timedelta

from ulid import ULID

from bankapi.evidence import sealing
from bankapi.monitoring import lags
from bankapi.monitoring.lateness import RECENT_MIN, Lateness
from bankapi.notices import queue
from bankapi.operations.call import Call
from bankapi.operations.ping import ServiceState, ping
from tests.unit.conftest import Books
from tests.unit.monitoring.keeping import keep_exchange, sign_checkpoint
from tests.unit.notices.paying import cancel, pay

LATE = timedelta(minutes=5)
A_MINUTE = timedelta(minutes=1)


def evidence_lag(books: Books) -> timedelta:
    with books.store.read() as connection:
        return lags.evidence_lag(connection, books.now)


def notice_lag(books: Books) -> timedelta:
    with books.store.read() as connection:
        return lags.notice_lag(connection, books.now)


def lateness(books: Books, *, has_notices: bool = True) -> Lateness:
    return Lateness(books.store, lambda: books.now, slow_s=0.5, late=LATE, has_notices=has_notices)


def state(books: Books, known: Lateness) -> ServiceState:
    def answered(connection: object) -> ServiceState:
        terminal = books.terminals["ATM-1"]
        call = Call(connection, terminal, books.now, "en", str(ULID()), None, known.is_late)  # type: ignore[arg-type]
        return ping(call).state

    return books.store.write(answered)


def test_an_exchange_lags_until_a_checkpoint_covers_it_sealed_or_not(books: Books) -> None:
    assert evidence_lag(books) == timedelta()
    keep_exchange(books, books.now)
    books.now += A_MINUTE
    assert evidence_lag(books) == A_MINUTE
    sealing.seal(books.store)
    assert evidence_lag(books) == A_MINUTE
    sign_checkpoint(books, books.now)
    assert evidence_lag(books) == timedelta()
    books.now += A_MINUTE
    assert evidence_lag(books) == timedelta(), "nothing waits, however old the newest checkpoint is"
    keep_exchange(books, books.now - timedelta(seconds=7))
    keep_exchange(books, books.now)
    assert evidence_lag(books) == timedelta(seconds=7), "the oldest counts"
    sealing.seal(books.store)
    assert evidence_lag(books) == timedelta(seconds=7)


def test_a_notice_lags_from_when_it_was_due_until_somebody_takes_it_up(books: Books) -> None:
    assert notice_lag(books) == timedelta()
    pay(books, "LAG-1")
    due_at = books.now
    books.now += A_MINUTE
    assert notice_lag(books) == books.now - due_at
    claimed = books.store.write(lambda c: queue.claim(c, books.now, timedelta(minutes=2), 3))
    assert claimed is not None
    assert notice_lag(books) == timedelta(), "its sender has it"
    books.now += timedelta(minutes=3)
    assert notice_lag(books) == A_MINUTE, "its sender was lost"


def test_ping_is_degraded_while_exchanges_wait_too_long_for_a_checkpoint(books: Books) -> None:
    keep_exchange(books, books.now)
    books.now += LATE
    assert state(books, lateness(books)) is ServiceState.AVAILABLE
    books.now += timedelta(seconds=1)
    assert state(books, lateness(books)) is ServiceState.DEGRADED
    sealing.seal(books.store)
    sign_checkpoint(books, books.now)
    assert state(books, lateness(books)) is ServiceState.AVAILABLE


def test_ping_is_degraded_while_notices_wait_too_long_where_notices_are_sent(books: Books) -> None:
    pay(books, "LAG-1")
    cancel(books, "LAG-1")
    books.now += LATE + A_MINUTE
    assert state(books, lateness(books)) is ServiceState.DEGRADED
    assert state(books, lateness(books, has_notices=False)) is ServiceState.AVAILABLE


def test_ping_is_degraded_when_half_of_the_recent_payments_were_slow(books: Books) -> None:
    known = lateness(books)
    for _ in range(RECENT_MIN - 1):
        known.paid(0.9)
    assert state(books, known) is ServiceState.AVAILABLE, "too few to tell"
    known.paid(0.9)
    assert state(books, known) is ServiceState.DEGRADED
    for _ in range(RECENT_MIN + 1):
        known.paid(0.01)
    assert state(books, known) is ServiceState.AVAILABLE
