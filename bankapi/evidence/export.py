"""A folder per payment that a third party verifies with xmlsec1 and openssl alone; with a receipt, openssl is enough.

Everything in it is a copy of what is kept, byte for byte; what is made here is the path through the tree. Before a
folder is written, the path is followed once: what would not prove itself is not exported.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from importlib import resources
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import ColumnElement, Connection, func, select

from bankapi.billing.tables import cancellations, dealers, payments
from bankapi.billing.tables import certificates as registered
from bankapi.evidence import archive, claims, leaves, notes, receipts, sealing, tree
from bankapi.evidence.checkpoints import Checkpoint
from bankapi.evidence.exchange_audit import BodyDamaged, kept_body
from bankapi.evidence.leaves import LeafContent
from bankapi.evidence.notes import NoteError
from bankapi.evidence.receipts import ReceiptError
from bankapi.evidence.tables import exchanges, signing_certificates, tree_leaves
from bankapi.evidence.tree_audit import is_signed_by
from bankapi.refusals import Refusal
from bankapi.wsse import verification
from bankapi.wsse.profile import SecurityProfile
from bankapi.wsse.trust import TrustAnchors, fingerprint

_TEMPLATES: Final = {"verify.sh": "verify.sh", "README.txt": "proof.txt"}
CANCELLATION: Final = "cancellation"


class ExportRefused(Exception):
    """This cannot be exported; the sentence says why."""


@dataclass(frozen=True, slots=True)
class ExportedPayment:
    """A payment with the exchanges that made it what it is."""

    payment_id: str
    reference: str
    exchange_id: str
    cancellation_exchange_id: str | None


@dataclass(frozen=True, slots=True)
class Sources:
    """What a proof is made from, beside the journal."""

    authorities: Sequence[x509.Certificate]
    profile: SecurityProfile
    archives: Sequence[Path] = ()
    """Files that bodies were moved to."""


def find(
    connection: Connection,
    *,
    payment_id: str | None = None,
    dealer: str | None = None,
    reference: str | None = None,
    days: tuple[date, date] | None = None,
) -> Iterator[ExportedPayment]:
    """The payments that are meant, each with its exchanges."""
    conditions: list[ColumnElement[bool]] = []
    if payment_id is not None:
        conditions.append(payments.c.id == payment_id)
    if dealer is not None:
        conditions.append(dealers.c.name == dealer)
    if reference is not None:
        conditions.append(payments.c.reference == reference)
    if days is not None:
        conditions.append(payments.c.business_on.between(*days))
    query = (
        select(payments.c.id, payments.c.reference, payments.c.exchange_id, cancellations.c.exchange_id)
        .join_from(payments, dealers)
        .outerjoin(cancellations, cancellations.c.payment_id == payments.c.id)
        .where(*conditions)
        .order_by(payments.c.id)
    )
    for row in connection.execute(query, execution_options={"yield_per": 256}):
        yield ExportedPayment(*row)


def export(connection: Connection, payment: ExportedPayment, sources: Sources, folder: Path) -> None:
    """Write the proof of one payment into a new folder."""
    checkpoint = sealing.latest_checkpoint(connection)
    if checkpoint is None:
        raise ExportRefused("there is no checkpoint yet; make one with: bankapi audit seal")
    files = _exchange_files(connection, payment.exchange_id, checkpoint, sources)
    if payment.cancellation_exchange_id is not None:
        cancelled = _exchange_files(connection, payment.cancellation_exchange_id, checkpoint, sources)
        files |= {f"{CANCELLATION}/{name}": content for name, content in cancelled.items()}
    files["ca.pem"] = b"".join(_pem(certificate) for certificate in sources.authorities)
    for name, template in _TEMPLATES.items():
        files[name] = resources.files("bankapi.evidence").joinpath(template).read_bytes()
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))
    files["SHA256SUMS"] = sums.encode()
    folder.mkdir(parents=True)
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
    (folder / "verify.sh").chmod(0o755)


def _exchange_files(
    connection: Connection, exchange_id: str, checkpoint: Checkpoint, sources: Sources
) -> dict[str, bytes]:
    # Without a signature of the sender there is only its TLS certificate.
    sender = func.coalesce(exchanges.c.signing_fingerprint, exchanges.c.tls_fingerprint)
    query = (
        select(tree_leaves.c.leaf_index, exchanges.c.request, exchanges.c.answer, registered.c.der, *leaves.COLUMNS)
        .join_from(exchanges, tree_leaves, isouter=True)
        .outerjoin(registered, registered.c.fingerprint == sender)
        .where(exchanges.c.exchange_id == exchange_id)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise ExportRefused(f"exchange {exchange_id} is not in the journal")
    leaf_index, content = row[0], leaves.from_row(row[4:])
    if leaf_index is None or leaf_index >= checkpoint.size:
        raise ExportRefused(f"exchange {exchange_id} is under no checkpoint yet; make one with: bankapi audit seal")
    request, answer = _bodies(content, row[1], row[2], sources)
    path = tree.inclusion_proof(leaf_index, checkpoint.size, sealing.stored_hashes(connection))
    if tree.root_from_inclusion(content.hash(), leaf_index, checkpoint.size, path) != checkpoint.root:
        raise ExportRefused(f"exchange {exchange_id} is not what was sealed: run bankapi audit verify")
    signers = _signing_certificates(connection)
    sides = _sides(leaf_index, checkpoint.size)
    messages = _receipted_files if receipts.is_receipt(answer) else _signed_files
    return {
        **messages(content, request, answer, row[3], signers, sources),
        "leaf.txt": content.text(),
        "proof.txt": "".join(
            f"{side} {base64.b64encode(each).decode()}\n" for side, each in zip(sides, path, strict=True)
        ).encode(),
        "checkpoint.txt": checkpoint.note.encode(),
        "checkpoint-cert.pem": _pem(_checkpoint_signer(checkpoint, signers)),
    }


def _signed_files(
    content: LeafContent,
    request: bytes,
    answer: bytes,
    der: bytes | None,
    signers: Mapping[bytes, x509.Certificate],
    sources: Sources,
) -> dict[str, bytes]:
    return {
        "request.xml": request,
        "answer.xml": answer,
        "terminal-cert.pem": _pem(_terminal_certificate(content, request, der, sources)),
        "gateway-cert.pem": _pem(_answer_signer(content, answer, signers, sources)),
    }


def _receipted_files(
    content: LeafContent,
    request: bytes,
    answer: bytes,
    der: bytes | None,
    signers: Mapping[bytes, x509.Certificate],
    sources: Sources,
) -> dict[str, bytes]:
    """The copies that are kept, and the receipt that our key has signed for them."""
    name = content.exchange_id
    if der is None:
        raise ExportRefused(f"the TLS certificate of exchange {name} is not registered")
    try:
        note, copied = receipts.split(answer)
        key_id = notes.signature_of(note.decode())[1][: notes.KEY_ID_BYTES]
        signer = next((signers[each] for each in signers if each.startswith(key_id)), None)
        if signer is None:
            raise ExportRefused(f"the receipt of exchange {name} was not signed by the gateway")
        notes.verify(note.decode(), signer)
    except (ReceiptError, NoteError, UnicodeDecodeError) as error:
        raise ExportRefused(f"the receipt of exchange {name} does not verify: {error}") from error
    return {
        "request.xml": request,
        "answer.xml": copied,
        "receipt.txt": note,
        "channel-cert.pem": _pem(x509.load_der_x509_certificate(der)),
        "gateway-cert.pem": _pem(signer),
    }


def _bodies(content: LeafContent, request: bytes | None, answer: bytes | None, sources: Sources) -> tuple[bytes, bytes]:
    """Both messages, from the journal or from an archive; what they are is what the leaf says."""
    name = content.exchange_id
    if answer is not None and request is not None:
        try:
            return kept_body(request, content.request_digest), kept_body(answer, content.answer_digest)
        except BodyDamaged as error:
            raise ExportRefused(f"exchange {name} is damaged: {error}") from error
    for file in sources.archives:
        try:
            sent, given = archive.read(file, name)
        except archive.ArchiveError:
            continue
        if sent is not None and (_digest(sent), _digest(given)) == (content.request_digest, content.answer_digest):
            return sent, given
    raise ExportRefused(f"the messages of exchange {name} are in an archive; name it with --archive")


def _terminal_certificate(
    content: LeafContent, request: bytes, der: bytes | None, sources: Sources
) -> x509.Certificate:
    """The registered certificate, or the one that the message carries."""
    if der is not None:
        return x509.load_der_x509_certificate(der)
    return _signer(content, request, (), sources, content.received_at)


def _answer_signer(
    content: LeafContent, answer: bytes, signers: Mapping[bytes, x509.Certificate], sources: Sources
) -> x509.Certificate:
    found = _signer(content, answer, list(signers.values()), sources, content.answered_at)
    if fingerprint(found) not in signers:
        raise ExportRefused(f"the answer of exchange {content.exchange_id} was not signed by the gateway")
    return found


def _signer(
    content: LeafContent, message: bytes, known: Sequence[x509.Certificate], sources: Sources, at: datetime
) -> x509.Certificate:
    try:
        return verification.verify(
            claims.parse(message),
            profile=sources.profile,
            trust=TrustAnchors(sources.authorities),
            now=at,
            find_certificate=lambda reference: next((each for each in known if reference.names(each)), None),
        ).certificate
    except Refusal as refusal:
        what = f"a signature of exchange {content.exchange_id} does not verify: {refusal.rule.journal_name}"
        raise ExportRefused(what) from refusal


def _checkpoint_signer(checkpoint: Checkpoint, signers: Mapping[bytes, x509.Certificate]) -> x509.Certificate:
    for certificate in signers.values():
        if is_signed_by(checkpoint, (certificate,)):
            return certificate
    raise ExportRefused(f"checkpoint {checkpoint.size} is not signed by a known certificate")


def _signing_certificates(connection: Connection) -> dict[bytes, x509.Certificate]:
    rows = connection.execute(select(signing_certificates.c.fingerprint, signing_certificates.c.der))
    return {bytes(name): x509.load_der_x509_certificate(der) for name, der in rows}


def _sides(leaf_index: int, size: int) -> Iterator[str]:
    """On which side each hash of an inclusion proof stands, from below (RFC 9162 section 2.1.3.2)."""
    position, last = leaf_index, size - 1
    while last:
        if position % 2 == 1 or position == last:
            yield "L"
            while position % 2 == 0 and position:
                position, last = position // 2, last // 2
        else:
            yield "R"
        position, last = position // 2, last // 2


def _digest(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
