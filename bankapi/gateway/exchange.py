"""The way of one request. Read this first.

    identify → receive → parse → check → verify → admit → perform → sign → append

Each step ends in a type that proves it, made by one module only, and the next step takes only that type: steps
cannot be skipped or reordered. What is performed is rebuilt from the bytes the signature covers. Everything a
request changes, its evidence included, is committed in one transaction before the answer leaves.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from lxml import etree
from sqlalchemy import Connection
from ulid import ULID

from bankapi.billing import card_ranges, terminals
from bankapi.billing.terminals import Terminal
from bankapi.clock import Clock
from bankapi.contract.application import Contract, card_bin, exchange_header, requested_language
from bankapi.evidence import exchanges
from bankapi.evidence.exchanges import Exchange, SignedRequest
from bankapi.evidence.sealing import NewestCheckpoint
from bankapi.gateway import admission, deadlines, envelope, faults, monitoring, tls
from bankapi.gateway.conformity import Conformity
from bankapi.gateway.journal import where
from bankapi.languages import choosing
from bankapi.languages.texts import DEFAULT_LANGUAGE
from bankapi.monitoring.watch import Door, Observer, Stage, Watch
from bankapi.notices.outbox import Outbox
from bankapi.operations.call import Call
from bankapi.refusals import Failure, FaultCode, Refusal, ResultCode, Rule
from bankapi.storage.engine import STORAGE_ERRORS, Store
from bankapi.wsse import signing, verification
from bankapi.wsse.profile import SecurityProfile
from bankapi.wsse.signing import SigningIdentity
from bankapi.wsse.trust import CertificateReference, CertificateReferenceKind, TrustAnchors
from bankapi.wsse.verification import VerifiedEnvelope

journal: Final = logging.getLogger("bankapi.journal")


@dataclass(frozen=True, slots=True)
class Gateway:
    """What every exchange needs; one per process."""

    contract: Contract
    conformity: Conformity
    profile: SecurityProfile
    trust: TrustAnchors
    identity: SigningIdentity
    store: Store
    clock: Clock
    checkpoints: NewestCheckpoint
    outbox: Outbox | None
    """None when the installation sends no SMS."""
    patience_s: float
    """A request that waited longer for its turn is refused as OVERLOADED: better a quick no than a late yes."""
    observer: Observer


@dataclass(frozen=True, slots=True)
class SignedAnswer:
    """The last step: bytes that may leave, because their evidence is committed."""

    body: bytes
    is_fault: bool


@dataclass(slots=True)
class _Progress:
    """How far this request came: what is known of it when it ends early."""

    exchange_id: str
    received_at: datetime
    watch: Watch
    request: bytes = b""
    tls_fingerprint: bytes | None = None
    verified: VerifiedEnvelope | None = None
    operation: str | None = None
    language: str = DEFAULT_LANGUAGE
    """What to refuse in: English until a signature holds, then what was asked for, then what was chosen."""

    def keep(self, request: bytes) -> None:
        self.request = request


def answer(gateway: Gateway, environ: Mapping[str, Any]) -> SignedAnswer:
    """Answer one HTTP request. Never raises: whatever goes wrong is a signed fault and a journal line."""
    waited_s = deadlines.waited_s(environ)
    progress = _Progress(str(ULID()), gateway.clock(), Watch(Door.SOAP, waited_s))
    try:
        peer = tls.identify(environ)
        progress.tls_fingerprint = peer.fingerprint
        received = envelope.receive(environ, progress.keep)
        if waited_s > gateway.patience_s:
            raise Failure(FaultCode.OVERLOADED)
        parsed = envelope.parse(received)
        if parsed.operation in gateway.contract.operations:  # the caller's name reaches no journal
            progress.operation = parsed.operation
        conforming = gateway.conformity.check(parsed)
        progress.watch.passed(Stage.CHECK)
        progress.verified = verified = verification.verify(
            conforming.envelope,
            profile=gateway.profile,
            trust=gateway.trust,
            now=gateway.clock(),
            find_certificate=lambda reference: _registered_certificate(gateway, reference),
        )
        progress.language = requested_language(verified.body) or DEFAULT_LANGUAGE
        progress.watch.passed(Stage.VERIFY)

        def perform(connection: Connection) -> SignedAnswer:
            progress.watch.passed(Stage.TURN)
            terminal = admission.admit(connection, peer, verified, gateway.clock())
            return _perform(gateway, connection, progress, verified, terminal)

        signed = gateway.store.write(perform)
        progress.watch.passed(Stage.COMMIT)
        return signed
    except STORAGE_ERRORS as error:
        return _unavailable(gateway, progress, error)
    except Exception as error:
        return _refuse(gateway, progress, error)
    finally:
        gateway.observer.ended(progress.watch, progress.operation, progress.exchange_id)


def _perform(
    gateway: Gateway, connection: Connection, progress: _Progress, verified: VerifiedEnvelope, terminal: Terminal
) -> SignedAnswer:
    """Do what an admitted terminal asks, and keep the evidence. Nothing is committed here."""
    language = choosing.choose(
        requested=requested_language(verified.body),
        card=lambda: card_ranges.language_of(connection, card_bin(verified.body)),
        terminal=terminal.language,
        dealer=terminal.dealer_language,
    )
    progress.language = language
    call = Call(
        connection,
        terminal,
        gateway.clock(),
        language,
        progress.exchange_id,
        gateway.outbox,
        gateway.observer.lateness.is_late,
    )
    done = gateway.contract.dispatch(verified.body, call)
    progress.watch.outcome = str(done.result)
    progress.watch.event = monitoring.event_of(done.operation, verified.body, done.answer, done.result, terminal)
    progress.watch.passed(Stage.PERFORM)
    signed = _sign(gateway, progress, done.answer)
    exchanges.append(connection, _evidence(gateway, progress, signed, str(done.result), terminal_id=terminal.id))
    progress.watch.passed(Stage.SIGN)
    return SignedAnswer(signed, is_fault=False)


def _unavailable(gateway: Gateway, progress: _Progress, error: Exception) -> SignedAnswer:
    """The database cannot: nothing was decided, and nothing can be kept but a line in the log."""
    if progress.verified is None or progress.operation is None:
        return _refuse(gateway, progress, error)
    cause = faults.cause_of(error)
    progress.watch.did_not_commit(ResultCode.TEMPORARILY_UNAVAILABLE, type(error).__name__)
    extra = {"exchange_id": progress.exchange_id, "rule": cause.rule, "operation": progress.operation}
    journal.error("unavailable", extra={**extra, "failure": type(error).__name__, "where": where(error)})
    answer = gateway.contract.unavailable(progress.operation, progress.language, gateway.clock())
    return SignedAnswer(_sign(gateway, progress, answer), is_fault=False)


def _refuse(gateway: Gateway, progress: _Progress, error: Exception) -> SignedAnswer:
    """Say no, or that we are broken: one journal line, one evidence row of its own, one signed fault."""
    cause = faults.cause_of(error)
    progress.watch.refused(cause.code, cause.rule)
    fault = faults.fault(cause, progress.exchange_id, progress.language)
    signed = _sign(gateway, progress, fault)
    journal.warning(
        "refused",
        extra={
            "exchange_id": progress.exchange_id,
            "rule": cause.rule,
            "fault": str(cause.code),
            "operation": progress.operation,
            "tls_fingerprint": progress.tls_fingerprint and progress.tls_fingerprint.hex(),
            "where": None if isinstance(error, Refusal | Failure) else where(error),
        },
    )
    if isinstance(error, Failure):
        return SignedAnswer(signed, is_fault=True)  # nothing was verified, and the database may be what is slow
    if isinstance(error, Refusal) and error.rule in (Rule.WSSE_REPLAY, Rule.CARD_NUMBER):
        progress.verified = None  # a replayed signature is kept already; a card number is never kept
    evidence = _evidence(gateway, progress, signed, str(cause.code), rule=cause.rule)
    try:
        try:
            gateway.store.write(lambda connection: exchanges.append(connection, evidence))
        except Refusal:  # this signature was refused before: the request is kept already, but not this refusal of it
            again = replace(evidence, signed=None)
            gateway.store.write(lambda connection: exchanges.append(connection, again))
    except Exception as failure:
        journal.error(
            "refusal not kept", extra={"exchange_id": progress.exchange_id, "failure": type(failure).__name__}
        )
    return SignedAnswer(signed, is_fault=True)


def _sign(gateway: Gateway, progress: _Progress, payload: etree._Element) -> bytes:
    header = exchange_header(
        progress.exchange_id, exchanges.request_digest(progress.request), gateway.checkpoints.newest()
    )
    return signing.sign_envelope(payload, gateway.identity, now=gateway.clock(), headers=(header,))


def _evidence(
    gateway: Gateway,
    progress: _Progress,
    answer: bytes,
    outcome: str,
    *,
    rule: str | None = None,
    terminal_id: int | None = None,
) -> Exchange:
    verified = progress.verified
    return Exchange(
        exchange_id=progress.exchange_id,
        received_at=progress.received_at,
        answered_at=gateway.clock(),
        operation=progress.operation,
        outcome=outcome,
        rule=rule,
        terminal_id=terminal_id,
        tls_fingerprint=progress.tls_fingerprint,
        signed=None
        if verified is None
        else SignedRequest(verified.fingerprint, verified.created_at, verified.replay_key),
        request=progress.request,
        answer=answer,
    )


def _registered_certificate(gateway: Gateway, reference: CertificateReference) -> x509.Certificate | None:
    """The one registered certificate a token reference names; None when there is none, or more than one."""
    match reference.kind:
        case CertificateReferenceKind.ISSUER_SERIAL:
            key: tuple[str, str | bytes] = ("serial_number", str(reference.serial_number))
        case CertificateReferenceKind.SUBJECT_KEY_IDENTIFIER:
            key = ("subject_key_identifier", reference.value)
        case CertificateReferenceKind.THUMBPRINT_SHA1:
            key = ("thumbprint_sha1", reference.value)
    with gateway.store.read() as connection:
        found = terminals.signing_certificates(connection, *key)
    certificates = [x509.load_der_x509_certificate(der) for der in found]
    named = [certificate for certificate in certificates if reference.names(certificate)]
    return named[0] if len(named) == 1 else None
