"""The copy of a message that may be kept: without what must never be stored (PCI DSS requirement 3).

`SecurityData` and `CardExpiry` are emptied. Card numbers keep their first six and last four digits, anywhere; so does
every number of 13 to 19 digits that stands as a ContractNumber where a card may, whether or not it could be one.
"""

import copy
import re
from typing import Final

from lxml import etree

from bankapi.gateway import cards
from bankapi.refusals import Refusal, Rule

_EMPTIED: Final = ("SecurityData", "CardExpiry")
_MAY_BE_CARDS: Final = frozenset({"ContractNumber", "CBSNumber", "RBSNumber"})
_LONG: Final = re.compile(r"(?<!\d)\d{13,19}(?!\d)")


def kept_copy(root: etree._Element, phone: str | None = None) -> bytes:
    """The canonical bytes (Canonical XML 1.0) of a message that may be kept.

    `phone` is the subscriber's number as it was understood: such a number may look like a card's by chance and stays.
    Refuses with CARD_NUMBER a message that hides one where nothing can be masked, in a name, and one with more
    numbers than can be looked at.
    """
    redacted = copy.deepcopy(root)
    if cards.are_in(_names(redacted)):
        raise Refusal(Rule.CARD_NUMBER)
    if cards.are_too_many(_texts(redacted)):
        raise Refusal(Rule.CARD_NUMBER)
    kept = {phone, f"+{phone}"} if phone else set()
    for element in list(redacted.iter()):  # a list, because emptying an element would end the iteration
        if etree.QName(element).localname in _EMPTIED:
            tail = element.tail
            element.clear()
            element.tail = tail
        if element.text and element.text.strip() not in kept:
            element.text = _masked(element)
        if element.tail:
            element.tail = cards.masked(element.tail)
        for name, value in element.attrib.items():
            element.set(name, cards.masked(str(value)))
    etree.cleanup_namespaces(redacted)
    return etree.tostring(redacted, method="c14n")


def _masked(element: etree._Element) -> str:
    text = element.text or ""
    parent = element.getparent()
    if element.tag in _MAY_BE_CARDS and (parent is None or parent.tag != "Source"):
        text = _LONG.sub(_middle_hidden, text)
    return cards.masked(text)


def _middle_hidden(found: re.Match[str]) -> str:
    number, last = found[0], cards.LAST_DIGITS
    return number[: cards.BIN_DIGITS] + "*" * (len(number) - cards.BIN_DIGITS - last) + number[-last:]


def _texts(root: etree._Element) -> list[str]:
    texts = [str(text) for text in root.itertext()]
    return [*texts, *(str(value) for element in root.iter() for value in element.attrib.values())]


def _names(root: etree._Element) -> list[str]:
    names = [str(name) for element in root.iter() for name in (element.tag, *element.attrib)]
    return [*names, *(uri for element in root.iter() for uri in element.nsmap.values())]
