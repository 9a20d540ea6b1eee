"""The way of one UFX request, beside that of a SOAP request (`gateway/exchange`). Read this first.

    identify → receive → parse → check → read → admit → perform → answer → receipt → append

UFX carries no signature that public code shows. Who sent a message is known by TLS alone, and what is kept of it is
our signed word: a receipt over a copy of the message that holds no card data. Everything a request changes, the
receipt included, is committed in one transaction before the answer leaves.
"""

import logging
import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from zoneinfo import ZoneInfo

from lxml import etree
from sqlalchemy import Connection
from ulid import ULID

from bankapi.billing import card_ranges
from bankapi.billing.terminals import Terminal
from bankapi.evidence import exchanges, receipts
from bankapi.evidence.claims import Asked
from bankapi.evidence.exchanges import Exchange
from bankapi.evidence.receipts import Receipt
from bankapi.gateway import deadlines, envelope, faults, monitoring, tls
from bankapi.gateway.exchange import Gateway
from bankapi.gateway.journal import where
from bankapi.languages import catalog, choosing
from bankapi.languages.texts import DEFAULT_LANGUAGE
from bankapi.monitoring.watch import PAYING, Door, PaymentEvent, Stage, Watch
from bankapi.operations.call import Call
from bankapi.refusals import Failure, FaultCode, Refusal, ResultCode
from bankapi.sandbox import installation
from bankapi.storage.engine import STORAGE_ERRORS
from bankapi.way4 import admission, answers, message, performing, reading, redaction, wording
from bankapi.way4.configuration import Configuration
from bankapi.way4.message import Conformity, ParsedMessage
from bankapi.way4.reading import UfxRequest

journal: Final = logging.getLogger("bankapi.journal")
EXCHANGE_HEADER: Final = "Bankapi-Exchange-Id"
RECEIPT_HEADER: Final = "Bankapi-Receipt"
SALT_HEADER: Final = "Bankapi-Receipt-Salt"
CHECKPOINT_HEADER: Final = "Bankapi-Checkpoint"


@dataclass(frozen=True, slots=True)
class Way4:
    """What every exchange with Way4 needs; one per process."""

    gateway: Gateway
    configuration: Configuration
    conformity: Conformity
    origin: str
    """The name of this installation's journal, by which receipts are signed."""
    is_sandbox: bool = False
    """Nothing is done in a database that is not a sandbox's."""


@dataclass(frozen=True, slots=True)
class ReceiptedAnswer:
    """The last step: an HTTP answer that may leave, because its evidence is committed."""

    status: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(slots=True)
class _Progress:
    """How far this request came: what is known of it when it ends early."""

    exchange_id: str
    received_at: datetime
    watch: Watch
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    received: bytes = b""
    tls_fingerprint: bytes | None = None
    parsed: ParsedMessage | None = None
    asked: UfxRequest | None = None
    language: str = DEFAULT_LANGUAGE

    def keep(self, received: bytes) -> None:
        self.received = received


def answer(way4: Way4, environ: Mapping[str, Any]) -> ReceiptedAnswer:
    """Answer one HTTP request. Never raises: whatever goes wrong is an answer and a journal line."""
    gateway = way4.gateway
    waited_s = deadlines.waited_s(environ)
    progress = _Progress(str(ULID()), gateway.clock(), Watch(Door.WAY4, waited_s))
    try:
        peer = tls.identify(environ)
        progress.tls_fingerprint = peer.fingerprint
        received = envelope.receive(environ, progress.keep, message.MEDIA_TYPES)
        if waited_s > gateway.patience_s:
            raise Failure(FaultCode.OVERLOADED)
        progress.parsed = parsed = message.parse(received)
        conforming = way4.conformity.check(parsed)
        progress.asked = asked = reading.read(conforming, way4.configuration)
        progress.language = asked.language or DEFAULT_LANGUAGE
        kept_request = redaction.kept_copy(parsed.root, asked.phone)
        progress.watch.passed(Stage.CHECK)

        def perform(connection: Connection) -> ReceiptedAnswer:
            progress.watch.passed(Stage.TURN)
            terminal = admission.admit(connection, peer, asked.terminal, way4.configuration.dealers, gateway.clock())
            return _perform(way4, connection, progress, parsed.root, asked, kept_request, terminal)

        receipted = gateway.store.write(perform)
        progress.watch.passed(Stage.COMMIT)
        return receipted
    except STORAGE_ERRORS as error:
        return _unavailable(way4, progress, error)
    except Exception as error:
        return _refuse(way4, progress, error)
    finally:
        operation = None if progress.asked is None else progress.asked.operation
        gateway.observer.ended(progress.watch, operation, progress.exchange_id)


def _perform(
    way4: Way4,
    connection: Connection,
    progress: _Progress,
    root: etree._Element,
    asked: UfxRequest,
    kept_request: bytes,
    terminal: Terminal,
) -> ReceiptedAnswer:
    """Do what an admitted terminal asks, and keep the evidence. Nothing is committed here."""
    gateway, configuration = way4.gateway, way4.configuration
    if way4.is_sandbox:
        installation.require_mark(connection)
    language = choosing.choose(
        requested=asked.language,
        card=lambda: card_ranges.language_of(connection, asked.card_bin),
        terminal=terminal.language,
        dealer=terminal.dealer_language,
    )
    progress.language = language
    zone = configuration.zone or ZoneInfo(terminal.time_zone)
    call = Call(connection, terminal, gateway.clock(), language, progress.exchange_id, gateway.outbox)
    done = performing.perform(call, asked, zone)
    progress.watch.outcome = str(done.result)
    progress.watch.event = _event(asked, done, terminal)
    progress.watch.passed(Stage.PERFORM)
    ids = {configuration.payment_id: done.payment_id, configuration.validation_id: done.validation_id}
    answered = answers.answer(
        root,
        code=configuration.resp_codes[done.shown],
        text=catalog.result_message(done.shown, language)[0],
        is_error=done.shown is not ResultCode.OK,
        is_posted=done.is_posted,
        references={code: value for code, value in ids.items() if value is not None},
        data=done.data,
    )
    kept = _Kept(
        outcome=done.result,
        request=kept_request,
        answer=redaction.kept_copy(answered, asked.phone),
        asked=performing.claim_of_request(asked, zone),
        facts=done.answered,
        terminal_id=terminal.id,
    )
    receipted = _append(way4, connection, progress, "200 OK", answered, kept)
    progress.watch.passed(Stage.SIGN)
    return receipted


def _event(asked: UfxRequest, done: performing.Done, terminal: Terminal) -> PaymentEvent | None:
    """What became of a payment, for the first time."""
    if asked.operation not in PAYING or asked.amount is None or done.answered.get("replayed"):
        return None
    return monitoring.event(asked.operation, done.result, done.answered.get("status"), asked.amount, terminal)


def _unavailable(way4: Way4, progress: _Progress, error: Exception) -> ReceiptedAnswer:
    """The database cannot: nothing was decided, and nothing can be kept but a line in the log."""
    if progress.parsed is None or progress.asked is None:
        return _refuse(way4, progress, error)
    progress.watch.did_not_commit(ResultCode.TEMPORARILY_UNAVAILABLE, type(error).__name__)
    extra = {"exchange_id": progress.exchange_id, "operation": progress.asked.operation}
    extra |= {"rule": faults.cause_of(error).rule, "failure": type(error).__name__, "where": where(error)}
    journal.error("unavailable", extra=extra)
    code = ResultCode.TEMPORARILY_UNAVAILABLE
    answered = answers.answer(
        progress.parsed.root,
        code=way4.configuration.resp_codes[code],
        text=catalog.result_message(code, progress.language)[0],
        is_error=True,
    )
    return ReceiptedAnswer("200 OK", answers.written(answered), {EXCHANGE_HEADER: progress.exchange_id})


def _refuse(way4: Way4, progress: _Progress, error: Exception) -> ReceiptedAnswer:
    """Say no, or that we are broken: one journal line, and one evidence row that holds nothing of the message.

    A message that was read as UFX is echoed with HTTP 200; of any other there is nothing to echo.
    """
    cause = faults.cause_of(error)
    progress.watch.refused(cause.code, cause.rule)
    journal.warning(
        "refused",
        extra={
            "exchange_id": progress.exchange_id,
            "rule": cause.rule,
            "fault": str(cause.code),
            "operation": progress.asked and str(progress.asked.operation),
            "tls_fingerprint": progress.tls_fingerprint and progress.tls_fingerprint.hex(),
            "where": None if isinstance(error, Refusal | Failure) else where(error),
        },
    )
    code = way4.configuration.resp_codes[cause.code]
    text = wording.refusal_text(cause.code, cause.rule, cause.violations, progress.language)
    root = None if progress.parsed is None else progress.parsed.root
    answered = answers.answer(root, code=code, text=text, is_error=True)
    status = "200 OK" if root is not None else _STATUSES.get(cause.code, "400 Bad Request")
    if not isinstance(error, Refusal):  # nothing is known of the sender, and the database may be what is slow
        return ReceiptedAnswer(status, answers.written(answered), {EXCHANGE_HEADER: progress.exchange_id})
    bare = etree.tostring(answers.answer(None, code=code, text=text, is_error=True), method="c14n")
    kept = _Kept(outcome=cause.code, rule=cause.rule, answer=bare)
    try:
        return way4.gateway.store.write(lambda connection: _append(way4, connection, progress, status, answered, kept))
    except Exception as failure:
        extra = {"exchange_id": progress.exchange_id, "failure": type(failure).__name__}
        journal.error("refusal not kept", extra=extra)
    return ReceiptedAnswer(status, answers.written(answered), {EXCHANGE_HEADER: progress.exchange_id})


_STATUSES: Final = {FaultCode.OVERLOADED: "503 Service Unavailable", FaultCode.INTERNAL: "500 Internal Server Error"}
"""Where no UFX message was read. The caller's mistakes are 400."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What is kept of an exchange."""

    outcome: str
    rule: str | None = None
    request: bytes = b""
    """Empty when the message was refused: nothing of it is kept."""
    answer: bytes
    asked: Asked | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    terminal_id: int | None = None


def _append(
    way4: Way4, connection: Connection, progress: _Progress, status: str, answered: etree._Element, kept: _Kept
) -> ReceiptedAnswer:
    """Sign the receipt, keep the exchange, and let the answer have the receipt."""
    answered_at = way4.gateway.clock()
    note = _receipt(way4, progress, kept, answered_at)
    exchanges.append(
        connection,
        Exchange(
            exchange_id=progress.exchange_id,
            received_at=progress.received_at,
            answered_at=answered_at,
            operation=None if kept.asked is None else kept.asked.operation,
            outcome=kept.outcome,
            rule=kept.rule,
            terminal_id=kept.terminal_id,
            tls_fingerprint=progress.tls_fingerprint,
            signed=None,
            request=kept.request,
            answer=note + kept.answer,
            receipted=bool(kept.request),
        ),
    )
    headers = {
        EXCHANGE_HEADER: progress.exchange_id,
        RECEIPT_HEADER: b64encode(note).decode(),
        SALT_HEADER: b64encode(progress.salt).decode(),
    }
    checkpoint = way4.gateway.checkpoints.newest()
    if checkpoint is not None:
        headers[CHECKPOINT_HEADER] = b64encode(checkpoint).decode()
    return ReceiptedAnswer(status, answers.written(answered), headers)


def _receipt(way4: Way4, progress: _Progress, kept: _Kept, answered_at: datetime) -> bytes:
    request_digest = exchanges.request_digest(kept.request)
    receipt = Receipt(
        exchange_id=progress.exchange_id,
        received_at=progress.received_at,
        answered_at=answered_at,
        tls_fingerprint=progress.tls_fingerprint,
        request_digest=request_digest,
        received_digest=receipts.received_digest(progress.salt, progress.received),
        answer_digest=sha256(kept.answer).digest(),
        outcome=kept.outcome,
        rule=kept.rule,
        asked=kept.asked,
        answered=performing.claim_of_answer(
            kept.outcome, kept.rule is not None, kept.facts, progress.exchange_id, request_digest
        ),
    )
    return receipts.sign(receipt, way4.origin, way4.gateway.identity).encode()
