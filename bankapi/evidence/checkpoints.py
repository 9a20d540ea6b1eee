"""Signed tree heads: a text that fixes the whole journal up to a number of exchanges.

The form is the C2SP signed note and tlog-checkpoint: origin, size, root, our extension line with the time, an empty
line, and the signature line (`notes`).
"""

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509

from bankapi.evidence import notes
from bankapi.evidence.notes import NoteError
from bankapi.wsse.signing import SigningIdentity

_TEXT: Final = re.compile(
    r"(?P<origin>[^\n]+)\n(?P<size>0|[1-9][0-9]*)\n(?P<root>[A-Za-z0-9+/]{43}=)\n"
    r"signed-at (?P<signed_at>[0-9TZ:.-]+)\n"
)


class CheckpointError(ValueError):
    """It is no checkpoint, or not one this certificate's key has signed."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed tree head. `note` is the text it was read from or signed as."""

    origin: str
    size: int
    root: bytes
    signed_at: datetime
    note: str

    @property
    def key_id(self) -> bytes:
        """The first four bytes of the SHA-256 of the signing certificate."""
        return notes.signature_of(self.note)[1][: notes.KEY_ID_BYTES]

    def verify(self, certificate: x509.Certificate) -> None:
        """CheckpointError unless this certificate's key has signed it."""
        try:
            notes.verify(self.note, certificate)
        except NoteError as error:
            raise CheckpointError(str(error)) from error


def sign(origin: str, size: int, root: bytes, identity: SigningIdentity, now: datetime) -> Checkpoint:
    """A checkpoint of the tree of this size."""
    instant = now.astimezone(UTC).replace(microsecond=0)
    text = f"{origin}\n{size}\n{_base64(root)}\nsigned-at {instant:%Y-%m-%dT%H:%M:%SZ}\n"
    return Checkpoint(origin, size, root, instant, notes.sign(text, origin, identity))


def parse(note: str) -> Checkpoint:
    """Read a checkpoint; CheckpointError when it is none. Its signature is still to be verified."""
    try:
        name, _ = notes.signature_of(note)
        found = _TEXT.fullmatch(notes.text_of(note))
        if found is None or name != found["origin"]:
            raise CheckpointError("not a checkpoint")
        signed_at = datetime.strptime(found["signed_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError("not a checkpoint") from error
    return Checkpoint(found["origin"], int(found["size"]), base64.b64decode(found["root"]), signed_at, note)


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
