"""A channel's client, for tests and demos: sends bytes over mutual TLS, and looks at the receipt that comes back."""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from bankapi.evidence import notes, receipts
from bankapi.evidence.notes import NoteError
from bankapi.evidence.receipts import Receipt, ReceiptError
from bankapi.gateway import envelope, keys, tls
from bankapi.gateway.caller import Caller
from bankapi.refusals import Refusal
from bankapi.way4.exchange import RECEIPT_HEADER, SALT_HEADER
from bankapi.wsse.trust import fingerprint


class ReceiptNotTrusted(Exception):
    """The receipt is not the gateway's, or not of the message that was sent."""


@dataclass(frozen=True)
class Reply:
    """An answer as it came. `receipt` is None when nothing was kept of the exchange."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    receipt: Receipt | None

    @property
    def root(self) -> etree._Element:
        return envelope.parse_document(self.body)

    @property
    def is_success(self) -> bool:
        return self.root.get("resp_class") == "I"


class ChannelClient:
    """Whoever may call `/way4`: a dealer's channel, or a terminal for itself."""

    def __init__(
        self, url: str, *, certificate: Path, key: Path, ca: Path, gateway_certificates: Iterable[Path]
    ) -> None:
        self._caller = Caller(url, tls.client_context(certificate, key, ca))
        signers = [keys.load_certificate(file) for file in gateway_certificates]
        self._signers = {fingerprint(signer): signer for signer in signers}

    def send(self, message: bytes, media_type: str = "text/xml; charset=utf-8") -> Reply:
        """POST the bytes over a kept-alive connection.

        OSError when the gateway cannot be reached, ReceiptNotTrusted when the receipt does not prove itself.
        """
        response = self._caller.post(message, {"Content-Type": media_type})
        return Reply(response.status, response.headers, response.body, self._receipt(message, response.headers))

    def close(self) -> None:
        self._caller.close()

    def _receipt(self, message: bytes, headers: Mapping[str, str]) -> Receipt | None:
        if RECEIPT_HEADER not in headers:
            return None
        try:
            receipt = receipts.read(b64decode(headers[RECEIPT_HEADER], validate=True))
            salt = b64decode(headers[SALT_HEADER], validate=True)
            name = notes.signature_of(receipt.note)[1][: notes.KEY_ID_BYTES]
            signer = next((self._signers[each] for each in self._signers if each.startswith(name)), None)
            if signer is None:
                raise ReceiptNotTrusted("the receipt is not signed by the gateway")
            notes.verify(receipt.note, signer)
        except (ReceiptError, NoteError, Base64Error, KeyError, Refusal) as error:
            raise ReceiptNotTrusted(f"the receipt does not hold: {error}") from error
        # Of a message that is refused by its length nothing is read.
        possible = (message, b"") if receipt.rule is not None else (message,)
        if receipt.received_digest not in (receipts.received_digest(salt, each) for each in possible):
            raise ReceiptNotTrusted("the receipt is of another message")
        return receipt
