"""What PostgreSQL does to a transaction, and what becomes of it: limits, lost races, lost connections."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError

from bankapi.settings import Isolation, StorageSettings
from bankapi.storage import engine
from bankapi.storage.engine import STORAGE_ERRORS, Store, sqlstate
from tests.postgres import Postgres

OpenStore = Callable[..., Store]


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> Iterator[str]:
    with postgres.database("template1") as url:
        store = Store(url)
        with store.engine.begin() as connection:
            connection.execute(text("CREATE TABLE counters (id int PRIMARY KEY, value int NOT NULL)"))
            connection.execute(text("INSERT INTO counters VALUES (1, 0), (2, 0)"))
        store.close()
        yield url


@pytest.fixture
def open_store(url: str) -> Iterator[OpenStore]:
    """Stores of one database with a table `counters` in it, whose rows 1 and 2 are zero."""
    opened: list[Store] = []

    def open_store(*, is_patient: bool = False, **terms: object) -> Store:
        opened.append(Store(url, StorageSettings(**terms), is_patient=is_patient))  # type: ignore[arg-type]
        return opened[-1]

    with open_store().engine.begin() as connection:
        connection.execute(text("UPDATE counters SET value = 0"))
    yield open_store
    for store in opened:
        store.close()


def add(connection: Connection, counter: int = 1) -> None:
    connection.execute(text("UPDATE counters SET value = value + 1 WHERE id = :id"), {"id": counter})


def value(store: Store, counter: int = 1) -> int:
    with store.read() as connection:
        query = text("SELECT value FROM counters WHERE id = :id")
        return int(connection.execute(query, {"id": counter}).scalar_one())


def setting(store: Store, name: str) -> str:
    return store.write(lambda connection: str(connection.exec_driver_sql(f"SHOW {name}").scalar_one()))


def test_a_request_has_limits_and_staff_has_none(open_store: OpenStore) -> None:
    hurried = open_store(statement_timeout_s=7, lock_timeout_s=1.5, idle_in_transaction_timeout_s=9)
    patient = open_store(is_patient=True)
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    assert [setting(hurried, name) for name in names] == ["7s", "1500ms", "9s"]
    assert [setting(patient, name) for name in names] == ["0", "0", "0"]


def test_isolation_is_what_the_settings_say(open_store: OpenStore) -> None:
    for isolation in Isolation:
        store = open_store(isolation=isolation)
        assert setting(store, "transaction_isolation") == isolation.replace("-", " ")
        with store.read() as connection:
            assert connection.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "repeatable read"
            assert connection.exec_driver_sql("SHOW transaction_read_only").scalar_one() == "on"


def test_waiting_for_a_row_ends(open_store: OpenStore) -> None:
    store = open_store(lock_timeout_s=0.1)
    with open_store().engine.begin() as holder:
        add(holder)
        with pytest.raises(DBAPIError) as refused:
            store.write(add)
    assert sqlstate(refused.value) == "55P03"
    store.write(add)
    assert value(store) == 2


def test_a_statement_that_takes_too_long_is_ended(open_store: OpenStore) -> None:
    store = open_store(statement_timeout_s=1.0)
    with pytest.raises(DBAPIError) as refused:
        store.write(lambda connection: connection.execute(text("SELECT pg_sleep(60)")))
    assert sqlstate(refused.value) == "57014"
    store.write(add)


def test_a_lost_race_is_run_again_counted_and_given_up_in_the_end(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "ATTEMPTS_MAX", 4)
    store = open_store()
    lose = "DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = 'serialization_failure'; END $$"
    runs: list[int] = []

    def work(connection: Connection, losses: int) -> None:
        runs.append(1)
        add(connection)
        if len(runs) <= losses:
            connection.exec_driver_sql(lose)

    store.write(lambda connection: work(connection, losses=3))
    assert (len(runs), store.races_lost, value(store)) == (4, 3, 1)
    with pytest.raises(DBAPIError) as lost:
        store.write(lambda connection: work(connection, losses=99))
    assert sqlstate(lost.value) == "40001"
    assert (len(runs), store.races_lost, value(store)) == (8, 6, 1)


def test_losing_for_long_ends_by_the_clock(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "AGAIN_FOR_S", 1.0)
    store = open_store()
    store.write(add)
    lose = "DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = 'deadlock_detected'; END $$"
    begun = time.monotonic()
    with pytest.raises(DBAPIError):
        store.write(lambda connection: connection.exec_driver_sql(lose))
    assert 1.0 <= time.monotonic() - begun < 5
    assert 0 < store.races_lost < engine.ATTEMPTS_MAX


def test_serializable_transactions_cannot_both_decide_on_what_the_other_changes(open_store: OpenStore) -> None:
    """Write skew: each adds to its own row when both together are zero. One must see the other's and not add."""
    store = open_store(isolation=Isolation.SERIALIZABLE)
    both_have_looked = threading.Barrier(2, timeout=5)
    tries: list[int] = []

    def work(connection: Connection, counter: int) -> None:
        total = connection.execute(text("SELECT sum(value) FROM counters")).scalar_one()
        tries.append(counter)
        if len(tries) <= 2:
            both_have_looked.wait()
        if total == 0:
            add(connection, counter)

    threads = [
        threading.Thread(target=store.write, args=(lambda connection, n=n: work(connection, n),)) for n in (1, 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value(store, 1) + value(store, 2) == 1
    assert store.races_lost >= 1


def test_connections_that_died_unused_are_not_noticed_by_anybody(open_store: OpenStore) -> None:
    store, other = open_store(pool_size=3), open_store()
    for _ in range(3):
        store.write(add)
    _end_all_but_ours(other)
    store.write(add)
    assert (value(store), store.races_lost) == (4, 0)


def test_a_transaction_whose_connection_died_before_the_commit_is_run_again(open_store: OpenStore) -> None:
    store, other = open_store(), open_store()
    runs: list[int] = []

    def work(connection: Connection) -> None:
        runs.append(1)
        add(connection)
        if len(runs) == 1:
            _end_all_but_ours(other)
        add(connection)

    store.write(work)
    assert (len(runs), value(store), store.races_lost) == (2, 2, 1)


def test_a_commit_that_got_no_answer_is_never_repeated(open_store: OpenStore) -> None:
    """It may have happened: the caller is told to ask with the same reference, which pays once."""
    store, other = open_store(), open_store()
    runs: list[int] = []
    armed = [True]

    @event.listens_for(store.engine, "commit")
    def _die(connection: Connection) -> None:
        if armed.pop() if armed else False:
            _end_all_but_ours(other)

    def work(connection: Connection) -> None:
        runs.append(1)
        add(connection)

    with pytest.raises(STORAGE_ERRORS):
        store.write(work)
    assert (len(runs), value(store)) == (1, 0)
    store.write(work)
    assert value(store) == 1


def test_when_all_connections_are_in_use_the_wait_is_short(open_store: OpenStore) -> None:
    store = open_store(pool_size=1, pool_timeout_s=0.1)
    with store.read(), store.read(), pytest.raises(STORAGE_ERRORS):
        store.write(add)
    store.write(add)


def _end_all_but_ours(other: Store) -> None:
    """As an administrator or a failing server does."""
    query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    with other.engine.connect() as connection:
        connection.exec_driver_sql(f"{query} AND datname = current_database()")
    deadline = time.monotonic() + 5
    alive = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
    with other.engine.connect() as connection:
        while connection.exec_driver_sql(alive).scalar_one() and time.monotonic() < deadline:
            connection.rollback()
            time.sleep(0.01)
