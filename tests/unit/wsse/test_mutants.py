"""Properties over mutants of real messages. None forges a signature: what is tested is the structure around it."""

import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from lxml import etree

from bankapi.gateway.envelope import parse_envelope
from bankapi.refusals import Refusal
from bankapi.wsse.frame import read_frame
from bankapi.wsse.profile import PROFILE_V1
from bankapi.wsse.signatures import signed_elements
from bankapi.wsse.tokens import signing_certificate
from tests.messages import DS, NS, STYLES, WSSE, WSU, Covered, canonical, minimal, sign
from tests.unit.wsse.checking import nobody, parse, second_opinion, verify_tree
from tests.unit.wsse.conftest import NOW, Keys

SEED = 20261123
STRUCTURAL_MUTANTS = 2_000
"""Of each style. `test_..._at_length` runs more of them."""


def said(envelope: Any, keys: Keys) -> tuple[bytes, ...] | None:
    """All that a message says when it is accepted: Body, headers, signer, times. None when it is refused."""
    try:
        verified = verify_tree(envelope, keys)
    except Refusal:
        return None
    return (
        canonical(verified.body),
        *(canonical(header) for header in verified.headers),
        verified.fingerprint,
        str((verified.created_at, verified.expires_at)).encode(),
        verified.replay_key,
    )


@pytest.mark.parametrize("style", ["zeep", "node-soap"])
def test_no_change_of_one_byte_changes_what_is_said(style: str, keys: Keys) -> None:
    """For every byte of the message, and a random other value: refused, or it says exactly the same."""
    raw = sign(STYLES[style](now=NOW), keys.rsa)
    expected = said(parse(raw), keys)
    assert expected is not None
    chance = random.Random(SEED)
    for position in range(len(raw)):
        mutant = bytearray(raw)
        mutant[position] ^= chance.randrange(1, 256)
        try:
            envelope = parse_envelope(bytes(mutant))
        except Refusal:
            continue
        assert said(envelope, keys) in (None, expected), position


@pytest.mark.parametrize("style", STYLES)
def test_no_change_of_structure_changes_what_is_said(style: str, keys: Keys) -> None:
    """Up to three random edits of the tree: refused, or it says exactly the same; never another exception."""
    _check_mutants(style, keys, STRUCTURAL_MUTANTS, SEED)


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
def test_no_change_of_structure_changes_what_is_said_at_length(style: str, keys: Keys) -> None:
    _check_mutants(style, keys, 20_000, SEED + 1)


def test_both_back_ends_agree(keys: Keys) -> None:
    """On every message that passes the frame, signxml and lxml with `cryptography` give the same verdict."""
    chance = random.Random(SEED)
    verdicts = {True: 0, False: 0}
    for style in STYLES:
        good = parse(sign(STYLES[style](now=NOW), keys.rsa if chance.random() < 0.5 else keys.ec))
        for number in range(150):
            envelope = deepcopy(good)
            if number:
                _edit_value(envelope, chance)
            try:
                frame = read_frame(envelope, PROFILE_V1)
                certificate = signing_certificate(frame, PROFILE_V1, nobody)
            except Refusal:
                continue
            try:
                signed_elements(frame, certificate, NOW)
                accepted = True
            except Refusal:
                accepted = False
            assert second_opinion(frame, certificate) is accepted
            verdicts[accepted] += 1
    assert min(verdicts.values()) > 10, verdicts


def _check_mutants(style: str, keys: Keys, count: int, seed: int) -> None:
    signer = keys.ec if style in ("minimal", "php") else keys.rsa
    header = f'<a:To xmlns:a="urn:a" xmlns:wsu="{WSU}" wsu:Id="to">x</a:To>'
    draft = STYLES[style](now=NOW, headers_after=header)
    good = parse(sign(draft, signer))
    expected = said(good, keys)
    assert expected is not None
    chance = random.Random(f"{seed} {style}")
    for _ in range(count):
        mutant = deepcopy(good)
        for _ in range(chance.randint(1, 3)):
            chance.choice(EDITS)(mutant, chance)
        assert said(mutant, keys) in (None, expected), etree.tostring(mutant)


def _any(envelope: Any, chance: random.Random) -> Any:
    return chance.choice(list(envelope.iter(etree.Element)))


def _move(envelope: Any, chance: random.Random) -> None:
    node, target = _any(envelope, chance), _any(envelope, chance)
    if node is not envelope and target not in node.iter():
        target.insert(chance.randint(0, len(target)), node)


def _copy(envelope: Any, chance: random.Random) -> None:
    node, target = deepcopy(_any(envelope, chance)), _any(envelope, chance)
    if chance.random() < 0.5:
        for element in node.iter(etree.Element):
            for name in [n for n in element.attrib if n.endswith("Id")]:
                element.set(name, f"new{chance.randrange(1000)}")
    if chance.random() < 0.5:
        chance.choice(list(node.iter(etree.Element))).text = "EVIL"
    target.insert(chance.randint(0, len(target)), node)


def _remove(envelope: Any, chance: random.Random) -> None:
    node = _any(envelope, chance)
    if node is not envelope:
        node.getparent().remove(node)


def _wrap(envelope: Any, chance: random.Random) -> None:
    node = _any(envelope, chance)
    if node is envelope:
        return
    tags = ["{urn:x}W", f"{{{WSSE}}}Security", f"{{{DS}}}Object", node.tag, node.getparent().tag]
    wrapper = etree.Element(chance.choice(tags))
    node.getparent().replace(node, wrapper)
    wrapper.append(node)


def _rename(envelope: Any, chance: random.Random) -> None:
    _any(envelope, chance).tag = chance.choice([_any(envelope, chance).tag, "{urn:x}X", "X"])


def _set_id(envelope: Any, chance: random.Random) -> None:
    ids = [value for e in envelope.iter(etree.Element) for name, value in e.items() if name.endswith("Id")]
    names = ["Id", "ID", "id", f"{{{WSU}}}Id", "{urn:x}Id", "{http://www.w3.org/XML/1998/namespace}id", "URI"]
    value = chance.choice([*ids, "other"])
    _any(envelope, chance).set(chance.choice(names), chance.choice([value, f"#{value}"]))


def _set_text(envelope: Any, chance: random.Random) -> None:
    node = _any(envelope, chance)
    value = chance.choice(["EVIL", " ", "", "\n", node.text, _any(envelope, chance).text])
    setattr(node, chance.choice(["text", "tail"]), value)


def _set_attribute(envelope: Any, chance: random.Random) -> None:
    node, other = _any(envelope, chance), _any(envelope, chance)
    for name, value in other.items():
        node.set(name, value)


def _drop_attribute(envelope: Any, chance: random.Random) -> None:
    node = _any(envelope, chance)
    if node.attrib:
        del node.attrib[chance.choice(list(node.attrib))]


def _insert_markup(envelope: Any, chance: random.Random) -> None:
    node = _any(envelope, chance)
    node.insert(chance.randint(0, len(node)), chance.choice([etree.Comment("x"), etree.PI("x"), etree.Entity("x")]))


def _swap(envelope: Any, chance: random.Random) -> None:
    node = _any(envelope, chance)
    if len(node) > 1:
        node.append(node[chance.randrange(len(node) - 1)])


def _add_standard_element(envelope: Any, chance: random.Random) -> None:
    prefix, name = chance.choice(
        [("ds", "Reference"), ("ds", "Object"), ("ds", "KeyValue"), ("wsse", "Security"), ("wsu", "Timestamp")]
    )
    _any(envelope, chance).append(etree.Element(f"{{{NS[prefix]}}}{name}"))


EDITS: list[Callable[[Any, random.Random], None]] = [
    _move,
    _copy,
    _remove,
    _wrap,
    _rename,
    _set_id,
    _set_text,
    _set_attribute,
    _drop_attribute,
    _insert_markup,
    _swap,
    _add_standard_element,
]


def _edit_value(envelope: Any, chance: random.Random) -> None:
    """A change that mostly passes the frame: a text of the Body, of a digest, of the signature, or white space."""
    texts = [e for e in envelope.iter(etree.Element) if e.text and not len(e)]
    node = chance.choice(texts)
    position = chance.randrange(len(node.text))
    inserted = chance.choice([" ", "\n", "", "A", "0"])
    node.text = node.text[:position] + inserted + node.text[position + chance.choice([0, 1]) :]


def test_the_good_message_says_what_was_signed(keys: Keys) -> None:
    """The properties above would hold for a verifier that refuses everything: this one does not."""
    draft = minimal(now=NOW, covered=(Covered("timestamp"), Covered("body")))
    assert said(parse(sign(draft, keys.rsa)), keys) is not None
