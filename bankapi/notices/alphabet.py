"""From a text to short messages: GSM 7-bit (3GPP TS 23.038, 6.2.1) where it can say it, UCS-2 where it cannot.

smpplib's own splitter cuts escape sequences and surrogate pairs in two; here a character stays whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPE: Final = 0x1B
_EXTENSION: Final = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}
_GSM: Final = {
    **{character: bytes((code,)) for code, character in enumerate(_BASIC) if code != _ESCAPE},
    **{character: bytes((_ESCAPE, code)) for character, code in _EXTENSION.items()},
}

GSM_CODING: Final = 0x00
UCS2_CODING: Final = 0x08
"""data_coding (SMPP 3.4, 5.2.19)."""

_ROOM: Final = {GSM_CODING: (160, 153), UCS2_CODING: (140, 134)}
"""Octets as SMPP carries them, one for each septet: alone, and in each of several parts."""
PARTS_MAX: Final = 8


class TextTooLong(ValueError):
    """More parts than anybody wants to get."""


@dataclass(frozen=True, slots=True)
class ShortMessages:
    """A text as the payloads of one or more short messages. Several begin with a user data header."""

    data_coding: int
    payloads: tuple[bytes, ...]


def split(text: str, reference: int) -> ShortMessages:
    """Encode and split; `reference` (0 to 255) ties the parts together on the phone."""
    coding, characters = _encode(text)
    alone, each = _ROOM[coding]
    whole = b"".join(characters)
    if len(whole) <= alone:
        return ShortMessages(coding, (whole,))
    chunks = _chunks(characters, each)
    if len(chunks) > PARTS_MAX:
        raise TextTooLong(f"{len(chunks)} parts")
    # Concatenated short messages, 8-bit reference (3GPP TS 23.040, 9.2.3.24.1).
    headers = (bytes((0x05, 0x00, 0x03, reference, len(chunks), number)) for number in range(1, len(chunks) + 1))
    return ShortMessages(coding, tuple(header + chunk for header, chunk in zip(headers, chunks, strict=True)))


def _encode(text: str) -> tuple[int, list[bytes]]:
    if all(character in _GSM for character in text):
        return GSM_CODING, [_GSM[character] for character in text]
    return UCS2_CODING, [character.encode("utf-16-be") for character in text]


def _chunks(characters: Sequence[bytes], size: int) -> list[bytes]:
    chunks = [b""]
    for character in characters:
        if len(chunks[-1]) + len(character) > size:
            chunks.append(b"")
        chunks[-1] += character
    return chunks
