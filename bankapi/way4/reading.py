"""What a conforming message asks for, by the configuration. What is needed is there, once; nothing is guessed.

Every value that will be kept is read by one pattern, and none of them may look like a card number.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from bankapi.billing.money import AmountError, Money
from bankapi.billing.payers import PayerKey, PayerKind
from bankapi.contract import types as contract
from bankapi.gateway import cards
from bankapi.refusals import Refusal, Rule, SchemaViolation
from bankapi.way4 import currencies, references
from bankapi.way4.configuration import INFORMATION, Configuration, Field, Operation
from bankapi.way4.message import ConformingMessage
from bankapi.way4.paths import Path

LOCAL_AT: Final = "%Y-%m-%d %H:%M:%S"
_LOCAL_AT: Final = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_DAY: Final = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}")
_AMOUNT: Final = re.compile(r"[0-9]{1,13}(\.[0-9]{1,4})?")
_COUNT: Final = re.compile(r"[0-9]{1,4}")
_PHONE_DIGITS: Final = 13
"""A phone number may look like a card's by chance up to here. A longer one that does (E.164 allows 15 digits, and
hardly any country uses them) is taken for a card that was sent in the wrong place."""
_TERMINAL: Final = re.compile(r"[!-~]{1,64}")
_CODE_PATHS: Final = tuple(
    Path.read(f"Doc/TransType/{name}")
    for name in ("TransCode/MsgCode", "TransCode/ServiceCode", "TransCode/TransTypeExtension")
)
_ELSEWHERE: Final = tuple(
    Path.read(f"Doc/TransType/{name}") for name in ("MsgCode", "ServiceCode", "TransTypeExtension")
)
_OBJECT_TYPE: Final = Path.read("Information/ObjectType")
_ACTION_TYPE: Final = Path.read("Information/ActionType")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRange:
    """Which lines of a statement are wanted; None is no bound."""

    first: date | None = None
    last: date | None = None
    lines_max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UfxRequest:
    """One request in our own words. What its operation does not need is None."""

    operation: Operation
    contract_number: str
    """Of the terminal, as sent."""
    terminal: str
    """The name of ours that it stands for."""
    language: str | None = None
    payer: PayerKey | None = None
    amount: Money | None = None
    fee: Money | None = None
    references: tuple[str, ...] = ()
    """The payment's reference, and where it was made before, the same one dated the day before."""
    local_at: datetime | None = None
    """Without a zone, as UFX writes it."""
    rrn: str | None = None
    authorization_code: str | None = None
    validation_id: str | None = None
    card_bin: str | None = None
    card_last_four: str | None = None
    statement: StatementRange = StatementRange()

    @property
    def reference(self) -> str | None:
        return self.references[0] if self.references else None

    @property
    def phone(self) -> str | None:
        """The payer's phone number, if that is what names the payer."""
        return self.payer.value if self.payer is not None and self.payer.kind is PayerKind.MSISDN else None


def read(message: ConformingMessage, configuration: Configuration, *, is_record: bool = False) -> UfxRequest:
    """Refuses in this order: an unknown code, no terminal, then what the operation needs as it is listed here.

    `is_record`: of an end-of-day file, which need not say again whom a payment was for.
    """
    operation = _operation(message, configuration)
    found = _Values(message, configuration)
    contract_number = found.needed(Field.TERMINAL, _TERMINAL.fullmatch)
    values: dict[str, Any] = {}
    if operation is not Operation.STATUS:
        values["payer"] = found.payer(is_needed=operation is not Operation.CANCEL and not is_record)
    if operation in (Operation.VALIDATE, Operation.REGISTER, Operation.CANCEL):
        values["amount"] = found.amount()
    if operation in (Operation.REGISTER, Operation.CANCEL, Operation.STATUS):
        values["local_at"] = found.local_at(is_needed=operation is Operation.REGISTER)
        is_later = operation is not Operation.REGISTER
        values["references"] = found.references(contract_number, values["local_at"], is_later)
    if operation is Operation.REGISTER:
        values["fee"] = found.fee()
        values["rrn"] = found.optional(Field.RRN, _of(contract.Rrn))
        values["authorization_code"] = found.optional(Field.AUTHORIZATION_CODE, _of(contract.AuthorizationCode))
        values["validation_id"] = found.optional(Field.VALIDATION_ID, _of(contract.ValidationId))
    if operation is Operation.STATEMENT:
        values["statement"] = found.statement()
    card_bin, card_last_four = found.card()
    return UfxRequest(
        operation=operation,
        contract_number=contract_number,
        terminal=configuration.terminal(contract_number),
        language=found.optional(Field.LANGUAGE, _of(contract.Language)),
        card_bin=card_bin,
        card_last_four=card_last_four,
        **values,
    )


def _operation(message: ConformingMessage, configuration: Configuration) -> Operation:
    """The operation that the configuration gives for the codes of the message; WAY4_MESSAGE_CODE without one."""
    root = message.root
    code: str | None
    if message.body.tag == INFORMATION:
        code, service, extension = INFORMATION, _OBJECT_TYPE.value(root), None
        is_known = _ACTION_TYPE.value(root) == "Inquiry"
    else:
        # One public sender puts the codes right into TransType, the others into its TransCode.
        code, service, extension = (
            inner.value(root) or outer.value(root) for inner, outer in zip(_CODE_PATHS, _ELSEWHERE, strict=True)
        )
        is_known = code is not None and code != INFORMATION
    operation = configuration.operation(code or "", service, extension) if is_known else None
    if operation is None:
        raise Refusal(Rule.WAY4_MESSAGE_CODE)
    return operation


class _Values:
    """The values of one message, by the places that the configuration names."""

    def __init__(self, message: ConformingMessage, configuration: Configuration) -> None:
        self._root = message.root
        self._configuration = configuration

    def find(self, field: Field) -> tuple[Path, str] | None:
        """The first place that has a value, and the value."""
        for path in self._configuration.paths[field]:
            value = path.value(self._root)
            if value is not None:
                return path, value
        return None

    def optional(self, field: Field, accepts: Callable[[str], object]) -> str | None:
        found = self.find(field)
        if found is None:
            return None
        path, value = found
        if cards.are_in((value,)) and not (field is Field.MSISDN and len(value.removeprefix("+")) <= _PHONE_DIGITS):
            raise Refusal(Rule.CARD_NUMBER)
        if not accepts(value):
            raise path.refused("It has not the form of such a value.")
        return value

    def needed(self, field: Field, accepts: Callable[[str], object]) -> str:
        value = self.optional(field, accepts)
        if value is None:
            raise self._missing(field)
        return value

    def payer(self, *, is_needed: bool) -> PayerKey | None:
        for field, kind in (
            (Field.MSISDN, PayerKind.MSISDN),
            (Field.ACCOUNT, PayerKind.ACCOUNT_NUMBER),
            (Field.CUSTOMER, PayerKind.CUSTOMER_NUMBER),
        ):
            model = getattr(contract, kind)
            value = self.optional(field, _of(model, prefix="+" if field is Field.MSISDN else ""))
            if value is not None:
                return PayerKey(kind, value.removeprefix("+"))
        if is_needed:
            raise self._missing(Field.MSISDN)
        return None

    def amount(self) -> Money:
        return self._money(Field.AMOUNT, Field.CURRENCY, self._configuration.currency)

    def fee(self) -> Money | None:
        if self.find(Field.FEE_AMOUNT) is None:
            return None
        return self._money(Field.FEE_AMOUNT, Field.FEE_CURRENCY, None, is_positive=False)

    def local_at(self, *, is_needed: bool) -> datetime | None:
        read = self.needed if is_needed else self.optional
        value = read(Field.LOCAL_AT, _LOCAL_AT.fullmatch)
        return None if value is None else self._parsed(Field.LOCAL_AT, value, LOCAL_AT)

    def references(self, contract_number: str, local_at: datetime | None, is_later: bool) -> tuple[str, ...]:
        rrn, srn = self.optional(Field.RRN, _of(contract.Rrn)), self.optional(Field.SRN, _of(contract.Reference))
        given = {"terminal": contract_number, "rrn": rrn, "srn": srn}
        parts = {name: value for name, value in given.items() if value is not None}
        composed = references.compose(self._configuration.references, parts, local_at and local_at.date())
        if not composed:
            raise self._missing(Field.RRN)
        if cards.are_in(composed):
            raise Refusal(Rule.CARD_NUMBER)
        if not all(map(_of(contract.Reference), composed)):
            raise self._missing(Field.RRN, "The reference that is made of it has not the form of one.")
        return composed if is_later else composed[:1]

    def card(self) -> tuple[str | None, str | None]:
        """BIN and last four of what looks like a card number; a wallet's contract is none."""
        found = self.find(Field.CARD)
        if found is None or not found[1].isascii() or not cards.is_card_number(found[1]):
            return None, None
        return found[1][: cards.BIN_DIGITS], found[1][-cards.LAST_DIGITS :]

    def statement(self) -> StatementRange:
        days = []
        for field in (Field.STATEMENT_FROM, Field.STATEMENT_TO):
            value = self.optional(field, _DAY.fullmatch)
            days.append(None if value is None else self._parsed(field, value, "%Y-%m-%d").date())
        lines_max = self.optional(Field.STATEMENT_MAX, _COUNT.fullmatch)
        return StatementRange(first=days[0], last=days[1], lines_max=None if lines_max is None else int(lines_max))

    def _money(self, field: Field, currency_field: Field, default: str | None, *, is_positive: bool = True) -> Money:
        amount = Decimal(self.needed(field, _AMOUNT.fullmatch))
        given = self.optional(currency_field, re.compile("[A-Z]{3}|[0-9]{3}").fullmatch)
        currency = currencies.alphabetic(given) if given is not None else default
        if currency is None:
            raise self._missing(currency_field, "There must be a currency of ISO 4217, by letters or digits.")
        try:
            money = Money.from_decimal(amount, currency)
        except AmountError as error:
            raise self._missing(field, f"The amount is none of this currency: {error}.") from error
        if is_positive and money.minor <= 0:
            raise self._missing(field, "The amount must be more than zero.")
        return money

    def _parsed(self, field: Field, value: str, form: str) -> datetime:
        try:
            return datetime.strptime(value, form)  # noqa: DTZ007  its zone is the dealer's, who is not known yet
        except ValueError as error:
            raise self._missing(field, "There is no such day or time.") from error

    def _missing(self, field: Field, why: str = "It is needed.") -> Refusal:
        found = self.find(field)
        places = self._configuration.paths[field]
        path = found[0].text if found else places[0].text if places else field
        return Refusal(Rule.WAY4_FIELD, violations=(SchemaViolation(path, "value", why),))


def _of(model: Any, prefix: str = "") -> Callable[[str], bool]:
    """Whether a text is a value of one of the contract's types: what comes in here could have come by SOAP."""
    facets = model.Attributes
    pattern = re.compile(facets.pattern)

    def accepts(text: str) -> bool:
        value = text.removeprefix(prefix)
        return facets.min_len <= len(value) <= facets.max_len and pattern.fullmatch(value) is not None

    return accepts
