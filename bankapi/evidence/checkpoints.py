"""Signed tree heads: a text that fixes the whole journal up to a number of exchanges.

The form is the C2SP signed note and tlog-checkpoint: origin, size, root, our extension line with the time, an empty
line, and the signature line. The signature is the gateway's signing key's (RSA PKCS #1 v1.5 or ECDSA in DER, both
with SHA-256) over everything before the empty line, so that `openssl dgst -sha256 -verify` checks it.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from bankapi.wsse.signing import SigningIdentity
from bankapi.wsse.trust import fingerprint

_NOTE: Final = re.compile(
    r"(?P<text>(?P<origin>[^\n]+)\n(?P<size>0|[1-9][0-9]*)\n(?P<root>[A-Za-z0-9+/]{43}=)\n"
    r"signed-at (?P<signed_at>[0-9TZ:.-]+)\n)\n"
    r"\u2014 (?P<name>[^\n ]+) (?P<signature>[A-Za-z0-9+/=]+)\n"
)
_KEY_ID_BYTES: Final = 4


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
        return self._signature()[:_KEY_ID_BYTES]

    def verify(self, certificate: x509.Certificate) -> None:
        """CheckpointError unless this certificate's key has signed it."""
        text = self.note[: self.note.index("\n\n") + 1].encode()
        signature = self._signature()
        if signature[:_KEY_ID_BYTES] != fingerprint(certificate)[:_KEY_ID_BYTES]:
            raise CheckpointError("signed by another key")
        key = certificate.public_key()
        try:
            if isinstance(key, rsa.RSAPublicKey):
                key.verify(signature[_KEY_ID_BYTES:], text, padding.PKCS1v15(), hashes.SHA256())
            elif isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature[_KEY_ID_BYTES:], text, ec.ECDSA(hashes.SHA256()))
            else:
                raise CheckpointError("the certificate's key cannot have signed it")
        except InvalidSignature as error:
            raise CheckpointError("the signature does not hold") from error

    def _signature(self) -> bytes:
        return base64.b64decode(self.note.rstrip("\n").rpartition(" ")[2])


def sign(origin: str, size: int, root: bytes, identity: SigningIdentity, now: datetime) -> Checkpoint:
    """A checkpoint of the tree of this size."""
    instant = now.astimezone(UTC).replace(microsecond=0)
    text = f"{origin}\n{size}\n{_base64(root)}\nsigned-at {instant:%Y-%m-%dT%H:%M:%SZ}\n"
    key = identity.private_key
    if isinstance(key, rsa.RSAPrivateKey):
        value = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    else:
        value = key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
    key_id = fingerprint(identity.certificate)[:_KEY_ID_BYTES]
    return Checkpoint(origin, size, root, instant, f"{text}\n\u2014 {origin} {_base64(key_id + value)}\n")


def parse(note: str) -> Checkpoint:
    """Read a checkpoint; CheckpointError when it is none. Its signature is still to be verified."""
    found = _NOTE.fullmatch(note)
    if found is None or found["name"] != found["origin"]:
        raise CheckpointError("not a checkpoint")
    try:
        signed_at = datetime.strptime(found["signed_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        signature = base64.b64decode(found["signature"], validate=True)
    except (ValueError, binascii.Error) as error:
        raise CheckpointError("not a checkpoint") from error
    if _base64(signature) != found["signature"] or len(signature) <= _KEY_ID_BYTES:
        raise CheckpointError("not a checkpoint")
    return Checkpoint(found["origin"], int(found["size"]), base64.b64decode(found["root"]), signed_at, note)


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
