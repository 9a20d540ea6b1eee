"""One connection to an SMSC: SMPP 3.4 as transceiver, one request at a time, and a deadline for every answer.

smpplib reads and writes the PDUs. It waits for each piece of a PDU anew and believes any length, so reading is ours.
"""

import logging
import select
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from smpplib import client, consts, smpp

from bankapi.notices import receipts
from bankapi.notices.receipts import Receipt
from bankapi.settings import SMSCSettings

LOG: Final = logging.getLogger("bankapi.notices")
_PDU_MIN_BYTES: Final = 16
_PDU_MAX_BYTES: Final = 70_000
"""A message_payload may have 64 KiB (SMPP 3.4, 5.3.2.32)."""
_DELIVER_SM: Final = 0x00000005
_LISTEN_MAX: Final = 100
"""PDUs taken in a row from an SMSC that does not stop sending them."""
_ASK_AFTER_S: Final = 5.0
"""A connection that was silent for longer is tried before a message is entrusted to it."""


class LinkDown(Exception):
    """The connection cannot be made, or is lost; nothing was submitted."""


class Uncertain(Exception):
    """A message was submitted, and whether it was taken will not be known."""


@dataclass(frozen=True, slots=True)
class ShortMessage:
    """One part as it is submitted."""

    sender: str
    msisdn: str
    data_coding: int
    payload: bytes
    has_header: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What an SMSC said to a submission: a command status (SMPP 3.4, 5.1.3), and the id of a message it took."""

    status: int
    message_id: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A whole PDU that smpplib cannot make sense of: its header is all we know."""

    command_id: int
    status: int
    sequence: int
    command: str = "unreadable"

    def is_response(self) -> bool:
        return bool(self.command_id & 0x80000000)


class Link:
    """A bound session. Not shared between threads."""

    def __init__(
        self,
        name: str,
        smsc: SMSCSettings,
        *,
        timeout_s: float,
        keep_alive_s: float,
        on_receipt: Callable[[Receipt], None],
    ) -> None:
        self.name = name
        self._smsc = smsc
        self._timeout_s = timeout_s
        self._keep_alive_s = keep_alive_s
        self._on_receipt = on_receipt
        self._client = _Client(smsc, timeout_s)
        self._heard_at = 0.0

    def open(self) -> None:
        """Connect, bind as transceiver, and see that it answers. LinkDown when it does not."""
        smsc = self._smsc
        try:
            self._client.connect()
            asked = {"system_id": smsc.system_id, "password": smsc.password, "system_type": smsc.system_type}
            answer = self._ask(smpp.make_pdu("bind_transceiver", client=self._client, **asked))
            if answer.status != consts.SMPP_ESME_ROK:
                raise LinkDown(f"bind refused, status 0x{answer.status:08X}")
            self._client.state = consts.SMPP_CLIENT_STATE_BOUND_TRX
            self._ask(smpp.make_pdu("enquire_link", client=self._client))
        except LinkDown:
            self.close()
            raise
        except Exception as error:  # smpplib and the network fail in many ways
            self.close()
            raise LinkDown(type(error).__name__) from error

    def submit(self, message: ShortMessage) -> Answer:
        """Submit one message and wait for the answer. LinkDown before it has left, Uncertain after."""
        self.listen(0)
        if time.monotonic() - self._heard_at > _ASK_AFTER_S:
            self._enquire()
        request = smpp.make_pdu("submit_sm", client=self._client, **_submission(message))
        try:
            answer = self._ask(request)
        except Exception as error:
            self.close()
            raise Uncertain(type(error).__name__) from error
        message_id = receipts.canonical_id(_text(getattr(answer, "message_id", b"")), self._smsc.response_ids)
        return Answer(int(answer.status), message_id)

    def listen(self, wait_s: float) -> None:
        """Take what the SMSC sends by itself, for this long; keep an idle connection alive."""
        until = time.monotonic() + wait_s
        try:
            for _ in range(_LISTEN_MAX):
                if not self._client.is_readable(max(0.0, until - time.monotonic())):
                    break
                self._act_on(self._read())
            idle = time.monotonic() - self._heard_at > self._keep_alive_s
        except LinkDown:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise LinkDown(type(error).__name__) from error
        if idle:
            self._enquire()

    def close(self) -> None:
        """Unbind without waiting for long, and disconnect. May be called twice."""
        self._client.leave()

    def _enquire(self) -> None:
        try:
            self._ask(smpp.make_pdu("enquire_link", client=self._client))
        except Exception as error:
            self.close()
            raise LinkDown(type(error).__name__) from error

    def _ask(self, request: Any) -> Any:
        """Send a request and wait for its own answer; what comes in between is acted on."""
        deadline = time.monotonic() + self._timeout_s
        self._client.send_pdu(request)
        while True:
            pdu = self._read(deadline)
            if pdu.is_response() and pdu.sequence == request.sequence:
                return pdu
            begun = time.monotonic()
            self._act_on(pdu)
            deadline += time.monotonic() - begun  # the time is the SMSC's, not our database's

    def _read(self, deadline: float | None = None) -> Any:
        self._client.deadline = deadline or time.monotonic() + self._timeout_s
        pdu = self._client.read_pdu()
        self._heard_at = time.monotonic()
        return pdu

    def _act_on(self, pdu: Any) -> None:
        if pdu.command == "deliver_sm":
            self._answer("deliver_sm_resp", pdu, self._delivered(pdu))
        elif pdu.command == "enquire_link":
            self._answer("enquire_link_resp", pdu)
        elif pdu.command == "unbind":
            self._answer("unbind_resp", pdu)
            raise LinkDown("unbound by the SMSC")
        elif isinstance(pdu, Unreadable) and not pdu.is_response():
            # Refused for good, or the SMSC would send it again and again.
            if pdu.command_id == _DELIVER_SM:
                self._answer("deliver_sm_resp", pdu, consts.SMPP_ESME_RX_R_APPN)
            else:
                self._answer("generic_nack", pdu, consts.SMPP_ESME_RINVCMDID)

    def _answer(self, command: str, request: Any, status: int = consts.SMPP_ESME_ROK) -> None:
        answer = smpp.make_pdu(command, client=self._client, status=status)
        answer.sequence = request.sequence
        self._client.send_pdu(answer)

    def _delivered(self, pdu: Any) -> int:
        """Have a receipt kept; the SMSC sends it again when that fails. Anything else is of no interest."""
        if not receipts.is_receipt(pdu.esm_class):
            return int(consts.SMPP_ESME_ROK)
        payload = pdu.short_message or getattr(pdu, "message_payload", None) or b""
        is_ucs2 = pdu.data_coding == consts.SMPP_ENCODING_ISO10646
        receipt = receipts.read(
            payload.decode("utf-16-be" if is_ucs2 else "latin-1", "replace"),
            receipted_message_id=_text(getattr(pdu, "receipted_message_id", None)),
            message_state=getattr(pdu, "message_state", None),
            response_ids=self._smsc.response_ids,
            receipt_ids=self._smsc.receipt_ids,
        )
        if receipt is not None:
            try:
                self._on_receipt(receipt)
            except Exception as error:
                LOG.error("a receipt could not be kept", extra={"failure": type(error).__name__})
                return int(consts.SMPP_ESME_RX_T_APPN)
        return int(consts.SMPP_ESME_ROK)


class _Client(client.Client):  # type: ignore[misc]  # smpplib has no types
    """smpplib's connection with an absolute deadline for a PDU. It logs what it sends, passwords included: not here."""

    _socket: Any
    state: Any

    def __init__(self, smsc: SMSCSettings, timeout_s: float) -> None:
        quiet = logging.getLogger("bankapi.notices.smpplib")
        quiet.disabled = True
        super().__init__(smsc.host, smsc.port, timeout_s, logger_name=quiet.name, allow_unknown_opt_params=True)
        self.deadline = 0.0

    def is_readable(self, wait_s: float) -> bool:
        return bool(select.select([self._socket], [], [], wait_s)[0])

    def read_pdu(self) -> Any:
        """One PDU. What cannot be read ends nothing: the next one begins where this one's length says."""
        length = self._recv_exact(4)
        if not _PDU_MIN_BYTES <= int.from_bytes(length) <= _PDU_MAX_BYTES:
            raise LinkDown("a PDU of an impossible length")
        raw = length + self._recv_exact(int.from_bytes(length) - len(length))
        try:
            return smpp.parse_pdu(raw, client=self, allow_unknown_opt_params=True)
        except Exception:
            return Unreadable(*struct.unpack(">LLL", raw[4:_PDU_MIN_BYTES]))

    def leave(self) -> None:
        connection, self._socket = self._socket, None
        if connection is None:
            return
        try:
            if self.state == consts.SMPP_CLIENT_STATE_BOUND_TRX:
                connection.settimeout(1.0)
                connection.sendall(smpp.make_pdu("unbind", client=self).generate())
        except OSError:
            pass  # it is gone, as we want it
        finally:
            connection.close()
            self.state = consts.SMPP_CLIENT_STATE_CLOSED

    def _recv_exact(self, exact_size: int) -> bytes:
        received = bytearray()
        while len(received) < exact_size:
            left_s = self.deadline - time.monotonic()
            if left_s <= 0:
                raise LinkDown("no answer in time")
            self._socket.settimeout(left_s)
            if not (piece := self._socket.recv(exact_size - len(received))):
                raise LinkDown("closed by the SMSC")
            received += piece
        self._socket.settimeout(self.timeout)
        return bytes(received)


def _submission(message: ShortMessage) -> dict[str, Any]:
    """The parameters of submit_sm (SMPP 3.4, 4.4.1), with a receipt asked for, whatever the end."""
    ton, npi = (1, 1) if message.sender.isdecimal() and len(message.sender) > 6 else (0, 1)
    if not message.sender.isdecimal():
        ton, npi = consts.SMPP_TON_ALNUM, consts.SMPP_NPI_UNK
    return {
        "source_addr_ton": ton,
        "source_addr_npi": npi,
        "source_addr": message.sender,
        "dest_addr_ton": consts.SMPP_TON_INTL,
        "dest_addr_npi": consts.SMPP_NPI_ISDN,
        "destination_addr": message.msisdn,
        "esm_class": consts.SMPP_GSMFEAT_UDHI if message.has_header else 0,
        "registered_delivery": consts.SMPP_SMSC_DELIVERY_RECEIPT_BOTH,
        "data_coding": message.data_coding,
        "short_message": message.payload,
    }


def _text(value: bytes | str | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else value.rstrip(b"\0").decode("latin-1")
