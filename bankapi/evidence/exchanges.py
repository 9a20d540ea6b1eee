"""The exchange journal: one row per request and its answer, in the transaction of what the request did."""

import hashlib
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from bankapi.evidence.tables import exchanges
from bankapi.refusals import Refusal, Rule

_INSERT: Final = exchanges.insert().inline()
_LEVEL: Final = 1
"""The fastest zlib level: base64 and XML give most of their redundancy at once."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What the signature of a verified request fixes."""

    signing_fingerprint: bytes
    created_at: datetime
    replay_key: bytes


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer. `signed` is None when no signature proves who sent it.

    The request of such a one is kept by its digest only, unless it is `receipted`: a request of a kind that carries
    no signature, from an admitted channel. Both are then copies that hold nothing we must not keep, and the answer
    is our signed receipt with what was answered (`receipts`).
    """

    exchange_id: str
    received_at: datetime
    answered_at: datetime
    operation: str | None
    outcome: str
    rule: str | None
    terminal_id: int | None
    tls_fingerprint: bytes | None
    signed: SignedRequest | None
    request: bytes
    answer: bytes
    receipted: bool = False


def request_digest(request: bytes) -> bytes:
    """SHA-256 of the request as received: what the answer names, and what we keep of the unverified."""
    return hashlib.sha256(request).digest()


def append(connection: Connection, exchange: Exchange) -> None:
    """Keep one exchange. Refuses with WSSE_REPLAY when this signature was accepted before."""
    signed = exchange.signed
    row = {
        "exchange_id": exchange.exchange_id,
        "received_at": exchange.received_at,
        "answered_at": exchange.answered_at,
        "operation": exchange.operation,
        "outcome": exchange.outcome,
        "rule": exchange.rule,
        "terminal_id": exchange.terminal_id,
        "tls_fingerprint": exchange.tls_fingerprint,
        "signing_fingerprint": signed and signed.signing_fingerprint,
        "request_bytes": len(exchange.request),
        "request_digest": request_digest(exchange.request),
        "answer_digest": hashlib.sha256(exchange.answer).digest(),
        "request": zlib.compress(exchange.request, _LEVEL) if signed or exchange.receipted else None,
        "answer": zlib.compress(exchange.answer, _LEVEL),
        "signed_created_at": signed and signed.created_at,
        "replay_key": signed and signed.replay_key,
    }
    try:
        connection.execute(_INSERT, row)
    except IntegrityError as error:
        # The only key a caller can repeat is the signature's; the exchange id is ours and random.
        raise Refusal(Rule.WSSE_REPLAY) from error
