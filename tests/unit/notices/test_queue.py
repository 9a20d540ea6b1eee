"""The outbox and its queue, on SQLite and PostgreSQL."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import Connection, event, update

from bankapi.billing.payers import PayerKey, PayerKind
from bankapi.billing.tables import customers, subscriptions
from bankapi.notices import preferences, queue
from bankapi.notices.outbox import Event, Status
from bankapi.notices.queue import Attempt, Claimed, Verdict
from bankapi.notices.receipts import PartState, Receipt
from bankapi.storage.engine import Store
from tests.unit.conftest import Books, by_phone
from tests.unit.notices.paying import cancel, pay, pay_in_vain, rows, verdicts

LEASE = timedelta(minutes=5)
MAX = 3


def claim(books: Books) -> Claimed | None:
    return books.store.write(lambda c: queue.claim(c, books.now, LEASE, MAX))


def claimed(books: Books) -> Claimed:
    found = claim(books)
    assert found is not None
    return found


def record(books: Books, attempt: Attempt) -> bool:
    return books.store.write(lambda c: queue.record(c, attempt, books.now, MAX))


def accept(books: Books, *message_ids: str) -> None:
    taken = tuple(enumerate(message_ids, start=1))
    assert record(books, Attempt(claimed(books), Verdict.ACCEPTED, "ok", "first", "text", len(taken), taken))


def receive(books: Books, message_id: str, state: PartState = PartState.DELIVERED) -> None:
    books.store.write(lambda c: queue.keep_receipt(c, "first", Receipt(message_id, state), books.now))
    books.store.write(lambda c: queue.settle(c, books.now))


def statements_of(books: Books, work: object) -> list[str]:
    seen: list[str] = []

    def see(_: object, __: object, statement: str, *___: object) -> None:
        seen.append(statement)

    event.listen(books.store.engine, "before_cursor_execute", see)
    try:
        work()  # type: ignore[operator]
    finally:
        event.remove(books.store.engine, "before_cursor_execute", see)
    return seen


def test_a_notice_costs_a_payment_one_statement_and_nothing_where_no_sms_are_sent(books: Books) -> None:
    pay(books, "WARM-UP")
    without = statements_of(books, lambda: pay(books, "N-1", outbox=None))
    with_one = statements_of(books, lambda: pay(books, "N-2"))
    assert not [each for each in without if "notice" in each]
    assert [each.split()[0] for each in with_one if "notice" in each] == ["INSERT"]
    assert len(with_one) == len(without) + 1


def test_a_payment_is_announced_once_however_often_it_is_repeated_and_a_declined_one_never(books: Books) -> None:
    pay(books, "P-1")
    assert pay(books, "P-1").replayed
    pay(books, "P-2", by_phone(3))
    cancel(books, "P-1")
    cancel(books, "P-1")
    cancel(books, "P-NEVER")
    assert [(row.event, row.msisdn, row.status) for row in rows(books)] == [
        (Event.PAYMENT_REGISTERED, by_phone(1).value, Status.PENDING),
        (Event.PAYMENT_CANCELLED, by_phone(1).value, Status.PENDING),
    ]


def test_an_undone_payment_leaves_no_notice(books: Books) -> None:
    pay_in_vain(books, "P")
    assert rows(books) == []


def test_the_number_that_was_named_is_told_else_the_first_of_the_account(books: Books) -> None:
    def add(connection: Connection) -> None:
        account = connection.execute(subscriptions.select().where(subscriptions.c.msisdn == by_phone(1).value)).one()
        connection.execute(subscriptions.insert(), {"account_id": account.account_id, "msisdn": "79169999999"})

    books.store.write(add)
    pay(books, "A", PayerKey(PayerKind.MSISDN, "79169999999"))
    pay(books, "B", PayerKey(PayerKind.ACCOUNT_NUMBER, "A1"))
    pay(books, "C", PayerKey(PayerKind.CUSTOMER_NUMBER, "C1"))
    cancel(books, "A")
    assert [row.msisdn[-4:] for row in rows(books)] == ["9999", "0001", "0001", "9999"]


def test_the_number_of_a_service_that_has_ended_is_told_nothing(books: Books) -> None:
    assert pay(books, "DEBT", PayerKey(PayerKind.ACCOUNT_NUMBER, "A4")).result == "OK"
    assert rows(books) == []


def test_the_language_is_the_numbers_own_then_the_customers_then_the_default(books: Books) -> None:
    pay(books, "A")
    books.store.write(lambda c: c.execute(update(customers).values(language="ru")))
    pay(books, "B")
    books.store.write(lambda c: preferences.set_language(c, by_phone(1).value, "kk"))
    pay(books, "C")
    assert [row.language for row in rows(books)] == ["en", "ru", "kk"]


def test_each_notice_is_claimed_once_by_many_senders(books: Books, database_url: str) -> None:
    for number in range(40):
        pay(books, f"P-{number}")

    def take(_: int) -> list[str]:
        own = Store(database_url)
        try:
            found = []
            while (one := own.write(lambda c: queue.claim(c, books.now, LEASE, MAX))) is not None:
                found.append(one.id)
            return found
        finally:
            own.close()

    with ThreadPoolExecutor(6) as threads:
        taken = Counter(each for part in threads.map(take, range(6)) for each in part)
    # Losers of a race may go home before the end, but nobody takes what another one has.
    while (one := claim(books)) is not None:
        taken[one.id] += 1
    assert len(taken) == 40
    assert set(taken.values()) == {1}


def test_a_lost_sender_is_counted_and_bounds_the_copies(books: Books) -> None:
    pay(books, "P")
    for lost in range(MAX):
        one = claimed(books)
        assert one.id == rows(books)[0].id
        assert rows(books)[0].uncertain == lost
        assert claim(books) is None
        books.now += LEASE
    assert claim(books) is None
    assert (rows(books)[0].status, rows(books)[0].uncertain) == (Status.FAILED, MAX)
    assert verdicts(books) == ["UNCERTAIN"] * MAX
    with books.store.read() as connection:
        assert queue.count(connection)["possible_duplicates"] == MAX


def test_a_sender_that_comes_back_too_late_changes_nothing_but_is_written_down(books: Books) -> None:
    pay(books, "P")
    late = claimed(books)
    books.now += LEASE
    again = claimed(books)
    assert not record(books, Attempt(late, Verdict.ACCEPTED, "ok", "first", "text", 1, ((1, "m1"),)))
    assert rows(books)[0].status == Status.SENDING
    assert record(books, Attempt(again, Verdict.ACCEPTED, "ok", "first", "text", 1, ((1, "m2"),)))
    assert verdicts(books) == ["UNCERTAIN", "ACCEPTED", "ACCEPTED"]


def test_waiting_is_not_failing_and_ends(books: Books) -> None:
    pay(books, "P")
    later = timedelta(minutes=10)
    for verdict in (Verdict.THROTTLED, Verdict.REFUSED):
        assert record(books, Attempt(claimed(books), verdict, "0x", "first", "text", 1, (), later))
        assert claim(books) is None
        books.now += later
    assert (rows(books)[0].failures, rows(books)[0].status) == (1, Status.PENDING)
    books.now += timedelta(days=4)
    books.store.write(lambda c: queue.expire(c, books.now))
    assert (rows(books)[0].status, claim(books)) == (Status.EXPIRED, None)


def test_parts_that_were_taken_are_not_sent_again(books: Books) -> None:
    pay(books, "P")
    assert record(books, Attempt(claimed(books), Verdict.REFUSED, "0x", "first", "text", 2, ((1, "m1"),)))
    again = claimed(books)
    assert (again.parts_taken, again.text) == ({1}, "text")
    receive(books, "m1")
    assert rows(books)[0].status == Status.SENDING
    assert record(books, Attempt(again, Verdict.ACCEPTED, "ok", "first", "text", 2, ((2, "m2"),)))
    assert rows(books)[0].status == Status.SENT
    receive(books, "m2")
    assert rows(books)[0].status == Status.DELIVERED


def test_a_receipt_may_come_first_and_others_receipts_are_left_alone(books: Books) -> None:
    pay(books, "P")
    receive(books, "m1")
    receive(books, "of somebody else")
    accept(books, "m1")
    with books.store.read() as connection:
        assert queue.receipts_wait(connection, books.now)
    books.store.write(lambda c: queue.settle(c, books.now))
    assert rows(books)[0].status == Status.DELIVERED
    books.now += timedelta(hours=2)
    books.store.write(lambda c: queue.settle(c, books.now))
    with books.store.read() as connection:
        assert not queue.receipts_wait(connection, books.now)


def test_what_was_lost_underway_can_be_sent_again_from_the_start(books: Books) -> None:
    pay(books, "P")
    accept(books, "m1", "m2")
    receive(books, "m1")
    receive(books, "m2", PartState.UNDELIVERABLE)
    assert (rows(books)[0].status, rows(books)[0].result) == (Status.FAILED, "UNDELIVERABLE")
    assert books.store.write(lambda c: queue.retry(c, books.now, LEASE)) == 1
    assert claimed(books).parts_taken == frozenset()
    assert books.store.write(lambda c: queue.retry(c, books.now, LEASE)) == 0


def test_who_opted_out_gets_nothing_that_is_still_in_the_queue(books: Books) -> None:
    pay(books, "P")
    books.store.write(lambda c: preferences.opt_out(c, by_phone(1).value, books.now))
    assert claim(books) is None
    assert rows(books)[0].status == Status.SUPPRESSED
    books.store.write(lambda c: preferences.opt_in(c, by_phone(1).value))
    pay(books, "Q")
    assert claim(books) is not None


def test_a_cancellation_is_told_after_its_registration(books: Books) -> None:
    pay(books, "P")
    cancel(books, "P")
    first = claimed(books)
    assert (first.event, claim(books)) == (Event.PAYMENT_REGISTERED, None)
    assert record(books, Attempt(first, Verdict.REFUSED, "0x", retry_after=timedelta(minutes=1)))
    assert claim(books) is None
    books.now += timedelta(minutes=1)
    accept(books, "m1")
    assert claimed(books).event == Event.PAYMENT_CANCELLED
