"""One kept exchange: its bytes, its two signatures, and that row, request and answer say the same.

Pure functions over one row, so that they can run in any process; what the signed messages claim comes back, to be
compared with the books. Where a request carries no signature, our signed receipt stands for both.
"""

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography import x509
from lxml import etree

from bankapi.evidence import claims, notes, receipts
from bankapi.evidence.claims import Answered, Asked
from bankapi.evidence.findings import Finding, Kind
from bankapi.evidence.leaves import LeafContent
from bankapi.evidence.notes import NoteError
from bankapi.evidence.receipts import Receipt, ReceiptError
from bankapi.refusals import Refusal, Rule
from bankapi.wsse import verification
from bankapi.wsse.profile import SecurityProfile
from bankapi.wsse.trust import CertificateReference, TrustAnchors, fingerprint
from bankapi.wsse.verification import VerifiedEnvelope

BODY_BYTES_MAX: Final = 16 * 1024 * 1024
"""No message of ours is as long: what unpacks to more was put there."""
_OF_THE_INSTANT: Final = (Rule.WSSE_TIMESTAMP_FUTURE, Rule.WSSE_CERTIFICATE_VALIDITY)


@dataclass(frozen=True, slots=True)
class KeptExchange:
    """One row of the journal, bodies still compressed."""

    row_id: int
    content: LeafContent
    request_bytes: int | None
    request: bytes | None
    answer: bytes | None
    signed_created_at: datetime | None
    replay_key: bytes | None
    certificate: bytes | None
    """The registered certificate of the signing fingerprint, for requests that do not carry it."""
    certificate_terminal_id: int | None
    is_settled: bool
    """Verified by an earlier audit, and fixed by the tree since: its bodies were not even read."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found, and what the signed messages say as far as they hold."""

    row_id: int
    content: LeafContent
    findings: tuple[Finding, ...] = ()
    archived: int = 0
    asked: Asked | None = None
    answered: Answered | None = None
    is_settled: bool = False


@dataclass(frozen=True, slots=True)
class Examination:
    """By what exchanges are examined: everything is plain bytes, so that it can be sent to another process."""

    authorities: tuple[bytes, ...]
    """DER of the CAs."""
    signers: tuple[bytes, ...]
    """DER of every certificate the gateway has signed with."""
    profile: SecurityProfile


class BodyDamaged(ValueError):
    """What is kept is not the message that was sent or answered."""


def kept_body(packed: bytes, digest: bytes) -> bytes:
    """The message that was kept; BodyDamaged when that is not the one of this SHA-256, and nothing else."""
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(packed, BODY_BYTES_MAX)
    except zlib.error as error:
        raise BodyDamaged("the kept bytes cannot be unpacked") from error
    if not unpacker.eof or unpacker.unused_data or unpacker.unconsumed_tail:
        raise BodyDamaged("the kept bytes cannot be unpacked")
    if hashlib.sha256(found).digest() != digest:
        raise BodyDamaged("the kept bytes have another SHA-256 than was recorded")
    return found


class Examiner:
    """Examines exchanges, one per process."""

    def __init__(self, by: Examination) -> None:
        self._profile = by.profile
        self._trust = TrustAnchors(x509.load_der_x509_certificate(der) for der in by.authorities)
        signers = [x509.load_der_x509_certificate(der) for der in by.signers]
        self._signers = {fingerprint(certificate): certificate for certificate in signers}

    def examine_all(self, exchanges: Sequence[KeptExchange]) -> list[Examined]:
        return [self.examine(exchange) for exchange in exchanges]

    def examine(self, kept: KeptExchange) -> Examined:
        """Everything one exchange can be asked."""
        if kept.is_settled:
            return Examined(kept.row_id, kept.content, is_settled=True)
        found = _Found(f"exchange {kept.content.exchange_id}")
        found.form(kept)
        answer_body = found.body(kept.answer, kept.content.answer_digest, Kind.ANSWER_BYTES)
        if answer_body is not None and receipts.is_receipt(answer_body):
            return self._examine_receipt(kept, answer_body, found)
        request = self._request(kept, found)
        answer = None if answer_body is None else self._answer(kept, answer_body, found)
        asked = None if request is None else claims.asked(request)
        answered = None if answer is None else claims.answered(answer)
        if request is not None:
            self._check_row(kept, request, found)
        if asked is not None and kept.content.operation not in (None, asked.operation):
            found.add(Kind.EXCHANGE_DIFFERS, "the signed request asks for another operation")
        if answered is not None:
            _check_answer(kept.content, answered, found)
        return Examined(kept.row_id, kept.content, tuple(found.findings), found.archived, asked, answered)

    def _request(self, kept: KeptExchange, found: "_Found") -> VerifiedEnvelope | None:
        """The verified request; None when it is not kept, or does not hold."""
        if kept.content.signing_fingerprint is None:
            if kept.request is not None:
                found.add(Kind.EXCHANGE_FORM, "a request is kept that nobody signed")
            return None
        body = found.request(kept)
        if body is None:
            return None
        registered = None if kept.certificate is None else _loaded(kept.certificate)
        certificates = [] if registered is None else [registered]
        instants = (kept.content.received_at, kept.content.answered_at)
        return self._verified(body, instants, certificates, found, Kind.REQUEST_SIGNATURE)

    def _examine_receipt(self, kept: KeptExchange, answer_body: bytes, found: "_Found") -> Examined:
        """An exchange whose request carries no signature: everything hangs on our own."""
        if kept.content.signing_fingerprint is not None:
            found.add(Kind.EXCHANGE_FORM, "a signed request has a receipt for an answer")
        if kept.request is not None or kept.content.request_digest != receipts.NOTHING_KEPT:
            found.request(kept)
        receipt = self._receipt(kept.content, answer_body, found)
        if receipt is None:
            return Examined(kept.row_id, kept.content, tuple(found.findings), found.archived)
        _check_answer(kept.content, receipt.answered, found)
        _check_receipt(kept.content, receipt, found)
        findings = tuple(found.findings)
        return Examined(kept.row_id, kept.content, findings, found.archived, receipt.asked, receipt.answered)

    def _receipt(self, content: LeafContent, answer_body: bytes, found: "_Found") -> Receipt | None:
        """The receipt that the gateway has signed; None when it does not hold."""
        try:
            note, answer = receipts.split(answer_body)
            receipt = receipts.read(note)
        except ReceiptError:
            found.add(Kind.ANSWER_SIGNATURE, "it has the beginning of a receipt, and is none")
            return None
        if hashlib.sha256(answer).digest() != receipt.answer_digest:
            found.add(Kind.ANSWER_BYTES, "the answer is not the one that its receipt names")
        for name, certificate in self._signers.items():
            if name.startswith(notes.signature_of(receipt.note)[1][: notes.KEY_ID_BYTES]):
                try:
                    notes.verify(receipt.note, certificate)
                    self._check_signer(certificate, content)
                except (NoteError, Refusal) as error:
                    why = error.rule.journal_name if isinstance(error, Refusal) else str(error)
                    found.add(Kind.ANSWER_SIGNATURE, f"the receipt does not verify: {why}")
                    return None
                return receipt
        found.add(Kind.ANSWER_SIGNATURE, "the receipt is not signed by the gateway")
        return None

    def _check_signer(self, certificate: x509.Certificate, content: LeafContent) -> None:
        """The certificate must have been valid, as for a signed message (`_verified`)."""
        try:
            self._trust.check(certificate, profile=self._profile, now=content.answered_at)
        except Refusal as refusal:
            if refusal.rule not in _OF_THE_INSTANT:
                raise
            self._trust.check(certificate, profile=self._profile, now=content.received_at)

    def _answer(self, kept: KeptExchange, body: bytes, found: "_Found") -> VerifiedEnvelope | None:
        instants = (kept.content.answered_at, kept.content.received_at)
        answer = self._verified(body, instants, self._signers.values(), found, Kind.ANSWER_SIGNATURE)
        if answer is not None and answer.fingerprint not in self._signers:
            found.add(Kind.ANSWER_SIGNATURE, "signed, but not by the gateway")
            return None
        return answer

    def _verified(
        self,
        message: bytes,
        instants: tuple[datetime, datetime],
        certificates: Iterable[x509.Certificate],
        found: "_Found",
        kind: Kind,
    ) -> VerifiedEnvelope | None:
        def find(reference: CertificateReference) -> x509.Certificate | None:
            return next((each for each in certificates if reference.names(each)), None)

        first, second = instants
        try:
            envelope = claims.parse(message)
            try:
                return verification.verify(
                    envelope, profile=self._profile, trust=self._trust, now=first, find_certificate=find
                )
            except Refusal as refusal:
                if refusal.rule not in _OF_THE_INSTANT:  # the gateway verified it a moment after it was received
                    raise
                return verification.verify(
                    envelope, profile=self._profile, trust=self._trust, now=second, find_certificate=find
                )
        except Refusal as refusal:
            found.add(kind, f"it does not verify: {refusal.rule.journal_name}")
        except (etree.XMLSyntaxError, ValueError, LookupError):
            found.add(kind, "it is no XML document")
        return None

    def _check_row(self, kept: KeptExchange, request: VerifiedEnvelope, found: "_Found") -> None:
        if request.fingerprint != kept.content.signing_fingerprint:
            found.add(Kind.REQUEST_SIGNATURE, "another certificate has signed it than the row says")
        if (request.created_at, request.replay_key) != (kept.signed_created_at, kept.replay_key):
            found.add(Kind.EXCHANGE_DIFFERS, "signing time or replay key are not the request's")
        terminal_id = kept.content.terminal_id
        if kept.certificate is not None and terminal_id not in (None, kept.certificate_terminal_id):
            found.add(Kind.EXCHANGE_DIFFERS, "the signing certificate is another terminal's")


@dataclass
class _Found:
    """The findings at one exchange."""

    place: str
    findings: list[Finding] = field(default_factory=list)
    archived: int = 0

    def add(self, kind: Kind, what: str) -> None:
        self.findings.append(Finding(kind, self.place, what))

    def form(self, kept: KeptExchange) -> None:
        """What the leaf writes as `-` must be absent indeed: a leaf has one meaning."""
        content = kept.content
        texts = (content.operation, content.outcome, content.rule)
        if any(value is not None and value in ("", "-") for value in texts) or content.tls_fingerprint == b"":
            self.add(Kind.EXCHANGE_FORM, "an empty value where there should be none")
        signed = (content.signing_fingerprint, kept.signed_created_at, kept.replay_key)
        if any(value is None for value in signed) != all(value is None for value in signed):
            self.add(Kind.EXCHANGE_FORM, "signer, signing time and replay key are not all there")
        if not 0 <= (kept.request_bytes if kept.request_bytes is not None else -1) <= BODY_BYTES_MAX:
            self.add(Kind.EXCHANGE_FORM, "the request's length is none")

    def request(self, kept: KeptExchange) -> bytes | None:
        """The kept request, as long as the row says."""
        body = self.body(kept.request, kept.content.request_digest, Kind.REQUEST_BYTES)
        if body is not None and len(body) != kept.request_bytes:
            self.add(Kind.REQUEST_BYTES, "the stored length is not the request's")
        return body

    def body(self, packed: bytes | None, digest: bytes, kind: Kind) -> bytes | None:
        """The message whose digest the tree holds."""
        if packed is None:
            self.archived += 1
            return None
        try:
            return kept_body(packed, digest)
        except BodyDamaged as error:
            self.add(kind, str(error))
            return None


def _check_answer(content: LeafContent, answered: Answered, found: _Found) -> None:
    if answered.exchange_id != content.exchange_id:
        found.add(Kind.ANSWER_HEADER, "it names another exchange")
    if answered.request_digest != content.request_digest:
        found.add(Kind.ANSWER_HEADER, "it answers another request")
    if answered.code != content.outcome:
        found.add(Kind.EXCHANGE_DIFFERS, "the outcome is not that of the signed answer")
    if answered.is_fault != (content.rule is not None):
        found.add(Kind.EXCHANGE_DIFFERS, "a rule goes with a fault, and only with it")


def _check_receipt(content: LeafContent, receipt: Receipt, found: _Found) -> None:
    """What the row says beside the answer is in the receipt, too."""
    facts = (
        ("received_at", content.received_at, receipt.received_at),
        ("answered_at", content.answered_at, receipt.answered_at),
        ("tls_fingerprint", content.tls_fingerprint, receipt.tls_fingerprint),
        ("rule", content.rule, receipt.rule),
        ("operation", content.operation, receipt.asked and receipt.asked.operation),
    )
    differing = [name for name, stored, signed in facts if stored != signed]
    if differing:
        found.add(Kind.EXCHANGE_DIFFERS, f"not as the receipt says: {', '.join(differing)}")


def _loaded(der: bytes) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(der)
    except Exception:  # whatever is in the table: it is then no certificate of this signer
        return None
