"""The journal's rows on their way to examination: each once, the unsealed counted, and the certificates they need."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from sqlalchemy import Connection, Row, Select, case, func, null, select

from bankapi.billing.tables import certificates as registered
from bankapi.evidence import leaves
from bankapi.evidence.exchange_audit import Examined, KeptExchange
from bankapi.evidence.findings import Findings, Kind
from bankapi.evidence.reading import instant, instant_or_none, number, octets, raw
from bankapi.evidence.tables import archives, checkpoints, exchanges, signing_certificates, tree_leaves
from bankapi.evidence.tree_audit import TreeState, content_of
from bankapi.refusals import Refusal
from bankapi.storage.rows import stream
from bankapi.wsse.profile import SecurityProfile
from bankapi.wsse.trust import TrustAnchors, fingerprint

GRACE: Final = timedelta(minutes=10)
"""An exchange may wait so long to be sealed, and a sealed one for a checkpoint, before it is a finding."""


def _exchanges(from_size: int) -> Select[Any]:
    """Every row in its order; of those verified before, without the bodies."""
    is_settled = tree_leaves.c.leaf_index < from_size
    return (
        select(
            *(raw(exchanges.c[name]) for name in ("id", "request_bytes", "signed_created_at", "replay_key")),
            raw(case((is_settled, null()), else_=exchanges.c.request)).label("request"),
            raw(case((is_settled, null()), else_=exchanges.c.answer)).label("answer"),
            raw(tree_leaves.c.leaf_index),
            raw(registered.c.der),
            raw(registered.c.terminal_id).label("certificate_terminal_id"),
            *(raw(column) for column in leaves.COLUMNS),
        )
        .join_from(exchanges, tree_leaves, tree_leaves.c.exchange_row_id == exchanges.c.id, isouter=True)
        .outerjoin(registered, registered.c.fingerprint == exchanges.c.signing_fingerprint)
        .order_by(exchanges.c.id)
    )


class JournalAudit:
    """Gives the exchanges out, and takes account of them."""

    def __init__(
        self,
        connection: Connection,
        findings: Findings,
        tree: TreeState,
        *,
        from_size: int,
        is_strict: bool,
        now: datetime,
    ) -> None:
        self._connection = connection
        self._findings = findings
        self._tree = tree
        self._from_size = from_size
        self._is_strict = is_strict
        self._now = now
        self._carried: str | None = None
        last = connection.execute(select(raw(func.max(archives.c.last_row_id)))).scalar()
        self._archived_row_id = number(last) or 0
        self.total = int(connection.execute(select(func.count()).select_from(exchanges)).scalar_one())
        self.unsealed = self.examined = self.archived = 0
        self._check_duplicates()

    def rows(self) -> Iterator[KeptExchange]:
        """Every exchange once, in the order of its row."""
        last = None
        for row in stream(self._connection, _exchanges(self._from_size)):
            row_id = number(row.id) or -1
            if row_id < 0:
                self._findings.add(Kind.EXCHANGE_FORM, f"exchange {row.exchange_id}", "its row has no number")
                continue
            if row_id == last:
                continue  # a second leaf of this row, which the tree's audit has found
            last = row_id
            kept = self._kept(row, row_id)
            if row.leaf_index is None:
                self._count_unsealed(row_id, kept.content.exchange_id, kept.content.answered_at)
            yield kept

    def take(self, exchange: Examined) -> None:
        """Account for one that was examined."""
        place = f"exchange {exchange.content.exchange_id}"
        self._findings.extend(exchange.findings)
        self.examined += not exchange.is_settled
        self.archived += exchange.archived
        if exchange.archived and (self._is_strict or exchange.row_id > self._archived_row_id):
            is_archived = exchange.row_id <= self._archived_row_id
            what = "a body is not here" if is_archived else "a body is gone that was never archived"
            self._findings.add(Kind.BODY_MISSING, place, what)
        note = exchange.answered and exchange.answered.checkpoint
        if note and note != self._carried:
            self._carried = note
            size = note.split("\n")[1] if note.count("\n") > 1 else ""
            stored = select(raw(checkpoints.c.note)).where(checkpoints.c.tree_size == _whole(size))
            if note not in self._connection.execute(stored).scalars():
                self._findings.add(Kind.CHECKPOINT_NOT_KEPT, place, f"its answer carries a checkpoint of size {size}")

    def _kept(self, row: Row[Any], row_id: int) -> KeptExchange:
        return KeptExchange(
            row_id=row_id,
            content=content_of(row[-len(leaves.COLUMNS) :]),
            request_bytes=number(row.request_bytes),
            request=octets(row.request),
            answer=octets(row.answer),
            signed_created_at=instant_or_none(row.signed_created_at),
            replay_key=octets(row.replay_key),
            certificate=octets(row.der),
            certificate_terminal_id=number(row.certificate_terminal_id),
            is_settled=isinstance(row.leaf_index, int) and row.leaf_index < self._from_size,
        )

    def _count_unsealed(self, row_id: int, exchange_id: str, answered_at: datetime) -> None:
        self.unsealed += 1
        is_overtaken = row_id < self._tree.exchange_row_id_max
        if self._is_strict or (is_overtaken and self._now - answered_at > GRACE):
            what = "it is not sealed, though later ones are" if is_overtaken else "it is not sealed"
            self._findings.add(Kind.EXCHANGE_UNSEALED, f"exchange {exchange_id}", what)

    def _check_duplicates(self) -> None:
        """What is unique, also when somebody took the database's own keys away."""
        for columns in ((exchanges.c.exchange_id,), (exchanges.c.signed_created_at, exchanges.c.replay_key)):
            twice = (
                select(raw(func.min(exchanges.c.exchange_id)).label("exchange_id"))
                .where(columns[-1].is_not(None))
                .group_by(*columns)
                .having(func.count() > 1)
            )
            for (exchange_id,) in stream(self._connection, twice):
                name = " and ".join(column.name for column in columns)
                self._findings.add(Kind.EXCHANGE_DUPLICATE, f"exchange {exchange_id}", f"a second row has its {name}")


def kept_certificates(
    connection: Connection,
    findings: Findings,
    authorities: Iterable[x509.Certificate],
    profile: SecurityProfile,
) -> Mapping[bytes, x509.Certificate]:
    """What the journal keeps of the gateway's signing certificates, as far as it is what it should be."""
    trust = TrustAnchors(authorities)
    found: dict[bytes, x509.Certificate] = {}
    columns = signing_certificates.c
    query = select(raw(columns.fingerprint), raw(columns.der), raw(columns.used_from)).order_by(columns.used_from)
    for row in stream(connection, query):
        place = f"signing certificate {(octets(row.fingerprint) or b'').hex()}"
        try:
            certificate = x509.load_der_x509_certificate(octets(row.der) or b"")
            trust.check(certificate, profile=profile, now=instant(row.used_from))
        except Exception as error:  # a changed certificate: the parser's exceptions are not one family
            why = error.rule.journal_name if isinstance(error, Refusal) else "not a certificate"
            findings.add(Kind.CERTIFICATE, place, f"it could not sign when it was first used: {why}")
            continue
        name = fingerprint(certificate)
        if name != octets(row.fingerprint):
            findings.add(Kind.CERTIFICATE, place, "the certificate has another fingerprint")
        elif name in found:
            findings.add(Kind.CERTIFICATE, place, "a second row has it")
        found[name] = certificate
    return found


def _whole(digits: str) -> int:
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else -1
