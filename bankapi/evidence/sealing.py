"""Sealing: committed exchanges get consecutive leaf numbers in one tree, and the tree's head is signed.

Runs beside live load: hashes are computed outside any transaction, and each write is short. A kill at any moment
leaves a tree of whole batches; the next run goes on from there. Two sealers at once cannot both give a number:
leaf_index is the primary key.
"""

import time
from contextlib import suppress
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError

from bankapi.evidence import checkpoints, leaves, tree
from bankapi.evidence.checkpoints import Checkpoint
from bankapi.evidence.tables import checkpoints as checkpoint_rows
from bankapi.evidence.tables import exchanges, signing_certificates, tree_leaves, tree_nodes
from bankapi.evidence.tree import Node
from bankapi.storage.engine import STORAGE_ERRORS, Store
from bankapi.wsse.signing import SigningIdentity
from bankapi.wsse.trust import fingerprint

BATCH_MAX: Final = 256
"""Exchanges sealed in one transaction: a few milliseconds of writing."""
_LOOK_UP_S: Final = 1.0
OVERTAKEN_MAX: Final = 10_000
"""PostgreSQL may commit a lower exchange number after a higher one. A transaction that so many others overtook is
dead; should it live after all, the audit counts its exchange as not sealed."""


def seal(store: Store) -> int:
    """Seal everything that is committed; returns how many exchanges were sealed."""
    total = 0
    while sealed := _seal_batch(store):
        total += sealed
    return total


def _seal_batch(store: Store) -> int:
    with store.read() as connection:
        size = tree_size(connection)
        waiting = _waiting(connection, size)
        if not waiting:
            return 0
        hash_of = stored_hashes(connection)
        new_leaves, new_nodes = [], {}
        for index, (row_id, *content) in enumerate(waiting, size):
            leaf = leaves.from_row(content).hash()
            new_leaves.append({"leaf_index": index, "exchange_row_id": row_id, "hash": leaf})
            new_nodes[Node(0, index)] = leaf
            for level, position in tree.completed_by(index):
                left, right = (
                    new_nodes.get(child) or hash_of(child)
                    for child in (Node(level - 1, 2 * position), Node(level - 1, 2 * position + 1))
                )
                new_nodes[Node(level, position)] = tree.node_hash(left, right)
    inner = [
        {"level": node.level, "position": node.position, "hash": value}
        for node, value in new_nodes.items()
        if node.level
    ]

    def write(connection: Connection) -> None:
        connection.execute(tree_leaves.insert(), new_leaves)
        if inner:
            connection.execute(tree_nodes.insert(), inner)

    try:
        store.write(write)
    except IntegrityError:
        return 0  # Another sealer was faster; its work is as good.
    return len(new_leaves)


def sign_checkpoint(store: Store, origin: str, identity: SigningIdentity, now: datetime) -> Checkpoint | None:
    """Sign the present tree, unless it is empty or its head is signed already."""
    with store.read() as connection:
        size = tree_size(connection)
        newest = latest_checkpoint(connection)
        if size == 0 or (newest is not None and newest.size == size):
            return newest
        root = tree.root(size, stored_hashes(connection))
    remember_signer(store, identity, now)
    signed = checkpoints.sign(origin, size, root, identity, now)
    row = {"tree_size": size, "root": root, "signed_at": signed.signed_at, "note": signed.note}
    with suppress(IntegrityError):  # another sealer signed this size: its checkpoint is as good
        store.write(lambda connection: connection.execute(checkpoint_rows.insert(), row))
    with store.read() as connection:
        return latest_checkpoint(connection)


def remember_signer(store: Store, identity: SigningIdentity, now: datetime) -> None:
    """Keep the certificate the gateway signs with, so that what it signed can be verified after a rollover."""
    name = fingerprint(identity.certificate)
    with store.read() as connection:
        known = select(signing_certificates.c.fingerprint).where(signing_certificates.c.fingerprint == name)
        if connection.execute(known).first() is not None:
            return
    row = {"fingerprint": name, "der": identity.certificate.public_bytes(Encoding.DER), "used_from": now}
    with suppress(IntegrityError):  # somebody else was faster
        store.write(lambda connection: connection.execute(signing_certificates.insert(), row))


def tree_size(connection: Connection) -> int:
    """The number of sealed exchanges."""
    last = connection.execute(select(func.max(tree_leaves.c.leaf_index))).scalar()
    return 0 if last is None else int(last) + 1


def latest_checkpoint(connection: Connection) -> Checkpoint | None:
    """The newest signed head."""
    newest = select(checkpoint_rows.c.note).order_by(checkpoint_rows.c.tree_size.desc()).limit(1)
    note = connection.execute(newest).scalar()
    return None if note is None else checkpoints.parse(note)


class NewestCheckpoint:
    """The newest checkpoint for the answers of one process, looked up once a second at most."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._note: bytes | None = None
        self._due_at = 0.0

    def newest(self) -> bytes | None:
        """The note of the newest checkpoint; the last one known while the database cannot be asked."""
        now = time.monotonic()
        if now >= self._due_at:
            self._due_at = now + _LOOK_UP_S  # first, so that one thread looks and the others go on
            with suppress(*STORAGE_ERRORS), self._store.read() as connection:
                found = latest_checkpoint(connection)
                self._note = None if found is None else found.note.encode()
        return self._note


def stored_hashes(connection: Connection) -> tree.HashOf:
    """The hashes of complete subtrees, as they are kept."""

    def hash_of(node: Node) -> bytes:
        if node.level == 0:
            query = select(tree_leaves.c.hash).where(tree_leaves.c.leaf_index == node.position)
        else:
            query = select(tree_nodes.c.hash).where(
                tree_nodes.c.level == node.level, tree_nodes.c.position == node.position
            )
        return bytes(connection.execute(query).scalar_one())

    return hash_of


def unsealed(connection: Connection) -> int:
    """How many committed exchanges are not sealed yet. Looks at all of them."""
    missing = ~select(tree_leaves.c.leaf_index).where(tree_leaves.c.exchange_row_id == exchanges.c.id).exists()
    return int(connection.execute(select(func.count()).select_from(exchanges).where(missing)).scalar_one())


def _waiting(connection: Connection, size: int) -> list[tuple[object, ...]]:
    """The next exchanges to seal, each as its row number and its leaf's columns."""
    overtaken = 0
    if size and connection.dialect.name != "sqlite":
        overtaken = OVERTAKEN_MAX
    newest = connection.execute(select(func.max(tree_leaves.c.exchange_row_id))).scalar() or 0
    missing = ~select(tree_leaves.c.leaf_index).where(tree_leaves.c.exchange_row_id == exchanges.c.id).exists()
    query = (
        select(exchanges.c.id, *leaves.COLUMNS)
        .where(exchanges.c.id > newest - overtaken, missing)
        .order_by(exchanges.c.id)
        .limit(BATCH_MAX)
    )
    return [tuple(row) for row in connection.execute(query)]
