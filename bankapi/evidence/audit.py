"""The audit: the whole journal, tree and books, verified in one snapshot and in flat memory.

    tree        every leaf is its exchange, every node its leaves, every checkpoint the tree of its size, and signed
    exchanges   every kept byte has its digest, both signatures hold at their time, the answer names its request
    payments    every row says what was signed, and every signed answer has its row
    ledger      everything sums to zero, and nothing is booked twice or for nothing

Two checkpoints whose roots are both those of one tree are consistent with each other: that needs no proof here.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from multiprocessing import get_context
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection

from bankapi.evidence.checkpoints import Checkpoint
from bankapi.evidence.exchange_audit import Examination, Examined, Examiner, KeptExchange
from bankapi.evidence.findings import Findings, Kind, Report
from bankapi.evidence.journal_audit import GRACE, JournalAudit, kept_certificates
from bankapi.evidence.ledger_audit import check_ledger
from bankapi.evidence.payment_audit import PaymentAudit
from bankapi.evidence.reading import snapshot
from bankapi.evidence.tree_audit import TreeAudit, TreeState
from bankapi.storage.engine import Store
from bankapi.wsse.profile import SecurityProfile
from bankapi.wsse.trust import fingerprint

Progress = Callable[[int, int], None]
"""Told how many exchanges of how many are done."""

PROCESSES_FROM: Final = 2_000
"""So many exchanges are worth starting other processes for."""
_CHUNK: Final = 64
_AHEAD_MAX: Final = 4
"""Chunks under way per process: results come in order, and a slow one must not let the others run away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """By what an audit judges."""

    authorities: Sequence[x509.Certificate]
    """The CAs that certificates must come from."""
    profile: SecurityProfile
    now: datetime
    certificates: Sequence[x509.Certificate] = ()
    """Signing certificates of the gateway beside those the journal keeps."""
    checkpoints: Sequence[Checkpoint] = ()
    """Copies that witnesses kept."""
    from_size: int = 0
    """Bodies and signatures of the first so many exchanges were verified before: the tree fixes them since."""
    is_strict: bool = False
    """Unsealed exchanges and bodies that are not here are findings, too."""
    processes: int | None = None


def verify(store: Store, terms: Terms, progress: Progress = lambda done, total: None) -> Report:
    """Verify everything there is at this moment. Changes nothing."""
    findings = Findings()
    with snapshot(store) as connection:
        kept = kept_certificates(connection, findings, terms.authorities, terms.profile)
        given = {fingerprint(certificate): certificate for certificate in terms.certificates}
        tree = TreeAudit(connection, findings, kept, given, terms.checkpoints).run()
        _check_signed_lately(tree, terms.now, findings)
        by = Examination(_der(terms.authorities), _der([*kept.values(), *given.values()]), terms.profile)
        journal, payments = _verify_exchanges(connection, findings, terms, tree, by, progress)
        check_ledger(connection, findings)
    return Report(
        tree_size=tree.size,
        checkpoints=tree.checkpoints,
        exchanges=journal.total,
        unsealed=journal.unsealed,
        examined=journal.examined,
        archived=journal.archived,
        payments=payments.payments,
        cancellations=payments.cancellations,
        findings=tuple(findings.kept),
        count_by_kind=dict(findings.count_by_kind),
    )


def _verify_exchanges(
    connection: Connection, findings: Findings, terms: Terms, tree: TreeState, by: Examination, progress: Progress
) -> tuple[JournalAudit, PaymentAudit]:
    """One pass over the journal, with the rows of payments and cancellations beside it."""
    journal = JournalAudit(
        connection, findings, tree, from_size=terms.from_size, is_strict=terms.is_strict, now=terms.now
    )
    payments = PaymentAudit(connection, findings)
    processes = terms.processes or (os.cpu_count() or 1 if journal.total >= PROCESSES_FROM else 1)
    for done, exchange in enumerate(_examined(journal.rows(), by, processes), 1):
        journal.take(exchange)
        payments.compare(exchange)
        progress(done, journal.total)
    return journal, payments


def _check_signed_lately(tree: TreeState, now: datetime, findings: Findings) -> None:
    if tree.unsigned_since is not None and now - tree.unsigned_since > GRACE:
        what = "no sound checkpoint covers what is sealed from here on"
        findings.add(Kind.CHECKPOINT_OVERDUE, f"leaf {tree.signed_size}", what)


def _examined(exchanges: Iterator[KeptExchange], by: Examination, processes: int) -> Iterator[Examined]:
    """The exchanges examined, in their order, by so many processes."""
    if processes == 1:
        yield from map(Examiner(by).examine, exchanges)
        return
    # A spawned process has none of our threads and connections.
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=_begin, initargs=(by,)) as pool:
        under_way: deque[Future[list[Examined]]] = deque()
        while chunk := list(islice(exchanges, _CHUNK)):
            under_way.append(pool.submit(_examine, chunk))
            if len(under_way) >= _AHEAD_MAX * processes:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()


_examiner: Examiner | None = None
"""Of a spawned process."""


def _begin(by: Examination) -> None:
    global _examiner
    _examiner = Examiner(by)


def _examine(exchanges: list[KeptExchange]) -> list[Examined]:
    assert _examiner is not None
    return _examiner.examine_all(exchanges)


def _der(certificates: Iterable[x509.Certificate]) -> tuple[bytes, ...]:
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in certificates)
