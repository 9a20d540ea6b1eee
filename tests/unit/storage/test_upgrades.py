"""A database of the first release is upgraded with its data, however many do it and whatever stops them."""

import threading
import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from cryptography import x509
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from bankapi.billing import ledger
from bankapi.evidence import audit
from bankapi.evidence.audit import Terms
from bankapi.storage import schema, upgrades
from bankapi.storage.engine import Store
from bankapi.storage.upgrades import Revision
from bankapi.wsse.profile import PROFILE_V1
from tests.postgres import Postgres
from tests.storage import first_release
from tests.storage.portraits import portrait

OLD_PAYMENT = (
    "INSERT INTO payments (id, dealer_id, terminal_id, reference, disposition, result, decided_at, business_on,"
    " exchange_id) VALUES (:id, 2, 3, :id, 'VOIDED', 'REFERENCE_VOIDED', '2026-11-23 22:30:00.000000+00:00',"
    " '2026-11-24', 'E')"
)
OLD_CANCELLATION = (
    "INSERT INTO cancellations (id, payment_id, terminal_id, reason, cancelled_at, exchange_id)"
    " SELECT :id, id, 3, 'OTHER', '2026-11-23 22:30:00.000000+00:00', 'E' FROM payments WHERE reference = 'OLD-9'"
)
OLD_BOOKING = (
    "INSERT INTO billing_transactions (kind, occurred_at, business_on, payment_id)"
    " SELECT 'CANCELLATION', '2026-11-23 22:30:00.000000+00:00', '2026-11-24', id"
    " FROM payments WHERE reference = 'OLD-9'"
)


@pytest.fixture
def old(old_url: str) -> Iterator[Store]:
    store = Store(old_url, is_patient=True)
    yield store
    store.close()


def rows(store: Store, query: str) -> list[Any]:
    with store.read() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def audited(store: Store) -> audit.Report:
    authorities = x509.load_pem_x509_certificates(first_release.CA.read_bytes())
    terms = Terms(authorities=authorities, profile=PROFILE_V1, now=first_release.WRITTEN_AT, is_strict=True)
    return audit.verify(store, terms)


def revision(store: Store) -> str | None:
    with store.read() as connection:
        return schema.revision(connection)


def test_what_was_paid_is_all_there_and_verifies_before_and_after_the_contraction(old: Store) -> None:
    paid = "SELECT id, reference, disposition, amount_minor, credited_minor FROM payments ORDER BY id"
    before = rows(old, paid)
    for contract, expected in ((False, min(schema.ACCEPTED)), (True, schema.NEWEST)):
        upgrades.upgrade(old, contract=contract)
        assert revision(old) == expected
        schema.require_accepted(old)
        assert rows(old, paid) == before
        report = audited(old)
        assert report.findings == ()
        assert (report.exchanges, report.payments, report.cancellations, report.unsealed) == (16, 9, 2, 0)
        with old.read() as connection:
            assert ledger.trial_balance(connection) == {"EUR": 0, "RUB": 0}
            assert ledger.balances_that_differ(connection) == []


def test_new_columns_say_what_was_booked(old: Store) -> None:
    upgrades.upgrade(old)
    assert dict(rows(old, "SELECT reference, scheme FROM payments")) == first_release.SCHEMES
    booked = rows(
        old,
        "SELECT p.dealer_id, t.business_on FROM payments p JOIN billing_transactions t ON t.payment_id = p.id"
        " WHERE t.kind = 'CANCELLATION' ORDER BY p.id",
    )
    assert rows(old, "SELECT dealer_id, business_on FROM cancellations ORDER BY payment_id") == booked


def test_the_previous_version_goes_on_writing_and_is_filled_in_for(old: Store) -> None:
    """Its statements name none of the new columns: between any two revisions, and after them."""

    def write(name: str) -> None:
        old.write(lambda connection: connection.execute(text(OLD_PAYMENT), {"id": name}))

    for number, step in enumerate(upgrades.pending(old)):
        if step.stage == upgrades.CONTRACT:
            break
        write(f"BEFORE-{number}")
        step.prepare(old)
        assert step.change(old)
        write(f"AFTER-{number}")

    def cancel(connection: Connection) -> None:
        connection.execute(text(OLD_CANCELLATION), {"id": "C"})
        connection.execute(text(OLD_BOOKING))

    old.write(cancel)
    schemes = dict(rows(old, "SELECT reference, scheme FROM payments WHERE disposition = 'VOIDED'"))
    assert schemes == dict.fromkeys(schemes, "CREDIT_ADJUSTMENT")
    assert {f"{when}-{number}" for when in ("BEFORE", "AFTER") for number in range(3)} < set(schemes)
    ((dealer, day),) = rows(old, "SELECT dealer_id, business_on FROM cancellations WHERE id = 'C'")
    assert (dealer, str(day)) == (2, str(date(2026, 11, 24))), "half past one in the dealer's Moscow"
    upgrades.upgrade(old, contract=True)
    with pytest.raises(DBAPIError):
        write("TOO-LATE")


def test_facts_stay_facts(old: Store) -> None:
    changes = (
        "UPDATE payments SET scheme = 'DEBIT_ADJUSTMENT'",
        "UPDATE payments SET scheme = NULL",
        "UPDATE payments SET amount_minor = 1 WHERE reference = 'OLD-1'",
        "UPDATE cancellations SET business_on = '2020-01-01'",
        "UPDATE exchanges SET outcome = 'OK'",
        "DELETE FROM cancellations",
        "DELETE FROM payments WHERE reference = 'OLD-4'",
    )
    for contract in (False, True):
        upgrades.upgrade(old, contract=contract)
        for change in changes:
            with pytest.raises(DBAPIError, match="append-only"):
                old.write(lambda connection, change=change: connection.execute(text(change)))


def test_a_closed_day_takes_no_event_after_the_upgrade(old: Store) -> None:
    upgrades.upgrade(old)
    old.write(lambda connection: connection.execute(text("UPDATE dealers SET closed_through_on = '2026-11-24'")))
    with pytest.raises(DBAPIError, match="the business day is closed"):
        old.change_schema(lambda connection: connection.execute(text(OLD_PAYMENT), {"id": "LATE"}))


@pytest.mark.slow
def test_of_many_that_upgrade_at_once_one_does_each_revision(old: Store, old_url: str) -> None:
    stores = [Store(old_url, is_patient=True) for _ in range(6)]
    together = threading.Barrier(len(stores))
    done: list[str] = []

    def work(store: Store) -> None:
        together.wait()
        done.extend(each.name for each in upgrades.upgrade(store, contract=True))

    threads = [threading.Thread(target=work, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert sorted(done) == [each.name for each in upgrades.revisions()][1:]
    assert audited(old).findings == ()


def test_a_revision_that_fails_has_changed_nothing(old: Store) -> None:
    """Whatever of it was done when it failed: the schema is the one before, triggers included, and so are the rows."""

    class Stopped(Exception):
        pass

    for step in upgrades.pending(old):
        step.prepare(old)
        with old.read() as connection:
            before = portrait(connection), schema.revision(connection)
        with pytest.raises(Stopped):
            old.change_schema(lambda found, step=step: _run_and_stop(found, step, Stopped()), makes_anew=True)
        with old.read() as connection:
            assert (portrait(connection), schema.revision(connection)) == before
        assert step.change(old)
    assert audited(old).findings == ()


def _run_and_stop(connection: Connection, step: Revision, stopped: Exception) -> None:
    assert step.run(connection)
    raise stopped


def test_an_upgrade_that_was_stopped_goes_on(old: Store) -> None:
    way = upgrades.pending(old)
    at = [step.stage for step in way].index("online")
    for step in way[:at]:
        assert step.change(old)
    way[at].prepare(old)
    way[at].prepare(old)
    assert revision(old) == way[at].follows
    assert [each.name for each in upgrades.upgrade(old)] == [way[at].name]
    assert upgrades.upgrade(old) == []
    assert audited(old).findings == ()


@pytest.mark.slow
def test_a_table_that_is_read_for_long_holds_up_the_upgrade_and_nobody_else(
    postgres: Postgres, old_template: str
) -> None:
    """PostgreSQL queues whoever comes after one that waits for a table: so nobody waits for it for long."""
    with postgres.database(old_template) as url:
        upgrading, reading, writing = Store(url, is_patient=True), Store(url), Store(url)
        done: list[str] = []
        thread = threading.Thread(target=lambda: done.extend(each.name for each in upgrades.upgrade(upgrading)))
        with reading.read() as connection:
            connection.execute(text("SELECT count(*) FROM payments")).scalar_one()
            thread.start()
            begun, longest, number = time.monotonic(), 0.0, 0
            while time.monotonic() < begun + 6:
                number += 1
                before = time.monotonic()
                writing.write(lambda found, n=number: found.execute(text(OLD_PAYMENT), {"id": f"W{n}"}))
                longest = max(longest, time.monotonic() - before)
                time.sleep(0.02)
            assert done == []
        thread.join(timeout=20)
        assert len(done) == len(list(upgrades.revisions())) - 2
        print(f"{number} writes, the longest took {longest:.2f} s")
        assert longest < 4, "it gives way long before the reader does"
        for store in (upgrading, reading, writing):
            store.close()
