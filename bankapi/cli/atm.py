"""`bankapi atm`: an ATM for people, over the same signed way as every bank's terminals.

The number of the card never leaves `read_card`: what goes on are its BIN and its last four digits.
"""

import re
import sys
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import click
from ulid import ULID

from bankapi.billing import card_ranges
from bankapi.billing.money import Money
from bankapi.cli.administration import read
from bankapi.cli.client import Answer, AnswerNotTrusted, TerminalClient
from bankapi.cli.documents import Amount, Fields
from bankapi.cli.output import CommandFailed
from bankapi.cli.parameters import CURRENCY, LANGUAGE, NAME, read_msisdn, read_positive_amount
from bankapi.cli.payments import terminal_client
from bankapi.languages.catalog import result_message
from bankapi.languages.columns import columns, folded
from bankapi.languages.texts import DEFAULT_LANGUAGE, LANGUAGES, Texts, message, own_name, supported, texts
from bankapi.operations.cancel_payment import CancelReason
from bankapi.refusals import ResultCode, Retry
from bankapi.settings import Settings

COLUMNS_MAX: Final = 64
"""The width of the screen."""
TRIES: Final = 3
"""How often a payment is sent whose answer does not come."""
PAUSE_S: Final = 1.0
"""Between two of them."""
_CARD_NUMBER: Final = re.compile(r"[0-9]{13,19}")
_KINDS: Final = {
    "PAYMENT": message("Payment"),
    "CANCELLATION": message("Cancellation"),
    "CHARGE": message("Charge"),
    "OPENING": message("Opening balance"),
}
_NO_ANSWER: Final = (OSError, AnswerNotTrusted)


class Finished(Exception):
    """The person at the machine is done, or gone."""


class GivenUp(Exception):
    """The person cancelled what was begun; nothing was paid."""


@dataclass(frozen=True, slots=True)
class Card:
    """All that is kept of a card."""

    bin: str
    last_four: str


def read_card(number: str) -> Card:
    """A card number of 13 to 19 digits (ISO/IEC 7812-1), spaces allowed; ValueError without the number itself."""
    digits = re.sub(r"[ -]", "", _western(number))
    if not _CARD_NUMBER.fullmatch(digits):
        raise ValueError("is not a card number of 13 to 19 digits")
    return Card(digits[:6], digits[-4:])


def _western(text: str) -> str:
    """Digits of every script as 0 to 9."""
    return "".join(str(unicodedata.decimal(each)) if each.isdecimal() else each for each in text).strip()


@dataclass
class Screen:
    """What is shown and typed, in the language of the moment."""

    texts: Texts

    def say(self, line: str = "") -> None:
        """Show a line, in several when it is too long."""
        for part in folded(line, COLUMNS_MAX) if columns(line) > COLUMNS_MAX else (line,):
            click.echo(part)

    def ask(self, question: str, *, hidden: bool = False) -> str:
        """What the person types; Finished when nobody is there any more."""
        try:
            # Without a terminal there is nothing to hide from, and getpass would go and look for one.
            hide = hidden and sys.stdin.isatty()
            return str(click.prompt(question, default="", show_default=False, hide_input=hide, prompt_suffix=" "))
        except click.Abort:
            raise Finished from None

    def ask_until(self, question: str, read_answer: Callable[[str], Any], complaint: str) -> Any:
        """A value that can be read; GivenUp when the person just presses Enter."""
        while answer := self.ask(question).strip():
            try:
                return read_answer(_western(answer))
            except ValueError:
                self.say(complaint)
        raise GivenUp

    def choose(self, question: str, choices: list[tuple[str, Any]], last: tuple[str, Any] | None = None) -> Any:
        """One of the numbered choices; `last` is number 0."""
        numbered = {str(number): choice for number, choice in enumerate(choices, 1)}
        if last is not None:
            numbered["0"] = last
        while True:
            self.say()
            self.say(question)
            for number, (label, _) in numbered.items():
                self.say(f" {number}  {label}")
            answer = _western(self.ask(">"))
            if answer in numbered:
                return numbered[answer][1]
            self.say(self.texts.gettext("Please choose one of the numbers."))


@dataclass(frozen=True, slots=True)
class Paid:
    """The payment that can still be cancelled."""

    reference: str
    amount: Money


class Atm:
    """One person's visit."""

    def __init__(self, client: TerminalClient, screen: Screen, card: Card | None, currency: str) -> None:
        self._client = client
        self._screen = screen
        self._card = card
        self._currency = currency
        self._paid: Paid | None = None

    @property
    def _texts(self) -> Texts:
        return self._screen.texts

    def serve(self) -> None:
        """The main menu, until the person is finished."""
        while True:
            gettext = self._texts.gettext
            choices: list[tuple[str, Any]] = [
                (gettext("Payment for mobile services"), self.pay),
                (gettext("Balance"), self.show_balance),
                (gettext("Last transactions"), self.show_statement),
                (gettext("Another language"), self.change_language),
            ]
            if self._paid is not None:
                choices.append((gettext("Cancel the last payment"), self.cancel))
            action = self._screen.choose(gettext("Choose a service:"), choices, (gettext("Finish"), None))
            if action is None:
                return
            try:
                action()
            except GivenUp:
                self._screen.say(self._texts.gettext("Cancelled. Nothing was paid."))
            except _NO_ANSWER:
                self._screen.say(result_message(ResultCode.TEMPORARILY_UNAVAILABLE, self._texts.language)[0])

    def change_language(self) -> None:
        self._screen.texts = choose_language(self._screen)

    def pay(self) -> None:
        """Number, amount, check, confirmation, receipt."""
        gettext, show = self._texts.gettext, self._screen.say
        payer = self._ask_payer()
        amount = self._ask_amount()
        asked: Fields = [payer, ("Amount", Amount(str(amount.to_decimal()), amount.currency))]
        checked = self._call("ValidatePayment", asked)
        if not self._is_done(checked):
            self._show_range(checked)
            return
        show()
        show(gettext("Number: {number}", number=payer[1][0][1]))
        if "payer_name" in checked:
            show(gettext("Name: {name}", name=checked["payer_name"]))
        show(gettext("Amount: {amount}", amount=self._money(amount)))
        if checked["credited_amount"]["currency"] != amount.currency:
            show(gettext("Credited: {amount}", amount=self._shown(checked["credited_amount"])))
        if self._card is not None:
            show(gettext("Card: {card}", card=f"**** {self._card.last_four}"))
        if not self._screen.choose(gettext("Is this right?"), [(gettext("Pay"), True)], (gettext("Cancel"), False)):
            raise GivenUp
        self._register(asked, amount, checked["validation_id"])

    def _register(self, asked: Fields, amount: Money, validation_id: str) -> None:
        reference = f"ATM-{ULID()}"
        fields: list[Any] = [
            ("Reference", reference),
            *asked,
            ("PaidAt", datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")),
            ("ValidationId", validation_id),
        ]
        if self._card is not None:
            fields += [("CardBin", self._card.bin), ("CardLastFour", self._card.last_four)]
        for tried in range(TRIES):
            if tried:
                self._screen.say(self._texts.gettext("No answer yet. Trying again."))
                time.sleep(PAUSE_S)
            try:
                answer = self._call("RegisterPayment", fields)
            except _NO_ANSWER:
                continue
            if answer.get("retry") == Retry.SAME_REFERENCE:
                continue
            if self._is_done(answer):
                self._paid = Paid(reference, amount)
                self._print(answer["receipt_lines"])
            return
        self._undo(reference, amount)

    def _undo(self, reference: str, amount: Money) -> None:
        """Nobody knows whether the payment stands: make sure that it does not, or say so."""
        try:
            answer = self._cancel(reference, amount, CancelReason.TIMEOUT)
        except _NO_ANSWER:
            answer = {}
        gettext = self._texts.gettext
        if answer.get("code") == ResultCode.OK:
            self._screen.say(gettext("The payment was not made. Nothing is charged."))
        else:
            self._screen.say(gettext("It is not known whether the payment was made."))
            self._screen.say(gettext("Please keep this number and ask the operator:"))
            self._screen.say(reference)

    def cancel(self) -> None:
        """Undo what was just paid."""
        assert self._paid is not None
        answer = self._cancel(self._paid.reference, self._paid.amount, CancelReason.CUSTOMER_REQUEST)
        if self._is_done(answer):
            self._screen.say(self._texts.gettext("The payment is cancelled."))
            self._paid = None

    def _cancel(self, reference: str, amount: Money, reason: CancelReason) -> dict[str, Any]:
        how_much = Amount(str(amount.to_decimal()), amount.currency)
        return self._call("CancelPayment", [("Reference", reference), ("Amount", how_much), ("Reason", str(reason))])

    def show_balance(self) -> None:
        answer = self._call("GetBalance", [self._ask_payer()])
        if not self._is_done(answer):
            return
        gettext, show = self._texts.gettext, self._screen.say
        show()
        show(gettext("Balance: {amount}", amount=self._shown(answer["balance"])))
        show(gettext("Available: {amount}", amount=self._shown(answer["available"])))
        if Decimal(answer["due"]["amount"]):
            show(gettext("To be paid: {amount}", amount=self._shown(answer["due"])))

    def show_statement(self) -> None:
        answer = self._call("GetMiniStatement", [self._ask_payer()])
        if not self._is_done(answer):
            return
        show, lines = self._screen.say, answer.get("transactions", [])
        show()
        if not lines:
            show(self._texts.gettext("There are no transactions."))
            return
        show(self._texts.ngettext("Last {count} transaction:", "Last {count} transactions:", len(lines)))
        for line in lines:
            kind: str = line["kind"]  # a new one, which the contract allows, is shown as it is
            if kind in _KINDS:
                kind = self._texts.gettext(_KINDS[kind])
            at = datetime.fromisoformat(line["occurred_at"]).astimezone()
            show(self._texts.instant(at, at.tzinfo or UTC))
            show(f"  {kind}  {self._shown(line['amount'])}")

    def _ask_payer(self) -> tuple[str, list[tuple[str, str]]]:
        gettext = self._texts.gettext
        number = self._screen.ask_until(
            gettext("Phone number with country code (Enter cancels):"),
            _read_phone,
            gettext("This is not a phone number."),
        )
        return "Payer", [("Msisdn", number)]

    def _ask_amount(self) -> Money:
        gettext = self._texts.gettext
        amount: Money = self._screen.ask_until(
            gettext("Amount in {currency} (Enter cancels):", currency=self._currency),
            self._read_amount,
            gettext("This is not an amount."),
        )
        return amount

    def _read_amount(self, text: str) -> Money:
        amount = read_positive_amount(re.sub(r"[\s']", "", text).replace(",", ".").replace("٫", "."))
        return Money.from_decimal(amount, self._currency)  # AmountError is a ValueError

    def _call(self, operation: str, fields: Fields) -> dict[str, Any]:
        asked: Fields = [("Language", self._texts.language), *fields]
        answer: Answer = self._client.call(operation, asked)
        return answer.fields

    def _is_done(self, answer: dict[str, Any]) -> bool:
        """Whether the answer is a yes; a no is shown in the gateway's own words."""
        if answer.get("code") == ResultCode.OK:
            return True
        self._screen.say(str(answer.get("message", answer.get("code"))))
        return False

    def _show_range(self, answer: dict[str, Any]) -> None:
        if answer.get("code") in (ResultCode.AMOUNT_TOO_SMALL, ResultCode.AMOUNT_TOO_LARGE):
            shown = {name: self._shown(answer[f"{name}_amount"]) for name in ("minimum", "maximum")}
            self._screen.say(self._texts.gettext("From {minimum} to {maximum}", **shown))

    def _print(self, receipt: list[str]) -> None:
        self._screen.say()
        self._screen.say(self._texts.gettext("Please take your receipt."))
        self._screen.say()
        for line in receipt:
            self._screen.say(f"  {line}")

    def _money(self, money: Money) -> str:
        return self._texts.amount(money.to_decimal(), money.currency)

    def _shown(self, amount: dict[str, str]) -> str:
        """An amount of an answer."""
        return self._money(Money.from_decimal(Decimal(amount["amount"]), amount["currency"]))


def _read_phone(text: str) -> str:
    return str(read_msisdn(re.sub(r"[\s()-]", "", text).removeprefix("+")))


def choose_language(screen: Screen) -> Texts:
    """The menu everybody can read: each language by its own name."""
    chosen: str = screen.choose("Language", [(own_name(language), language) for language in LANGUAGES])
    return texts(chosen)


def _language_of_card(settings: Settings, card: Card | None) -> str | None:
    """The gateway's own rule, so that the screen speaks as its answers would."""
    if card is None:
        return None
    tag = read(settings, lambda connection: card_ranges.language_of(connection, card.bin))
    return None if tag is None else supported(tag)


def _insert_card(screen: Screen) -> Card | None:
    gettext = screen.texts.gettext
    while number := screen.ask(gettext("Card number (Enter goes on without a card):"), hidden=True):
        try:
            return read_card(number)
        except ValueError:
            screen.say(gettext("This is not a card number."))
    return None


class _CardNumber(click.ParamType[Any]):
    """Read at once; what is wrong is said without the number."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return read_card(value)
        except ValueError as error:
            self.fail(f"this {error}", param, ctx)


@click.command()
@click.option("--terminal", type=NAME, default="ATM-0001", show_default=True, help="The terminal to sign as.")
@click.option("--card", type=_CardNumber(), help="A card number, for scripts; a person is asked and types unseen.")
@click.option("--language", type=LANGUAGE, help="Language of the screen (BCP 47); the card's, or a menu, without it.")
@click.option("--currency", type=CURRENCY, default="RUB", show_default=True, help="What the machine takes.")
@click.option("--url", help="The gateway's address; the home's own by default.")
@click.pass_obj
def atm(
    settings: Settings, terminal: str, card: Card | None, language: str | None, currency: str, url: str | None
) -> None:
    """Pay as a person does, at the screen of an ATM.

    The card's number is not shown while it is typed; its first six and last four digits are all that is sent or kept.
    """
    try:
        client = terminal_client(settings, terminal, url)
    except FileNotFoundError as error:
        raise CommandFailed(f"no such terminal here: {terminal} ({error.filename} is missing)") from error
    asked = supported(language) if language else None
    screen = Screen(texts(asked or DEFAULT_LANGUAGE))
    try:
        card = card or _insert_card(screen)
        chosen = asked or _language_of_card(settings, card)
        screen.texts = texts(chosen) if chosen else choose_language(screen)
        Atm(client, screen, card, currency).serve()
    except Finished:
        pass
    screen.say()
    screen.say(screen.texts.gettext("Thank you. Goodbye."))
