"""What a leaf of the tree is made of: an explicit, versioned text that an auditor can write with printf.

Every line is one fact of an exchange, in this order, each ended by a newline; `-` where there is none. A new layout
gets a new first line; leaves of the old one stay what they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from bankapi.evidence import tree
from bankapi.evidence.tables import exchanges

VERSION: Final = "bankapi-exchange-v1"


@dataclass(frozen=True, slots=True)
class LeafContent:
    """The facts of one exchange that the tree fixes; request and answer by their SHA-256."""

    exchange_id: str
    received_at: datetime
    answered_at: datetime
    operation: str | None
    outcome: str
    rule: str | None
    terminal_id: int | None
    tls_fingerprint: bytes | None
    signing_fingerprint: bytes | None
    request_digest: bytes
    answer_digest: bytes

    def text(self) -> bytes:
        """The bytes that are hashed."""
        lines = (
            VERSION,
            self.exchange_id,
            _instant(self.received_at),
            _instant(self.answered_at),
            self.operation or "-",
            self.outcome,
            self.rule or "-",
            "-" if self.terminal_id is None else str(self.terminal_id),
            _hex(self.tls_fingerprint),
            _hex(self.signing_fingerprint),
            self.request_digest.hex(),
            self.answer_digest.hex(),
        )
        return "".join(f"{line}\n" for line in lines).encode()

    def hash(self) -> bytes:
        return tree.leaf_hash(self.text())


COLUMNS: Final = tuple(exchanges.c[name] for name in LeafContent.__dataclass_fields__)
"""The columns of `exchanges` a leaf is made of, in its order."""


def from_row(row: Sequence[Any]) -> LeafContent:
    """A leaf's content from the values of `COLUMNS`."""
    return LeafContent(*row)


def _instant(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _hex(octets: bytes | None) -> str:
    return "-" if octets is None else octets.hex()
