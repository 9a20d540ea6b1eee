"""Cursors: where a page of a report ended, as one opaque word.

A cursor holds the sort key of the last row, never a page number, so pages neither repeat nor skip rows while others
are being added. A digest binds it to its question and keeps it whole, against mistakes: it is no signature, so whoever
reads a key takes any values for possible.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Final

_BOUND_BYTES: Final = 8
_SEPARATOR: Final = "\n"


class CursorRefused(ValueError):
    """It is damaged, or it is from another question."""


def cursor(question: str, key: Sequence[str]) -> str:
    """The cursor after the row with this key, in the answer to this question."""
    text = _SEPARATOR.join(key).encode()
    return base64.urlsafe_b64encode(_bound(question, text) + text).decode().rstrip("=")


def key_of(question: str, given: str, parts: int) -> list[str]:
    """The key a cursor holds; CursorRefused when this question never gave such a one."""
    try:
        octets = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True)
        key = octets[_BOUND_BYTES:].decode().split(_SEPARATOR)
    except (binascii.Error, ValueError) as error:
        raise CursorRefused("not a cursor") from error
    if len(key) != parts or cursor(question, key) != given:
        raise CursorRefused("a cursor of another question")
    return key


def _bound(question: str, text: bytes) -> bytes:
    digest = hashlib.sha256(question.encode()).digest()
    return hashlib.sha256(digest + text).digest()[:_BOUND_BYTES]
