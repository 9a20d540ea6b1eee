"""RFC 9162 trees against the definition, written down again as recursion over the leaves."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bankapi.evidence import tree
from bankapi.evidence.tree import Growing, Node, ProofError

LEAVES = [tree.leaf_hash(bytes([n])) for n in range(70)]


def mth(leaves: list[bytes]) -> bytes:
    """Section 2.1.1, word for word."""
    if not leaves:
        return tree.EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return tree.node_hash(mth(leaves[:k]), mth(leaves[k:]))


def hash_of(node: Node) -> bytes:
    size = 1 << node.level
    begin = node.position * size
    assert begin + size <= len(LEAVES), "an incomplete subtree was asked for"
    return mth(LEAVES[begin : begin + size])


def test_roots_are_those_of_the_definition_however_the_tree_grew() -> None:
    growing = Growing()
    for size in range(len(LEAVES) + 1):
        assert tree.root(size, hash_of) == growing.root() == mth(LEAVES[:size])
        if size < len(LEAVES):
            growing.append(LEAVES[size])


def test_known_roots_of_the_certificate_transparency_test_vectors() -> None:
    """The reference leaves of the RFC 6962 implementations."""
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    growing = Growing()
    for each in inputs:
        growing.append(tree.leaf_hash(bytes.fromhex(each)))
    assert growing.root().hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_every_leaf_is_proved_and_no_other_leaf_by_its_proof() -> None:
    for size in range(1, 34):
        root = mth(LEAVES[:size])
        for index in range(size):
            proof = tree.inclusion_proof(index, size, hash_of)
            assert tree.root_from_inclusion(LEAVES[index], index, size, proof) == root
            assert tree.root_from_inclusion(LEAVES[-1], index, size, proof) != root


def test_every_older_tree_is_proved_to_be_the_beginning() -> None:
    for size in range(1, 34):
        for old_size in range(1, size + 1):
            proof = tree.consistency_proof(old_size, size, hash_of)
            roots = mth(LEAVES[:old_size]), mth(LEAVES[:size])
            tree.check_consistency(old_size, roots[0], size, roots[1], proof)
            with pytest.raises(ProofError):
                tree.check_consistency(old_size, mth(LEAVES[1 : old_size + 1]), size, roots[1], proof)


@settings(max_examples=300)
@given(st.data())
def test_a_changed_proof_proves_nothing(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 60))
    old_size = data.draw(st.integers(1, size - 1))
    proof = tree.consistency_proof(old_size, size, hash_of)
    change = data.draw(st.sampled_from(["drop", "add", "flip", "swap"]))
    changed = list(proof)
    at = data.draw(st.integers(0, len(proof) - 1))
    if change == "drop":
        del changed[at]
    elif change == "add":
        changed.insert(at, LEAVES[0])
    elif change == "flip":
        changed[at] = bytes([changed[at][0] ^ 1]) + changed[at][1:]
    else:
        changed = changed[::-1]
    if changed != proof:
        with pytest.raises(ProofError):
            tree.check_consistency(old_size, mth(LEAVES[:old_size]), size, mth(LEAVES[:size]), changed)
