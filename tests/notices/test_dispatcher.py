"""The dispatcher against an SMSC of another code base (npm's `smpp`) that misbehaves. Only the clock is fake."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from bankapi.billing.tables import customers
from bankapi.notices.dispatcher import Dispatcher
from bankapi.notices.outbox import Status
from bankapi.settings import IdNotation, Settings, SMSCSettings, SMSSettings
from tests.notices import smsc as smscs
from tests.notices.smsc import SMSC
from tests.running import free_port, wait_until
from tests.unit.conftest import Books
from tests.unit.notices.paying import cancel, pay, rows, verdicts

pytestmark = pytest.mark.slow

THROTTLED, QUEUE_FULL, SYSTEM_ERROR, BIND_FAILED, NO_SUCH_NUMBER = 0x58, 0x14, 0x08, 0x0D, 0x0B

Start = Callable[..., Dispatcher]


@pytest.fixture
def start(books: Books, smsc: SMSC) -> Iterator[Start]:
    """Make a dispatcher for the SMSC, with the books' clock."""
    with ExitStack() as stack:

        def make(fallback: SMSCSettings | None = None, **sms: object) -> Dispatcher:
            given = {
                "host": "127.0.0.1",
                "port": smsc.port,
                "system_id": "bankapi",
                "password": "secret",
                "per_second": 200.0,
                "response_timeout_s": 15.0,
                "fallback_return_s": 60.0,
                **sms,
            }
            own = Settings(home=Path(), sms=SMSSettings(**given), sms_fallback=fallback or SMSCSettings())  # type: ignore[arg-type]
            dispatcher = Dispatcher(own, books.store, clock=lambda: books.now)
            stack.callback(dispatcher.close)
            return dispatcher

        yield make


def run(books: Books, *dispatchers: Dispatcher, until: Callable[[], bool], step_s: float = 1.0) -> None:
    """Let them work in turn, with time passing faster than it does, until something is so."""
    deadline = time.monotonic() + 120
    while not until():
        assert time.monotonic() < deadline, [(row.status, row.result) for row in rows(books)]
        busy = [dispatcher.step() for dispatcher in dispatchers]
        if not any(busy):
            books.now += timedelta(seconds=step_s)
            for dispatcher in dispatchers:
                dispatcher._listen(0.01)


def statuses(books: Books) -> set[str]:
    return {row.status for row in rows(books)}


def all_are(books: Books, status: Status) -> Callable[[], bool]:
    return lambda: statuses(books) == {status}


def test_one_payment_one_sms_in_its_language_and_encoding_and_its_receipt(
    books: Books, smsc: SMSC, start: Start
) -> None:
    dispatcher = start()
    pay(books, "EN")
    run(books, dispatcher, until=all_are(books, Status.DELIVERED))
    books.store.write(lambda c: c.execute(update(customers).values(language="ru-RU")))
    pay(books, "RU")
    cancel(books, "RU")
    run(books, dispatcher, until=all_are(books, Status.DELIVERED))
    english, russian, cancelled = smsc.seen("submit")
    assert (english["to"], english["from"], english["ton"]) == ("79160000001", "bankapi", 5)
    assert (english["data_coding"], russian["data_coding"]) == (0, 8)
    assert "100.00" in english["text"]
    assert english["text"].startswith("Payment of")
    assert "Платёж" in russian["text"]
    assert cancelled["text"] != russian["text"]
    assert all(each["registered_delivery"] == 1 for each in smsc.seen("submit"))
    wait_until(lambda: [each["status"] for each in smsc.seen("receipt answered")] == [0, 0, 0])
    assert verdicts(books) == ["ACCEPTED"] * 3


def test_a_long_text_arrives_in_parts_and_is_delivered_when_all_are(
    books: Books, smsc: SMSC, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "€" * 100 + "Спасибо! " * 12
    monkeypatch.setattr("bankapi.notices.wording.text", lambda *_, **__: text)
    smsc.behave(submit=["ok", SYSTEM_ERROR, "ok"])
    pay(books, "LONG")
    run(books, start(), until=all_are(books, Status.DELIVERED))
    taken = [each for each in smsc.seen("submit") if each["taken"]]
    assert "".join(each["text"] for each in taken) == text
    headers = [bytes.fromhex(each["udh"]) for each in taken]
    assert [header[-1] for header in headers] == [1, 2, 3, 4]
    assert len({header[-3] for header in headers}) == 1
    assert {header[-2] for header in headers} == {4}
    assert verdicts(books) == ["REFUSED", "ACCEPTED"]


@pytest.mark.parametrize(
    ("ids", "tlv"),
    [
        ((IdNotation.TEXT, IdNotation.TEXT), False),
        ((IdNotation.HEX, IdNotation.DECIMAL), False),
        ((IdNotation.HEX, IdNotation.DECIMAL), True),
    ],
)
def test_receipts_are_understood_in_all_notations(
    books: Books, smsc: SMSC, start: Start, ids: tuple[IdNotation, IdNotation], tlv: bool
) -> None:
    smsc.behave(response=ids[0], receipt=ids[1], tlv=tlv, submit=["receipt first"])
    pay(books, "P")
    run(books, start(response_ids=ids[0], receipt_ids=ids[1]), until=all_are(books, Status.DELIVERED))


def test_a_receipt_can_say_that_it_was_lost(books: Books, smsc: SMSC, start: Start) -> None:
    smsc.behave(state="UNDELIV")
    pay(books, "P")
    run(books, start(), until=all_are(books, Status.FAILED))
    assert rows(books)[0].result == "UNDELIVERABLE"


def test_a_refused_bind_loses_nothing(books: Books, smsc: SMSC, start: Start) -> None:
    smsc.behave(bind=[BIND_FAILED, BIND_FAILED, BIND_FAILED, "ok"])
    pay(books, "P")
    run(books, start(), until=all_are(books, Status.DELIVERED))
    assert len(smsc.seen("bind")) == 4
    assert len(smsc.taken) == 1
    assert verdicts(books) == ["ACCEPTED"]


def test_throttling_slows_down_and_is_no_failure(books: Books, smsc: SMSC, start: Start) -> None:
    smsc.behave(submit=[THROTTLED, QUEUE_FULL, "ok", THROTTLED, "ok"])
    dispatcher = start()
    for number in range(4):
        pay(books, f"P-{number}")
    run(books, dispatcher, until=all_are(books, Status.DELIVERED))
    assert Counter(verdicts(books)) == {"THROTTLED": 3, "ACCEPTED": 4}
    assert {row.failures for row in rows(books)} == {0}
    assert len(smsc.taken) == 4
    assert dispatcher._pace.between_s > 1 / 200


def test_a_number_that_does_not_exist_is_given_up_and_others_go_on(books: Books, smsc: SMSC, start: Start) -> None:
    smsc.behave(submit=[NO_SUCH_NUMBER, "ok"])
    pay(books, "P")
    pay(books, "Q")
    run(books, start(), until=lambda: statuses(books) == {Status.FAILED, Status.DELIVERED})
    assert rows(books)[0].result == "0x0000000B"


@pytest.mark.parametrize("how", ["hang", "drip"])
def test_an_smsc_that_hangs_when_bound_holds_nobody_for_long(books: Books, smsc: SMSC, start: Start, how: str) -> None:
    smsc.behave(bind=[how, "ok"])
    pay(books, "P")
    begun = time.monotonic()
    dispatcher = start(response_timeout_s=3.0)
    assert not dispatcher.step()
    assert time.monotonic() - begun < 8
    run(books, dispatcher, until=all_are(books, Status.DELIVERED))
    assert (len(smsc.taken), verdicts(books)) == (1, ["ACCEPTED"])


@pytest.mark.parametrize("how", ["hang", "drop", "take and hang", "take and drop"])
def test_an_answer_that_never_comes_loses_nothing_and_is_counted(
    books: Books, smsc: SMSC, start: Start, how: str
) -> None:
    """Whether the SMSC took it is not to be known from outside: at most one SMS more, and it is counted."""
    smsc.behave(submit=["ok", how, "ok"])
    for number in range(4):
        pay(books, f"P-{number}")
    run(books, start(response_timeout_s=3.0), until=all_are(books, Status.DELIVERED))
    assert Counter(verdicts(books)) == {"ACCEPTED": 4, "UNCERTAIN": 1}
    assert sum(row.uncertain for row in rows(books)) == 1
    assert len(set(smsc.taken)) == 4
    assert len(smsc.taken) - 4 == (1 if how.startswith("take") else 0)


def test_what_cannot_be_read_is_refused_and_disturbs_nothing(books: Books, smsc: SMSC, start: Start) -> None:
    smsc.behave(submit=["garbage first"])
    pay(books, "P")
    run(books, start(), until=all_are(books, Status.DELIVERED))
    wait_until(lambda: [each["status"] for each in smsc.seen("garbage answered")] == [0x66, 0x03])
    assert (verdicts(books), len(smsc.seen("bind"))) == (["ACCEPTED"], 1)


def test_a_database_that_is_away_when_the_answer_comes_causes_no_copy(
    books: Books, smsc: SMSC, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    pay(books, "P")
    dispatcher = start()
    with monkeypatch.context() as patch:
        patch.setattr("bankapi.notices.queue.record", _away)
        with pytest.raises(OperationalError):
            dispatcher.step()
    run(books, dispatcher, until=all_are(books, Status.DELIVERED))
    assert (len(smsc.taken), verdicts(books)) == (1, ["ACCEPTED"])


def _away(*_: object) -> None:
    raise OperationalError("", None, Exception("the database is away"))


def test_copies_are_bounded(books: Books, smsc: SMSC, start: Start) -> None:
    smsc.behave(submit=["take and drop"])
    pay(books, "P")
    run(books, start(uncertain_max=3), until=all_are(books, Status.FAILED), step_s=30)
    assert len(smsc.taken) == 3
    assert rows(books)[0].uncertain == 3


def test_an_smsc_that_drops_everything_is_left_alone_for_longer_and_longer(
    books: Books, smsc: SMSC, start: Start
) -> None:
    """It lets us bind, so only the submissions tell: an hour of it must not spoil a whole queue."""
    smsc.behave(submit=["take and drop"])
    for number in range(200):
        pay(books, f"P-{number}")
    until = books.now + timedelta(hours=1)
    run(books, start(), until=lambda: books.now >= until, step_s=5)
    assert len(smsc.taken) < 90
    assert len(smsc.taken) == verdicts(books).count("UNCERTAIN")


def test_a_stopped_smsc_is_found_out_before_a_message_is_entrusted_to_it(
    books: Books, smsc: SMSC, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing tells that the other end has stopped: an idle connection is tried first."""
    monkeypatch.setattr("bankapi.notices.smsc._ASK_AFTER_S", 0.0)
    dispatcher = start(response_timeout_s=3.0)
    dispatcher.step()
    os.kill(smsc.process.pid, signal.SIGSTOP)
    pay(books, "P")
    dispatcher.step()
    os.kill(smsc.process.pid, signal.SIGCONT)
    run(books, dispatcher, until=all_are(books, Status.DELIVERED))
    assert (Counter(verdicts(books)), len(smsc.taken)) == ({"RELEASED": 1, "ACCEPTED": 1}, 1)


def test_a_day_without_an_smsc_loses_nothing(books: Books, packages: Path, start: Start, smsc: SMSC) -> None:
    port = free_port()
    dispatcher = start(port=port)
    for hour in range(24):
        pay(books, f"P-{hour}")
        until = books.now + timedelta(hours=1)
        run(books, dispatcher, until=lambda until=until: books.now >= until, step_s=600)  # type: ignore[misc]
    assert (statuses(books), verdicts(books)) == ({Status.PENDING}, [])
    with smscs.running(packages, port) as late:
        run(books, dispatcher, until=all_are(books, Status.DELIVERED))
        assert len(late.taken) == len(set(late.taken)) == 24


def test_what_is_too_old_is_not_sent_any_more(books: Books, start: Start, smsc: SMSC) -> None:
    smsc.behave(bind=[BIND_FAILED])
    pay(books, "P")
    run(books, start(), until=all_are(books, Status.EXPIRED), step_s=3600)
    assert smsc.taken == []


def test_nobody_is_woken_up(books: Books, start: Start, smsc: SMSC) -> None:
    books.now = datetime.fromisoformat("2026-03-01T23:00:00+03:00")
    pay(books, "P")
    dispatcher = start(quiet_from="22:00", quiet_until="08:00", time_zone="Europe/Moscow")
    run(books, dispatcher, until=all_are(books, Status.DELIVERED), step_s=600)
    assert books.now.astimezone().timestamp() >= datetime.fromisoformat("2026-03-02T08:00:00+03:00").timestamp()
    assert len(smsc.taken) == 1


def test_the_second_smsc_stands_in_and_the_first_is_returned_to(
    books: Books, packages: Path, start: Start, smsc: SMSC
) -> None:
    with smscs.running(packages, free_port()) as second:
        smsc.behave(bind=[BIND_FAILED, "ok"])
        dispatcher = start(SMSCSettings(host="127.0.0.1", port=second.port, system_id="other"))
        pay(books, "P")
        run(books, dispatcher, until=all_are(books, Status.DELIVERED), step_s=0.01)  # before it returns to the first
        assert (len(smsc.taken), len(second.taken)) == (0, 1)
        books.now += timedelta(minutes=2)
        pay(books, "Q")
        run(books, dispatcher, until=all_are(books, Status.DELIVERED))
        assert (len(smsc.taken), len(second.taken)) == (1, 1)
        wait_until(lambda: second.seen("unbind"))


def test_two_dispatchers_share_the_work(
    books: Books, start: Start, smsc: SMSC, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receipts of one come to the other: both are bound by the same name, and the SMSC chooses."""
    monkeypatch.setattr("bankapi.notices.dispatcher.BATCH_MAX", 3)
    first, second = start(), start()
    first.step()
    second.step()
    for number in range(20):
        pay(books, f"P-{number}")
    run(books, first, second, until=all_are(books, Status.DELIVERED))
    assert len(smsc.taken) == 20
    assert verdicts(books) == ["ACCEPTED"] * 20
    assert Counter(each["session"] for each in smsc.seen("submit")) == {1: 11, 2: 9}
    wait_until(lambda: [each["session"] for each in smsc.seen("receipt answered")] == [2] * 20)
