"""`bankapi notice` and the settings of SMS."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from ulid import ULID

from bankapi import settings
from bankapi.billing import terminals
from bankapi.billing.payers import PayerKey, PayerKind
from bankapi.notices import outbox, queue
from bankapi.notices.dispatcher import is_quiet
from bankapi.notices.queue import Attempt, Verdict
from bankapi.operations.call import Call
from bankapi.operations.register_payment import RegisterPayment, register_payment
from bankapi.settings import Settings, SettingsError
from bankapi.storage.engine import Store
from tests.unit.cli.commands import done, refused
from tests.unit.conftest import rub

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


def with_sms(home: Path, **values: object) -> Settings:
    environment = {"BANKAPI_SMS_HOST": "127.0.0.1"}
    return settings.load(home, environment | {f"BANKAPI_{name.upper()}": str(value) for name, value in values.items()})


def test_staff_see_what_became_of_notices_and_send_them_again(installation: Settings) -> None:
    with (installation.home / "bankapi.ini").open("a") as file:
        file.write("[sms]\nhost = 127.0.0.1\npassword = secret\n")
    own = settings.load(installation.home, {})
    assert "secret" not in repr(own)
    store = Store(own.database_url)
    with store.read() as connection:
        terminal = terminals.find_terminal(connection, "ATM-0001")
    assert terminal is not None
    for reference in ("A", "B"):
        asked = RegisterPayment(reference, PayerKey(PayerKind.MSISDN, "79160000001"), rub("5"), NOW)
        call = (terminal, NOW, "en", str(ULID()), outbox.of(own))
        store.write(lambda c, asked=asked, call=call: register_payment(Call(c, *call), asked))  # type: ignore[misc]
    claimed = store.write(lambda c: queue.claim(c, NOW, outbox.of(own).expiry, 3))  # type: ignore[union-attr]
    assert claimed is not None
    store.write(lambda c: queue.record(c, Attempt(claimed, Verdict.REJECTED, "0x0000000B", "first"), NOW, 3))
    store.close()
    failed, waiting = done(own, "notice", "list", "--status", "failed"), done(own, "notice", "list")
    assert [each["result"] for each in failed] == ["0x0000000B"]
    assert [each["msisdn"] for each in waiting] == ["7916*****01"] * 2
    assert done(own, "notice", "list", "--since", "2026-03-02T00:00:00Z") == []
    assert done(own, "notice", "count")["pending"] == 1
    assert done(own, "notice", "retry", failed[0]["notice_id"]) == {"queued": 1}
    assert "no such notice" in refused(own, "notice", "retry", failed[0]["notice_id"])
    assert done(own, "notice", "retry", "--failed") == {"queued": 0}
    assert done(own, "notice", "opt-out", "79160000001")["notices"] is False
    assert done(own, "notice", "opt-in", "79160000001")["notices"] is True
    assert done(own, "notice", "language", "79160000001", "ru")["language"] == "ru"
    assert "no subscriber" in refused(own, "notice", "opt-out", "79169999999")


@pytest.mark.parametrize(
    "wrong",
    [
        {"sms_password": "ninechars"},
        {"sms_sender": "a name that is too long"},
        {"sms_quiet_from": "22:00"},
        {"sms_quiet_from": "22:00", "sms_quiet_until": "8"},
        {"sms_quiet_from": "22:00:30", "sms_quiet_until": "08:00"},
        {"sms_time_zone": "Moon/Tycho"},
        {"sms_receipt_ids": "octal"},
        {"sms_per_second": 0},
        {"sms_port": 0},
        {"sms_fallback_host": "b", "sms_host": ""},
    ],
)
def test_incoherent_settings_refuse_to_start(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        with_sms(tmp_path, **wrong)


@pytest.mark.parametrize(
    ("quiet_from", "quiet_until", "quiet_hours"),
    [("22:00", "08:00", {*range(22, 24), *range(8)}), ("01:00", "06:00", set(range(1, 6)))],
)
def test_quiet_hours_are_the_operators(
    tmp_path: Path, quiet_from: str, quiet_until: str, quiet_hours: set[int]
) -> None:
    zone = "Asia/Almaty"
    sms = with_sms(tmp_path, sms_quiet_from=quiet_from, sms_quiet_until=quiet_until, sms_time_zone=zone).sms
    instants = [datetime(2026, 3, 1, hour, 30, tzinfo=ZoneInfo(zone)).astimezone(UTC) for hour in range(24)]
    assert {hour for hour, instant in enumerate(instants) if is_quiet(sms, instant)} == quiet_hours
