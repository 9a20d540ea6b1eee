"""Card numbers in texts: finding them, and masking them (ISO/IEC 7812, PCI DSS requirement 3).

A number counts when a known issuer could have given it and its check digit holds; its digits may stand in groups.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

_DIGIT_GROUPS: Final = re.compile(r"\d(?:[ -]?\d){12,}")
_UUID: Final = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}(?![0-9a-fA-F])")
"""RFC 9562, with or without hyphens: one in four thousand holds digits that look like a card number."""
_ISSUERS: Final = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})"  # Visa
    r"|(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|220[0-4]\d{12,15}"  # Mir
    r"|(?:6011|64[4-9]\d|65\d{2})\d{12,15}"  # Discover
    r"|(?:62|81)\d{14,17}"  # UnionPay
    r"|35(?:2[89]|[3-8]\d)\d{12,15}"  # JCB
    r"|3(?:0[0-5]|[689]\d)\d{11,16}"  # Diners Club
    r"|(?:50|5[6-8]|6\d)\d{11,17}"  # Maestro
    r"|9792\d{12}"  # Troy
)
_CANDIDATES_MAX: Final = 10_000
"""More numbers than that are in no message of ours: it is refused rather than searched for a second."""
_LUHN_OF_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)

BIN_DIGITS: Final = 6
LAST_DIGITS: Final = 4


def are_in(texts: Iterable[str]) -> bool:
    """Is there a card number in any of the texts, or more numbers than can be looked at?"""
    return any(
        count >= _CANDIDATES_MAX or is_card_number(_digits(each)) for count, each in enumerate(_candidates(texts))
    )


def are_too_many(texts: Iterable[str]) -> bool:
    """Are there more numbers in the texts than can be looked at?"""
    return any(count >= _CANDIDATES_MAX for count, _ in enumerate(_candidates(texts)))


def masked(text: str) -> str:
    """The text with the digits of every card number between its first six and last four hidden."""
    if len(text) < 13:
        return text
    hidden = {at for run in _runs(text) for at in _hidden(run)}
    return "".join("*" if at in hidden else character for at, character in enumerate(text)) if hidden else text


def is_card_number(digits: str) -> bool:
    """Could this be a primary account number? Decimal digits of any script."""
    if not digits.isascii():  # Unicode has digits of many scripts
        digits = "".join(str(int(digit)) for digit in digits)
    if not _ISSUERS.fullmatch(digits):
        return False
    reverse = [int(digit) for digit in reversed(digits)]
    return (sum(reverse[::2]) + sum(_LUHN_OF_DOUBLED[digit] for digit in reverse[1::2])) % 10 == 0


def _candidates(texts: Iterable[str]) -> Iterator[str]:
    """Runs of 13 to 19 digits, the digits of one number in groups perhaps."""
    return (run[0][start:end] for text in texts for run in _runs(text) for start, end in _spans(run[0]))


def _runs(text: str) -> Iterator[re.Match[str]]:
    """Runs of at least 13 digits, in groups perhaps, at their places; a UUID is none."""
    return _DIGIT_GROUPS.finditer(_UUID.sub(_without_uuid, text))


def _without_uuid(found: re.Match[str]) -> str:
    """Digits alone are no UUID that anybody makes: they are looked at."""
    return "u" * len(found[0]) if re.search("[a-fA-F]", found[0]) else found[0]


def _spans(run: str) -> Iterator[tuple[int, int]]:
    """Where 13 to 19 digits of a run stand: each span of whole groups is one."""
    groups = [(found.start(), found.end()) for found in re.finditer(r"\d+", run)]
    for first, (start, _) in enumerate(groups):
        count = 0
        for begin, end in groups[first : first + 19]:
            count += end - begin
            if count > 19:
                break
            if count >= 13:
                yield start, end


def _hidden(run: re.Match[str]) -> Iterator[int]:
    """The places in the text that are masked because of one run."""
    for start, end in _spans(run[0]):
        at = [place for place in range(start, end) if run[0][place].isdecimal()]
        if is_card_number("".join(run[0][place] for place in at)):
            yield from (run.start() + place for place in at[BIN_DIGITS:-LAST_DIGITS])


def _digits(span: str) -> str:
    return span.replace(" ", "").replace("-", "")
