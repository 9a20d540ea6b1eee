"""Signed notes (C2SP signed-note): a text that fixes a fact, and the line that signs it.

A text of lines, an empty line, and `— origin signature`. The signature is that of the gateway's signing key (RSA
PKCS #1 v1.5 or ECDSA in DER, both with SHA-256) over everything before the empty line, in base64 after the first four
bytes of the certificate's SHA-256, so that `openssl dgst -sha256 -verify` checks it.
"""

import base64
import binascii
import re
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from bankapi.wsse.signing import SigningIdentity
from bankapi.wsse.trust import fingerprint

KEY_ID_BYTES: Final = 4
_SIGNATURE_LINE: Final = re.compile(r"\u2014 (?P<name>[^\n ]+) (?P<signature>[A-Za-z0-9+/=]+)\n")


class NoteError(ValueError):
    """It is no signed note, or not one this certificate's key has signed."""


def sign(text: str, origin: str, identity: SigningIdentity) -> str:
    """The note of a text, which ends with a newline and has no empty line."""
    key = identity.private_key
    if isinstance(key, rsa.RSAPrivateKey):
        value = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    else:
        value = key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
    key_id = fingerprint(identity.certificate)[:KEY_ID_BYTES]
    return f"{text}\n\u2014 {origin} {base64.b64encode(key_id + value).decode()}\n"


def text_of(note: str) -> str:
    """What is signed."""
    return note[: note.index("\n\n") + 1]


def signature_of(note: str) -> tuple[str, bytes]:
    """Who signs by its name, and the key id with the signature; NoteError when the note has another form."""
    text, between, line = note.partition("\n\n")
    found = _SIGNATURE_LINE.fullmatch(line)
    if not text or not between or found is None:
        raise NoteError("not a signed note")
    try:
        octets = base64.b64decode(found["signature"], validate=True)
    except binascii.Error as error:
        raise NoteError("not a signed note") from error
    if base64.b64encode(octets).decode() != found["signature"] or len(octets) <= KEY_ID_BYTES:
        raise NoteError("not a signed note")
    return found["name"], octets


def verify(note: str, certificate: x509.Certificate) -> None:
    """NoteError unless this certificate's key has signed it."""
    _, octets = signature_of(note)
    key_id, signature = octets[:KEY_ID_BYTES], octets[KEY_ID_BYTES:]
    if key_id != fingerprint(certificate)[:KEY_ID_BYTES]:
        raise NoteError("signed by another key")
    key, text = certificate.public_key(), text_of(note).encode()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, text, ec.ECDSA(hashes.SHA256()))
        else:
            raise NoteError("the certificate's key cannot have signed it")
    except InvalidSignature as error:
        raise NoteError("the signature does not hold") from error
