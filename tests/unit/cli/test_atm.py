"""The ATM as a person meets it, against the real gateway; what is typed of a card goes nowhere."""

import contextlib
import os
import pty
import re
import select
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from click.testing import CliRunner

from bankapi.cli import atm
from bankapi.cli.client import TerminalClient
from bankapi.cli.main import cli
from bankapi.settings import Settings
from tests.running import RunningGateway
from tests.unit.cli.commands import run

TURKISH_CARD = "9999 0312 3456 7896"
PHONE = "+7 916 000-00-07"
PAY, BALANCE, STATEMENT, LANGUAGE, CANCEL, FINISH = "1", "2", "3", "4", "5", "0"
YES, NO, NO_CARD = "1", "0", ""


@dataclass
class Wire:
    """What the machine sent and got, and answers that are lost on the way back."""

    messages: list[tuple[str, bytes]] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=dict)

    def sent(self, operation: str) -> list[bytes]:
        return [message for name, message in self.messages if name == operation]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    wire, send = Wire(), TerminalClient.send

    def watched(client: TerminalClient, operation: str, request: bytes) -> bytes:
        wire.messages.append((operation, request))
        answer = send(client, operation, request)
        if wire.lost.get(operation, 0) > 0:
            wire.lost[operation] -= 1
            raise ConnectionResetError
        wire.messages.append((f"{operation} answered", answer))
        return answer

    monkeypatch.setattr(TerminalClient, "send", watched)
    monkeypatch.setattr(atm, "PAUSE_S", 0)
    return wire


def visit(settings: Settings, *typed: str, options: tuple[str, ...] = ()) -> str:
    """Everything on the screen of a visit that ends well, when nobody types anything after `typed`."""
    result = CliRunner().invoke(
        cli, ["atm", *options], input="".join(f"{line}\n" for line in typed), env={"BANKAPI_HOME": str(settings.home)}
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


ENGLISH: dict[str, Any] = {"options": ("--language", "en")}


def test_a_person_pays_and_gets_a_receipt(gateway: RunningGateway, wire: Wire) -> None:
    screen = visit(gateway.settings, NO_CARD, PAY, PHONE, "150,50", YES, FINISH, **ENGLISH)
    for line in ("Name: C*** O.", "Amount: RUB 150.50", "Please take your receipt.", "Thank you. Goodbye."):
        assert line in screen
    receipt = screen.partition("receipt.\n")[2]
    assert "  DEMO-BANK ATM-0001\n  Payment for mobile services\n" in receipt
    assert "  Payer: 79160000007\n" in receipt
    (request,) = wire.sent("RegisterPayment")
    assert b"ValidationId" in request
    assert b"CardBin" not in request


def test_the_card_chooses_the_language_and_only_its_ends_are_sent(gateway: RunningGateway, wire: Wire) -> None:
    screen = visit(gateway.settings, TURKISH_CARD, PAY, PHONE, "100", YES, FINISH)
    for line in ("Kart: **** 7896", "Tutar: RUB 100,00", "Lütfen makbuzunuzu alın.", "Teşekkür ederiz."):
        assert line in screen
    assert "Ödeme yapılan: 79160000007" in screen
    (request,) = wire.sent("RegisterPayment")
    assert b">999903</" in request
    assert b">7896</" in request
    home = gateway.settings.home
    kept = [file.read_bytes() for file in home.glob("bankapi.db*")] + [gateway.log_file.read_bytes()]
    assert any(b"999903" in each for each in kept)
    for bytes_ in [*kept, *(message for _, message in wire.messages)]:
        for secret in ("9999031234567896", TURKISH_CARD, "12345678"):
            assert secret.encode() not in bytes_


@pytest.mark.parametrize("typed", ["1", "9999031234567896123456", "card", "9999-0312-3456-789"])
def test_what_is_no_card_number_is_asked_again(gateway: RunningGateway, typed: str) -> None:
    screen = visit(gateway.settings, typed, NO_CARD, "2", FINISH)
    assert screen.count("This is not a card number.") == (typed != "9999-0312-3456-789")


def test_an_unknown_card_is_offered_every_language(gateway: RunningGateway) -> None:
    screen = visit(gateway.settings, "5555 5555 5555 4444", "2", FINISH)
    for name in ("English", "Русский", "Українська", "Қазақ тілі", "Deutsch", "Français", "العربية", "中文"):
        assert name in screen
    assert "Выберите услугу:" in screen
    assert "Спасибо. До свидания." in screen


def test_the_language_can_be_changed_on_the_way(gateway: RunningGateway) -> None:
    screen = visit(gateway.settings, NO_CARD, LANGUAGE, "10", FINISH, options=("--language", "de-AT"))
    assert "Bitte wählen Sie:" in screen
    assert screen.endswith("谢谢，再见。\n")


def test_nothing_is_sent_after_a_no(gateway: RunningGateway, wire: Wire) -> None:
    screen = visit(gateway.settings, NO_CARD, PAY, "", PAY, PHONE, "", PAY, PHONE, "10", NO, FINISH, **ENGLISH)
    assert screen.count("Cancelled. Nothing was paid.") == 3
    assert not wire.sent("RegisterPayment")


def test_what_cannot_be_read_is_asked_again(gateway: RunningGateway) -> None:
    screen = visit(
        gateway.settings, NO_CARD, "7", "one", PAY, "12", "0", "٧٩١٦٠٠٠٠٠٠٧", "-1", "1.005", "٥٠٫٥", NO, **ENGLISH
    )
    assert screen.count("Please choose one of the numbers.") == 2
    assert screen.count("This is not a phone number.") == 2
    assert screen.count("This is not an amount.") == 2
    assert "Amount: RUB 50.50" in screen


@pytest.mark.parametrize(
    ("number", "amount", "said"),
    [
        ("79169999999", "100", "Абонент с таким номером не найден."),
        ("79160000019", "100", "Приём платежей в пользу этого абонента заблокирован."),
        ("79160000001", "0.5", "От 1,00 RUB до 15 000,00 RUB"),
    ],
)
def test_a_no_is_said_in_the_persons_language(gateway: RunningGateway, number: str, amount: str, said: str) -> None:
    assert said in visit(gateway.settings, NO_CARD, PAY, number, amount, FINISH, options=("--language", "ru"))


def test_the_last_payment_can_be_cancelled_once(gateway: RunningGateway, wire: Wire) -> None:
    screen = visit(gateway.settings, NO_CARD, PAY, PHONE, "11", YES, CANCEL, CANCEL, FINISH, **ENGLISH)
    assert screen.count("The payment is cancelled.") == 1
    assert screen.count("Please choose one of the numbers.") == 1
    assert len(wire.sent("CancelPayment")) == 1


def test_balance_and_last_transactions_are_shown(gateway: RunningGateway) -> None:
    debtor = "79160000020"
    screen = visit(gateway.settings, NO_CARD, BALANCE, debtor, STATEMENT, debtor, STATEMENT, "79160000016", **ENGLISH)
    for line in ("Balance: -RUB 40.00", "Available: RUB 0.00", "To be paid: RUB 40.00", "Last 1 transaction:"):
        assert line in screen
    assert "  Opening balance  -RUB 40.00" in screen
    assert "There are no transactions." in screen


def test_a_lost_answer_is_asked_for_again_under_the_same_reference(gateway: RunningGateway, wire: Wire) -> None:
    wire.lost["RegisterPayment"] = 1
    screen = visit(gateway.settings, NO_CARD, PAY, PHONE, "12", YES, FINISH, **ENGLISH)
    assert "No answer yet. Trying again." in screen
    assert "Please take your receipt." in screen
    references = {re.findall(rb"<Reference>(.*?)</", message)[0] for message in wire.sent("RegisterPayment")}
    assert (len(wire.sent("RegisterPayment")), len(references)) == (2, 1)


def test_a_payment_nobody_answers_for_is_undone(gateway: RunningGateway, wire: Wire) -> None:
    wire.lost["RegisterPayment"] = atm.TRIES
    screen = visit(gateway.settings, NO_CARD, PAY, PHONE, "13", YES, FINISH, **ENGLISH)
    assert "The payment was not made. Nothing is charged." in screen
    (request,) = wire.sent("CancelPayment")
    assert b">TIMEOUT</" in request


def test_a_payment_that_cannot_be_undone_either_is_said_to_be_open(gateway: RunningGateway, wire: Wire) -> None:
    wire.lost.update(RegisterPayment=atm.TRIES, CancelPayment=1)
    screen = visit(gateway.settings, NO_CARD, PAY, PHONE, "14", YES, FINISH, **ENGLISH)
    assert "It is not known whether the payment was made." in screen
    assert re.search(r"^ATM-[0-9A-Z]{26}$", screen, re.MULTILINE)


def test_a_gateway_that_is_away_is_said_in_the_persons_language(installation: Settings) -> None:
    screen = visit(installation, NO_CARD, BALANCE, PHONE, FINISH, options=("--language", "fr"))
    assert "Le service est temporairement indisponible." in screen


def test_a_card_on_the_command_line_is_not_repeated(installation: Settings) -> None:
    ended = run(installation, "atm", "--card", "12345")
    assert ended.exit_code == 2
    assert "12345" not in ended.out + ended.err


def test_a_terminal_whose_key_is_elsewhere_is_refused(installation: Settings) -> None:
    ended = run(installation, "atm", "--terminal", "ATM-0009")
    assert ended.exit_code == 3
    assert "ATM-0009" in ended.err


@contextlib.contextmanager
def at_a_terminal(settings: Settings) -> Iterator[int]:
    """`bankapi atm` in a pseudo-terminal of its own; the end of it that the person has."""
    child, person = pty.fork()
    if child == 0:
        os.environ["BANKAPI_HOME"] = str(settings.home)
        os.execv(sys.executable, [sys.executable, "-c", "from bankapi.cli.main import main; main()", "atm"])
    try:
        yield person
    finally:
        os.close(person)
        os.waitpid(child, 0)


def _wait_for(person: int, expected: str) -> str:
    """What appears on the screen until `expected` does."""
    seen, give_up_at = b"", time.monotonic() + 30
    while expected.encode() not in seen:
        assert time.monotonic() < give_up_at, seen.decode(errors="replace")
        if select.select([person], [], [], 1)[0]:
            seen += os.read(person, 4096)
    return seen.decode(errors="replace")


def test_a_card_number_is_not_shown_while_it_is_typed(gateway: RunningGateway) -> None:
    with at_a_terminal(gateway.settings) as person:
        screen = _wait_for(person, "without a card):")
        time.sleep(0.3)  # getpass has switched the echo off by then
        os.write(person, f"{TURKISH_CARD}\n".encode())
        screen += _wait_for(person, "> ")
        os.write(person, b"0\n")
        screen += _wait_for(person, "Teşekkür ederiz.")
    assert "3456" not in screen
