"""The configuration of the adapter: `way4.ini` in the home; the file of that name beside this module is the demo's.

Message codes and places are a matter of each Way4 installation, so that none of them is in the program. What a file
leaves out of [paths], [references], [time], [amounts] and [resp_codes] is as in the demo's; [messages], [access] and
[terminals] are the file's alone.
"""

import re
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as FileError
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path as File
from typing import Final
from zoneinfo import ZoneInfo

from bankapi.contract.codes import PRECEDENCE
from bankapi.refusals import FaultCode, ResultCode
from bankapi.settings import SettingsError
from bankapi.way4 import currencies
from bankapi.way4.paths import Path, PathError
from bankapi.way4.references import Template, TemplateError

INFORMATION: Final = "Information"
"""Stands for the message code of an inquiry, which has none."""
DEALER_ZONE: Final = "dealer"
_FREE: Final = ("messages", "terminals")
"""Sections whose options have names of the installation's own."""


class Operation(StrEnum):
    """What a message code may mean: the contract's operations by the names that the file uses."""

    VALIDATE = "ValidatePayment"
    REGISTER = "RegisterPayment"
    CANCEL = "CancelPayment"
    STATUS = "GetPaymentStatus"
    BALANCE = "GetBalance"
    STATEMENT = "GetMiniStatement"


class Field(StrEnum):
    """What is looked for in a message."""

    TERMINAL = "terminal"
    MSISDN = "msisdn"
    ACCOUNT = "account"
    CUSTOMER = "customer"
    AMOUNT = "amount"
    CURRENCY = "currency"
    FEE_AMOUNT = "fee_amount"
    FEE_CURRENCY = "fee_currency"
    LOCAL_AT = "local_at"
    RRN = "rrn"
    SRN = "srn"
    AUTHORIZATION_CODE = "authorization_code"
    VALIDATION_ID = "validation_id"
    CARD = "card"
    LANGUAGE = "language"
    STATEMENT_FROM = "statement_from"
    STATEMENT_TO = "statement_to"
    STATEMENT_MAX = "statement_max"


OUTCOMES: Final = (
    *(code for code in ResultCode if any(code in str(step).split() for each in Operation for step in PRECEDENCE[each])),
    ResultCode.TEMPORARILY_UNAVAILABLE,
    *FaultCode,
)
"""Everything that an answer can come to: what the operations can answer by the contract, and every fault."""


class ConfigurationError(SettingsError):
    """The file contradicts itself or names what does not exist; the text names every mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What an installation of Way4 and ours have agreed on."""

    operations: Mapping[str, Operation]
    """Message code, with the codes beside it, → operation."""
    dealers: frozenset[str]
    """Whose messages are taken although they carry no signature."""
    terminals: Mapping[str, str]
    paths: Mapping[Field, tuple[Path, ...]]
    references: tuple[Template, ...]
    payment_id: str
    """The ParmCode of our payment id in answers."""
    validation_id: str
    zone: ZoneInfo | None
    """Of local times; None means the zone of the terminal's dealer."""
    currency: str | None
    """Of messages that name none."""
    resp_codes: Mapping[ResultCode | FaultCode, str]

    def operation(self, code: str, service: str | None, extension: str | None) -> Operation | None:
        """What a message asks for, by the entry that says most; None when no entry is about it."""
        beside = (f"+{service}/{extension}", f"+/{extension}", f"+{service}", "")
        return next((self.operations[code + each] for each in beside if code + each in self.operations), None)

    def terminal(self, contract_number: str) -> str:
        """The name of our terminal with a contract number."""
        return self.terminals.get(contract_number, contract_number)


def default_text() -> str:
    """The demo's file."""
    return resources.files("bankapi.way4").joinpath("way4.ini").read_text(encoding="utf-8")


def load(file: File) -> Configuration | None:
    """Read the file; None when there is none, ConfigurationError when it makes no sense."""
    if not file.exists():
        return None
    return read(file.read_text(encoding="utf-8"), str(file))


def read(text: str, name: str) -> Configuration:
    """The configuration of a file's text; `name` is what its mistakes are reported under."""
    default, given = _sections(default_text(), "way4.ini"), _sections(text, name)
    reader = _Reader(name)
    for section, options in given.items():
        if section not in default:
            reader.mistake(f"no such section [{section}]")
        elif section not in _FREE:
            for option in options.keys() - default[section].keys():
                reader.mistake(f"no such option in [{section}]: {option}")
    values = {section: {**options, **given.get(section, {})} for section, options in default.items()}
    configuration = Configuration(
        operations=reader.operations(given.get("messages", {})),
        dealers=reader.dealers(given.get("access", {}).get("dealers", "")),
        terminals=given.get("terminals", {}),
        paths={field: reader.paths(field, values["paths"][field]) for field in Field},
        references=reader.templates(values["references"]["reference"]),
        payment_id=reader.code("references", "payment_id", values["references"]["payment_id"]),
        validation_id=reader.code("references", "validation_id", values["references"]["validation_id"]),
        zone=reader.zone(values["time"]["zone"]),
        currency=reader.currency(values["amounts"]["currency"]),
        resp_codes=reader.resp_codes(values["resp_codes"]),
    )
    reader.check(configuration)
    if reader.mistakes:
        raise ConfigurationError("; ".join(reader.mistakes))
    return configuration


def _sections(text: str, name: str) -> dict[str, dict[str, str]]:
    file = ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",), strict=True)
    file.optionxform = str  # type: ignore[assignment,method-assign]  # codes and contract numbers keep their case
    try:
        file.read_string(text, name)
    except FileError as error:
        raise ConfigurationError(" ".join(str(error).split())) from error
    return {section: dict(file[section]) for section in file.sections()}


class _Reader:
    """Reads values and gathers what is wrong with them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.mistakes: list[str] = []

    def mistake(self, sentence: str) -> None:
        self.mistakes.append(f"{self.name}: {sentence}")

    def operations(self, given: Mapping[str, str]) -> dict[str, Operation]:
        known = {operation.name.lower(): operation for operation in Operation}
        found: dict[str, Operation] = {}
        for code, name in given.items():
            if not re.fullmatch(r"[^\s+/]+(\+[^\s+/]*(/[^\s+/]+)?)?", code) or code.endswith("+"):
                self.mistake(f"{code} in [messages] is no message code, nor one with +ServiceCode/TransTypeExtension")
            elif name not in known:
                self.mistake(f"{code} in [messages] must be one of {', '.join(known)}")
            else:
                found[code] = known[name]
        if not given:
            self.mistake("[messages] names no message code, so that nothing would be answered")
        return found

    def dealers(self, text: str) -> frozenset[str]:
        if not text.split():
            self.mistake("dealers in [access] names nobody, so that everybody would be refused")
        return frozenset(text.split())

    def paths(self, field: Field, text: str) -> tuple[Path, ...]:
        found = []
        for each in text.split():
            try:
                found.append(Path.read(each))
            except PathError as error:
                self.mistake(f"{field} in [paths]: {each} {error}")
        return tuple(found)

    def templates(self, text: str) -> tuple[Template, ...]:
        found = []
        for each in text.split():
            try:
                found.append(Template.read(each))
            except TemplateError as error:
                self.mistake(f"reference in [references]: {each} {error}")
        if not found:
            self.mistake("reference in [references] must say how a payment's reference is made")
        return tuple(found)

    def code(self, section: str, option: str, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,32}", value):
            self.mistake(f"{option} in [{section}] must be a code of letters and digits")
        return value

    def zone(self, name: str) -> ZoneInfo | None:
        if name == DEALER_ZONE:
            return None
        try:
            return ZoneInfo(name)
        except (ValueError, OSError, KeyError):
            self.mistake(f"zone in [time] must be a time zone such as Europe/Moscow, or {DEALER_ZONE}")
            return None

    def currency(self, code: str) -> str | None:
        if code and currencies.alphabetic(code) is None:
            self.mistake("currency in [amounts] is no currency of ISO 4217")
        return currencies.alphabetic(code) if code else None

    def resp_codes(self, given: Mapping[str, str]) -> dict[ResultCode | FaultCode, str]:
        outcomes = {str(outcome): outcome for outcome in OUTCOMES}
        found = {outcomes[name]: value for name, value in given.items() if name in outcomes}
        for outcome in OUTCOMES:
            if outcome not in found:
                self.mistake(f"[resp_codes] has no code for {outcome}")
            elif not re.fullmatch(r"[A-Za-z0-9]{1,10}", found[outcome]):
                self.mistake(f"{outcome} in [resp_codes] must be 1 to 10 letters and digits")
            elif outcome is not ResultCode.OK and found[outcome] == found.get(ResultCode.OK):
                self.mistake(f"{outcome} in [resp_codes] has the code of OK: a no would look like a yes")
        return found

    def check(self, configuration: Configuration) -> None:
        """What no value can be blamed for alone."""
        needs: dict[str, tuple[Field, ...]] = {
            "terminal": (Field.TERMINAL,),
            "payer": (Field.MSISDN, Field.ACCOUNT, Field.CUSTOMER),
            "amount": (Field.AMOUNT,),
            "local_at": (Field.LOCAL_AT,),
        }
        for need, fields in needs.items():
            if not any(configuration.paths[field] for field in fields):
                self.mistake(f"[paths] names no place for {need if len(fields) == 1 else ' or '.join(fields)}")
        if not configuration.paths[Field.CURRENCY] and configuration.currency is None:
            self.mistake("[paths] names no place for currency, and [amounts] no currency")
        for template in configuration.references:
            for part in template.fields:
                if not configuration.paths[Field(part)]:
                    self.mistake(f"reference in [references] needs {part}, for which [paths] names no place")
        if configuration.payment_id == configuration.validation_id:
            self.mistake("payment_id and validation_id in [references] must differ")
