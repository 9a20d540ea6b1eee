"""Reading delivery receipts (SMPP 3.4, 4.6.1, 5.3.2 and appendix B), as differently as SMSCs write them."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bankapi.settings import IdNotation


class PartState(StrEnum):
    """The end of a short message. Intermediate states are not kept."""

    DELIVERED = "DELIVERED"
    EXPIRED = "EXPIRED"
    DELETED = "DELETED"
    UNDELIVERABLE = "UNDELIVERABLE"
    REJECTED = "REJECTED"


_BY_WORD: Final = {
    "DELIVRD": PartState.DELIVERED,
    "EXPIRED": PartState.EXPIRED,
    "DELETED": PartState.DELETED,
    "UNDELIV": PartState.UNDELIVERABLE,
    "REJECTD": PartState.REJECTED,
}
_BY_NUMBER: Final = {
    2: PartState.DELIVERED,
    3: PartState.EXPIRED,
    4: PartState.DELETED,
    5: PartState.UNDELIVERABLE,
    8: PartState.REJECTED,
}
_ID: Final = re.compile(r"\bid:\s*([0-9A-Za-z-]{1,64})", re.IGNORECASE)
_STATE: Final = re.compile(r"\bstat:\s*([A-Za-z]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Receipt:
    """One message's end."""

    message_id: str
    state: PartState


def is_receipt(esm_class: int | None) -> bool:
    """Whether a deliver_sm is a receipt (SMPP 3.4, 5.2.12: message type in bits 5 to 2)."""
    return (esm_class or 0) & 0x3C == 0x04


def read(
    text: str,
    *,
    receipted_message_id: str | None,
    message_state: int | None,
    response_ids: IdNotation,
    receipt_ids: IdNotation,
) -> Receipt | None:
    """A receipt from its text and its optional parameters, which win; None when it does not tell an end.

    The parameter repeats the id as submit_sm_resp gave it; the text may write the same id in another notation.
    """
    named, worded = _ID.search(text), _STATE.search(text)
    if receipted_message_id:
        message_id = canonical_id(receipted_message_id, response_ids)
    elif named:
        message_id = canonical_id(named[1], receipt_ids)
    else:
        return None
    state = _BY_NUMBER.get(message_state) if message_state is not None else None
    if state is None and message_state is None and worded:
        state = _BY_WORD.get(worded[1].upper()[:7])
    return None if state is None else Receipt(message_id, state)


def canonical_id(text: str, notation: IdNotation) -> str:
    """The same text for the same message, whichever of the two notations it came in."""
    plain = text.strip().lower()
    try:
        match notation:
            case IdNotation.HEX:
                return str(int(plain, 16))
            case IdNotation.DECIMAL:
                return str(int(plain))
            case IdNotation.TEXT:
                return plain
    except ValueError:
        return plain
