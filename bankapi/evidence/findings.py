"""What an audit finds: each finding names the place and what is wrong there, under a kind that never changes."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

FINDINGS_MAX: Final = 1000
"""Findings that are kept with their place; further ones are counted."""


class Kind(StrEnum):
    """The kinds of findings. They are stable: whoever watches audits may rely on them."""

    LEAF_NUMBER = "leaf.number"
    LEAF_EXCHANGE = "leaf.exchange"
    LEAF_HASH = "leaf.hash"
    NODE = "node"
    CHECKPOINT_FORM = "checkpoint.form"
    CHECKPOINT_ROOT = "checkpoint.root"
    CHECKPOINT_SIGNATURE = "checkpoint.signature"
    CHECKPOINT_AHEAD = "checkpoint.ahead"
    CHECKPOINT_NOT_KEPT = "checkpoint.not-kept"
    CHECKPOINT_OVERDUE = "checkpoint.overdue"
    CERTIFICATE = "certificate"
    EXCHANGE_FORM = "exchange.form"
    EXCHANGE_DUPLICATE = "exchange.duplicate"
    EXCHANGE_UNSEALED = "exchange.unsealed"
    EXCHANGE_DIFFERS = "exchange.differs"
    REQUEST_BYTES = "request.bytes"
    REQUEST_SIGNATURE = "request.signature"
    ANSWER_BYTES = "answer.bytes"
    ANSWER_SIGNATURE = "answer.signature"
    ANSWER_HEADER = "answer.header"
    BODY_MISSING = "body.missing"
    PAYMENT_MISSING = "payment.missing"
    PAYMENT_EXCHANGE = "payment.exchange"
    PAYMENT_DIFFERS = "payment.differs"
    CANCELLATION_MISSING = "cancellation.missing"
    CANCELLATION_EXCHANGE = "cancellation.exchange"
    CANCELLATION_DIFFERS = "cancellation.differs"
    LEDGER_UNBALANCED = "ledger.unbalanced"
    LEDGER_INCOMPLETE = "ledger.incomplete"
    LEDGER_PAYMENT = "ledger.payment"
    LEDGER_CANCELLATION = "ledger.cancellation"
    LEDGER_BALANCE = "ledger.balance"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and where."""

    kind: Kind
    place: str
    what: str


class Findings:
    """Collects findings in bounded memory."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.count_by_kind: Counter[Kind] = Counter()

    def add(self, kind: Kind, place: str, what: str) -> None:
        self.extend((Finding(kind, place, what),))

    def extend(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self.count_by_kind[finding.kind] += 1
            if len(self.kept) < FINDINGS_MAX:
                self.kept.append(finding)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of an audit."""

    tree_size: int
    checkpoints: int
    exchanges: int
    unsealed: int
    """Committed, and not in the tree yet."""
    examined: int
    """Exchanges whose bytes and signatures were verified."""
    archived: int
    """Bodies that are not kept here; the tree still holds their digests."""
    payments: int
    cancellations: int
    findings: tuple[Finding, ...]
    count_by_kind: dict[Kind, int] = field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        return not self.count_by_kind
