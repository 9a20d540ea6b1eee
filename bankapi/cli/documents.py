"""Between the contract's XML and the plain names a command line prints."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lxml import etree

from bankapi.contract.types import NAMESPACE

_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_REPEATED: Final = frozenset({"ReceiptLine", "Violation", "Transaction", "DealerBalance", "Line", "Difference"})
_BOOLEANS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Amount:
    """A decimal as it is typed, and its ISO 4217 currency."""

    value: str
    currency: str


Fields = Sequence[tuple[str, "str | Amount | Fields"]]
"""Element names with their content, in the contract's order."""


def request_element(operation: str, fields: Fields) -> etree._Element:
    """The request element of an operation."""
    element = etree.Element(f"{{{NAMESPACE}}}{operation}Request", nsmap={None: NAMESPACE})  # type: ignore[dict-item]  # the stubs forget the default namespace
    _fill(element, fields)
    return element


def _fill(element: etree._Element, fields: Fields) -> None:
    for name, content in fields:
        child = etree.SubElement(element, f"{{{NAMESPACE}}}{name}")
        if isinstance(content, str):
            child.text = content
        elif isinstance(content, Amount):
            child.text = content.value
            child.set("currency", content.currency)
        else:
            _fill(child, content)


def answer_fields(element: etree._Element) -> dict[str, Any]:
    """An answer with snake_case names. `Result` is unfolded, so that `code`, `message` and `retry` stand on top."""
    fields: dict[str, Any] = {}
    for child in element.iterchildren("*"):
        name = etree.QName(child).localname
        if name == "Result":
            fields.update(answer_fields(child))
        elif name in _REPEATED:
            fields.setdefault(f"{_snake(name)}s", []).append(_content(child))
        else:
            fields[_snake(name)] = _content(child)
    return fields


def _content(element: etree._Element) -> Any:
    if len(element):
        return answer_fields(element)
    text = element.text or ""
    currency = element.get("currency")
    if currency is not None:
        return {"amount": text, "currency": currency}
    return _BOOLEANS.get(text, text)


def _snake(name: str) -> str:
    return _WORD.sub("_", name).lower()
