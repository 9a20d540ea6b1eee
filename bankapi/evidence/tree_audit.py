"""The tree, computed again from the exchanges: leaf numbers, leaf texts, inner nodes and every checkpoint.

One pass over the leaves in memory of the logarithm of their number. The tree is built from the stored leaf hashes,
each of which is compared with its exchange: so one changed exchange is one finding at its leaf, not at everything
above it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from sqlalchemy import Connection, Row, select

from bankapi.evidence import checkpoints, leaves, tree
from bankapi.evidence.checkpoints import Checkpoint, CheckpointError
from bankapi.evidence.findings import Findings, Kind
from bankapi.evidence.leaves import LeafContent
from bankapi.evidence.reading import instant, number, octets, raw, text
from bankapi.evidence.tables import checkpoints as checkpoint_rows
from bankapi.evidence.tables import exchanges, tree_leaves, tree_nodes
from bankapi.evidence.tree import Node
from bankapi.storage.rows import stream

_LEVEL_MAX: Final = 62
_LEAVES: Final = (
    select(
        raw(tree_leaves.c.leaf_index),
        raw(tree_leaves.c.exchange_row_id),
        raw(tree_leaves.c.hash),
        raw(exchanges.c.id),
        *(raw(column) for column in leaves.COLUMNS),
    )
    .join_from(tree_leaves, exchanges, exchanges.c.id == tree_leaves.c.exchange_row_id, isouter=True)
    .order_by(tree_leaves.c.leaf_index)
)
_NODES: Final = select(raw(tree_nodes.c.level), raw(tree_nodes.c.position), raw(tree_nodes.c.hash)).order_by(
    # By the leaf that completes the subtree, the smallest subtree first: the order in which they are computed.
    (tree_nodes.c.position + 1).op("<<")(tree_nodes.c.level),
    tree_nodes.c.level,
)
_CHECKPOINTS: Final = select(
    raw(checkpoint_rows.c.tree_size),
    raw(checkpoint_rows.c.root),
    raw(checkpoint_rows.c.signed_at),
    raw(checkpoint_rows.c.note),
).order_by(checkpoint_rows.c.tree_size)


@dataclass
class TreeState:
    """What is known of the tree after the pass."""

    size: int = 0
    checkpoints: int = 0
    signed_size: int = 0
    """The size of the largest sound checkpoint."""
    exchange_row_id_max: int = 0
    unsigned_since: datetime | None = None
    """When the first exchange beyond the newest checkpoint was answered."""
    frontier: dict[int, bytes] = field(default_factory=dict)
    """The hashes of the complete subtrees the tree consists of, by level."""
    broken_at: int | None = None
    """The first leaf that is missing: beyond it nothing can be computed."""

    def root(self) -> bytes:
        return tree.root(self.size, lambda node: self.frontier[node.level]) if self.size else tree.EMPTY_ROOT


def content_of(values: Sequence[Any]) -> LeafContent:
    """A leaf's content from raw values of `leaves.COLUMNS`."""
    return LeafContent(
        exchange_id=text(values[0]) or "",
        received_at=instant(values[1]),
        answered_at=instant(values[2]),
        operation=text(values[3]),
        outcome=text(values[4]) or "",
        rule=text(values[5]),
        terminal_id=number(values[6]),
        tls_fingerprint=octets(values[7]),
        signing_fingerprint=octets(values[8]),
        request_digest=octets(values[9]) or b"",
        answer_digest=octets(values[10]) or b"",
    )


class TreeAudit:
    """One pass over the tree of one snapshot."""

    def __init__(
        self,
        connection: Connection,
        findings: Findings,
        kept_certificates: Mapping[bytes, x509.Certificate],
        given_certificates: Mapping[bytes, x509.Certificate],
        given_checkpoints: Sequence[Checkpoint],
    ) -> None:
        self._connection = connection
        self._findings = findings
        self._certificates = kept_certificates
        self._others = given_certificates
        self._given = sorted(given_checkpoints, key=lambda checkpoint: checkpoint.size)
        self._nodes = _Ahead(stream(connection, _NODES))
        self._stored = _Ahead(stream(connection, _CHECKPOINTS))
        self._origin: str | None = None
        self._last_size = -1
        self._notes: dict[int, str] = {}
        """Of the stored checkpoints that one was given of the size of."""
        self.state = TreeState()

    def run(self) -> TreeState:
        self._check_checkpoints()
        for row in stream(self._connection, _LEAVES):
            self._check_leaf(row)
        while self._nodes.row is not None:
            self._extra_node(self._nodes.take())
        while self._stored.row is not None:
            self._check_stored(self._stored.take())
        for checkpoint in self._given:
            self._check_given(checkpoint)
        return self.state

    def _check_leaf(self, row: Row[Any]) -> None:
        state = self.state
        index, place = state.size, f"leaf {state.size}"
        leaf = octets(row.hash) or b""
        if row.leaf_index != index:
            self._findings.add(Kind.LEAF_NUMBER, place, f"the next leaf is numbered {row.leaf_index}")
            if state.broken_at is None:
                state.broken_at = index
        if row.id is None:
            self._findings.add(Kind.LEAF_EXCHANGE, place, f"there is no exchange row {row.exchange_row_id}")
        else:
            content = content_of(row[-len(leaves.COLUMNS) :])
            if tree.leaf_hash(_text(content)) != leaf:
                self._findings.add(
                    Kind.LEAF_HASH,
                    f"{place}, exchange {content.exchange_id}",
                    "the stored hash is not that of the exchange",
                )
            state.exchange_row_id_max = max(state.exchange_row_id_max, number(row.id) or 0)
            if state.size >= state.signed_size and state.unsigned_since is None:
                state.unsigned_since = content.answered_at
        self._grow(index, leaf)
        self._check_checkpoints()

    def _grow(self, index: int, leaf: bytes) -> None:
        frontier, value, level = self.state.frontier, leaf, 0
        for node in tree.completed_by(index):
            value, level = tree.node_hash(frontier.pop(level), value), node.level
            self._check_node(node, value)
        frontier[level] = value
        self.state.size = index + 1

    def _check_node(self, node: Node, value: bytes) -> None:
        """The stored nodes come in the order in which they are computed."""
        while self._nodes.row is not None and _completion(self._nodes.row) < _key(node):
            self._extra_node(self._nodes.take())
        stored = self._nodes.row
        place = f"node {node.level}/{node.position}"
        if stored is None or (stored.level, stored.position) != node:
            self._findings.add(Kind.NODE, place, "it is missing")
            return
        self._nodes.take()
        if self.state.broken_at is None and octets(stored.hash) != value:
            self._findings.add(Kind.NODE, place, "the stored hash is not that of the leaves below")

    def _extra_node(self, row: Row[Any]) -> None:
        self._findings.add(Kind.NODE, f"node {row.level}/{row.position}", "it is no complete subtree of the leaves")

    # Checkpoints

    def _check_checkpoints(self) -> None:
        """Those, stored or given, whose size the tree has reached."""
        while self._stored.row is not None and _size(self._stored.row) <= self.state.size:
            self._check_stored(self._stored.take())
        while self._given and self._given[0].size <= self.state.size:
            self._check_given(self._given.pop(0))

    def _check_stored(self, row: Row[Any]) -> None:
        state, size = self.state, _size(row)
        place = f"checkpoint {row.tree_size}"
        state.checkpoints += 1
        try:
            checkpoint = checkpoints.parse(text(row.note) or "")
        except CheckpointError as error:
            self._findings.add(Kind.CHECKPOINT_FORM, place, str(error))
            return
        if (checkpoint.size, checkpoint.root, checkpoint.signed_at) != (size, octets(row.root), instant(row.signed_at)):
            self._findings.add(Kind.CHECKPOINT_FORM, place, "size, root or time beside the note are not the note's")
        if self._origin is None:
            self._origin = checkpoint.origin
        if checkpoint.origin != self._origin:
            self._findings.add(Kind.CHECKPOINT_FORM, place, "it is of another journal than the first")
        if size == self._last_size:
            self._findings.add(Kind.CHECKPOINT_FORM, place, "a second one of this size")
        self._last_size = size
        if any(given.size == size for given in self._given):
            self._notes[size] = checkpoint.note
        self._check_signature(place, checkpoint)
        if self._check_root(place, checkpoint):
            state.signed_size, state.unsigned_since = max(state.signed_size, size), None

    def _check_given(self, checkpoint: Checkpoint) -> None:
        """A copy that a witness kept: signed by us, true, and one that we have, too."""
        place = f"given checkpoint {checkpoint.size}"
        self._check_signature(place, checkpoint)
        is_true = self._check_root(place, checkpoint)
        if is_true and self._notes.get(checkpoint.size) != checkpoint.note:
            self._findings.add(Kind.CHECKPOINT_NOT_KEPT, place, "the journal does not have it")

    def _check_signature(self, place: str, checkpoint: Checkpoint) -> None:
        if not is_signed_by(checkpoint, self._certificates.values()):
            known = is_signed_by(checkpoint, self._others.values())
            what = "the signer's certificate is not in the table" if known else "no signature of the gateway"
            self._findings.add(Kind.CHECKPOINT_SIGNATURE, place, what)

    def _check_root(self, place: str, checkpoint: Checkpoint) -> bool:
        state = self.state
        if checkpoint.size > state.size:
            what = f"the tree has {state.size} leaves only: exchanges were removed"
            self._findings.add(Kind.CHECKPOINT_AHEAD, place, what)
            return False
        if state.broken_at is not None:
            what = f"it cannot be computed: leaf {state.broken_at} is missing"
            self._findings.add(Kind.CHECKPOINT_ROOT, place, what)
            return False
        if checkpoint.size != state.size or checkpoint.root != state.root():
            self._findings.add(Kind.CHECKPOINT_ROOT, place, "the tree of this size has another root")
            return False
        return True


class _Ahead:
    """A stream of rows, the next of which can be looked at."""

    def __init__(self, rows: Iterator[Row[Any]]) -> None:
        self._rows = rows
        self.row: Row[Any] | None = next(rows, None)

    def take(self) -> Row[Any]:
        row = self.row
        assert row is not None
        self.row = next(self._rows, None)
        return row


def is_signed_by(checkpoint: Checkpoint, certificates: Iterable[x509.Certificate]) -> bool:
    """Does one of these certificates' keys verify it?"""
    for certificate in certificates:
        try:
            checkpoint.verify(certificate)
        except CheckpointError:
            continue
        return True
    return False


def _size(row: Row[Any]) -> int:
    size = number(row.tree_size)
    return -1 if size is None else size


def _key(node: Node) -> tuple[int, int]:
    return (node.position + 1) << node.level, node.level


def _completion(row: Row[Any]) -> tuple[int, int]:
    level, position = number(row.level) or 0, number(row.position)
    if position is None or position < 0 or not 0 < level <= _LEVEL_MAX:
        return (0, 0)
    return _key(Node(level, position))


def _text(content: LeafContent) -> bytes:
    try:
        return content.text()
    except (ValueError, UnicodeEncodeError):
        return b""
