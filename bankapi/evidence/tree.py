"""Merkle tree hashes, inclusion and consistency proofs: RFC 9162 section 2.1 (the tree of RFC 6962) over SHA-256.

Pure functions. A tree of n leaves is kept as its complete subtrees: `Node(level, position)` covers the leaves from
`position * 2**level` on. Complete subtrees never change as the tree grows.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

LEAF_PREFIX: Final = b"\x00"
NODE_PREFIX: Final = b"\x01"
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


class Node(NamedTuple):
    """A complete subtree of 2**level leaves."""

    level: int
    position: int


HashOf = Callable[[Node], bytes]
"""Where the hash of a complete subtree comes from."""


class ProofError(ValueError):
    """A proof does not prove what it should."""


def leaf_hash(content: bytes) -> bytes:
    return hashlib.sha256(LEAF_PREFIX + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(NODE_PREFIX + left + right).digest()


def completed_by(leaf_index: int) -> Iterator[Node]:
    """The subtrees above the leaf level that are complete once this leaf is there, the smallest first."""
    level, position = 0, leaf_index
    while position % 2 == 1:
        level, position = level + 1, position // 2
        yield Node(level, position)


def peaks(size: int) -> list[Node]:
    """The complete subtrees a tree of `size` leaves consists of, from the left."""
    found, begin = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            found.append(Node(level, begin >> level))
            begin += 1 << level
    return found


def root(size: int, hash_of: HashOf) -> bytes:
    """MTH(D[size])."""
    return _subtree(0, size, hash_of) if size else EMPTY_ROOT


def inclusion_proof(leaf_index: int, size: int, hash_of: HashOf) -> list[bytes]:
    """PATH(leaf_index, D[size]), section 2.1.3.1."""
    if not 0 <= leaf_index < size:
        raise ValueError("no such leaf")
    path: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if leaf_index < middle:
            path.append(_subtree(middle, end, hash_of))
            end = middle
        else:
            path.append(_subtree(begin, middle, hash_of))
            begin = middle
    return path[::-1]


def consistency_proof(old_size: int, size: int, hash_of: HashOf) -> list[bytes]:
    """PROOF(old_size, D[size]), section 2.1.4.1: that the first `old_size` leaves are still the same."""
    if not 0 < old_size <= size:
        raise ValueError("the old tree is empty or larger")
    path: list[bytes] = []
    begin, end, is_whole = 0, size, True
    while old_size != end:
        middle = begin + _split(end - begin)
        if old_size <= middle:
            path.append(_subtree(middle, end, hash_of))
            end = middle
        else:
            path.append(_subtree(begin, middle, hash_of))
            begin, is_whole = middle, False
    if not is_whole:
        path.append(_subtree(begin, end, hash_of))
    return path[::-1]


def root_from_inclusion(leaf: bytes, leaf_index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root a proof leads to (section 2.1.3.2); compare it with a signed one. ProofError when it cannot be one."""
    if not 0 <= leaf_index < size:
        raise ProofError("no such leaf")
    position, last, found = leaf_index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofError("the proof is too long")
        if position % 2 == 1 or position == last:
            found = node_hash(sibling, found)
            while position % 2 == 0 and position:
                position, last = position // 2, last // 2
        else:
            found = node_hash(found, sibling)
        position, last = position // 2, last // 2
    if last:
        raise ProofError("the proof is too short")
    return found


def check_consistency(old_size: int, old_root: bytes, size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """ProofError unless the tree of `size` begins with the tree of `old_size` (section 2.1.4.2)."""
    if not 0 < old_size <= size:
        raise ProofError("the old tree is empty or larger")
    if old_size == size:
        if proof or old_root != new_root:
            raise ProofError("two trees of one size differ")
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise ProofError("the proof is too short")
    position, last = old_size - 1, size - 1
    while position % 2 == 1:
        position, last = position // 2, last // 2
    old, new = path[0], path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofError("the proof is too long")
        if position % 2 == 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while position % 2 == 0 and position:
                position, last = position // 2, last // 2
        else:
            new = node_hash(new, sibling)
        position, last = position // 2, last // 2
    if last or old != old_root or new != new_root:
        raise ProofError("the new tree does not begin with the old one")


class Growing:
    """A tree that is only appended to, in memory of the logarithm of its size: for whoever reads all leaves."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        for _ in completed_by(self.size):
            leaf = node_hash(self._peaks.pop(), leaf)
        self._peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        if not self._peaks:
            return EMPTY_ROOT
        found = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            found = node_hash(peak, found)
        return found


def _subtree(begin: int, end: int, hash_of: HashOf) -> bytes:
    """MTH of the leaves from begin to end, whose size and place RFC 9162's splitting gives."""
    size = end - begin
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return hash_of(Node(level, begin >> level))
    middle = begin + _split(size)
    return node_hash(_subtree(begin, middle, hash_of), _subtree(middle, end, hash_of))


def _split(size: int) -> int:
    """The largest power of two smaller than size."""
    return 1 << (size - 1).bit_length() - 1
