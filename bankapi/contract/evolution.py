"""What a later contract of the namespace may change, and what it never will: the promise to generated clients.

A client that was generated from a released WSDL, and ignores elements it does not know, works with every later one:

- its operations, their SOAPActions, elements and policy stay;
- what it may send goes on being valid: requests may get optional members and take more values, and nothing else;
- what it gets stays readable: answers may get optional members, and choices alternatives, at the end of a type. Values
  may be added to enumerations whose documentation says so.

Compared are the two documents, not the models: what is promised is the files.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from lxml import etree

from bankapi.contract import policy

_XS: Final = "http://www.w3.org/2001/XMLSchema"
_NS: Final = {
    "wsdl": "http://schemas.xmlsoap.org/wsdl/",
    "soap": "http://schemas.xmlsoap.org/wsdl/soap/",
    "xs": _XS,
    "wsp": policy.WSP,
}
_ASIDE: Final = ("documentation", "annotation", "PolicyReference")
_OPEN: Final = "New values may be added"
_MAY_GROW: Final = ("maxLength", "maxInclusive", "totalDigits", "fractionDigits")
_MAY_SHRINK: Final = ("minLength", "minInclusive")


_Shape = tuple[str, tuple[tuple[str, str], ...], str, tuple["_Shape", ...]]


@dataclass(frozen=True, slots=True)
class _Member:
    """An element of a type: how often it may occur, and which xs:choice of the type it belongs to."""

    name: str
    type: str
    least: int
    most: int
    choice: int | None


def breaks(earlier: bytes, later: bytes) -> list[str]:
    """Why clients of the earlier WSDL would not work with the later one; empty when they do."""
    before, after = etree.fromstring(earlier), etree.fromstring(later)
    return [*_operations(before, after), *_policies(before, after), *_Types(before, after).differences()]


def _operations(before: etree._Element, after: etree._Element) -> Iterator[str]:
    for part in ("wsdl:binding/wsdl:operation", "wsdl:portType/wsdl:operation", "wsdl:message", "wsdl:service"):
        ours = {_of(element, "name"): _shape(element) for element in after.findall(part, _NS)}
        for element in before.findall(part, _NS):
            name = _of(element, "name")
            if name not in ours:
                yield f"{part} {name} is gone"
            elif ours[name] != _shape(element):
                yield f"{part} {name} is another"


def _policies(before: etree._Element, after: etree._Element) -> Iterator[str]:
    ours, theirs = ([_shape(each) for each in root.findall("wsp:Policy", _NS)] for root in (after, before))
    if ours != theirs:
        yield "the policy is another"


class _Types:
    """The types of two schemas, compared by the direction in which they travel."""

    def __init__(self, before: etree._Element, after: etree._Element) -> None:
        self._before, self._after = (
            {_of(each, "name"): each for each in _named_types(root)} for root in (before, after)
        )
        self._elements = {_of(each, "name"): _type(each) for each in _global_elements(before)}
        self._elements_after = {_of(each, "name"): _type(each) for each in _global_elements(after)}

    def differences(self) -> Iterator[str]:
        for name, type_name in self._elements.items():
            if self._elements_after.get(name) != type_name:
                yield f"element {name} is gone, or of another type"
        asked = self._reached(name for name in self._elements if name.endswith("Request"))
        answered = self._reached(name for name in self._elements if not name.endswith("Request"))
        for name, before in self._before.items():
            after = self._after.get(name)
            for used, compare in ((name in asked, self._asked), (name in answered, self._answered)):
                if used and after is None:
                    yield f"type {name} is gone"
                elif used and after is not None:
                    yield from (f"type {name}: {what}" for what in compare(before, after))

    def _reached(self, names: Iterator[str]) -> set[str]:
        """Every type that the elements of these names are made of."""
        reached: set[str] = set()
        waiting = [self._elements[name] for name in names]
        while waiting:
            name = waiting.pop()
            if name in self._before and name not in reached:
                reached.add(name)
                used = self._before[name].iter(*(f"{{{_XS}}}{tag}" for tag in ("element", "attribute", "extension")))
                waiting += [_type(each) for each in used]
        return reached

    def _asked(self, before: etree._Element, after: etree._Element) -> Iterator[str]:
        """In a request: everything that was valid is still valid."""
        old, new = {each.name: each for each in _members(before)}, {each.name: each for each in _members(after)}
        for name, member in old.items():
            now = new.get(name)
            if now is None or now.type != member.type or now.choice != member.choice:
                yield f"{name} is gone, or of another type"
            elif now.least > member.least or now.most < member.most:
                yield f"{name} may occur less freely"
        for name, member in new.items():
            if name not in old and _must_be(member, old.values()):
                yield f"{name} is new and mandatory"
        if [name for name in new if name in old] != [name for name in old if name in new]:
            yield "its members have another order"
        yield from _attributes(before, after, may_add=False)
        yield from _facets(before, after, widens=True)

    def _answered(self, before: etree._Element, after: etree._Element) -> Iterator[str]:
        """In an answer: nothing comes that a client could not read."""
        old, new = _members(before), _members(after)
        for member, now in zip(old, new, strict=False):
            if (now.name, now.type, now.choice) != (member.name, member.type, member.choice):
                yield f"{member.name} is gone, moved, or of another type"
            elif now.least < member.least or now.most > member.most:
                yield f"{member.name} may be absent, or repeat, where it could not"
        if len(new) < len(old):
            yield f"{old[len(new)].name} is gone"
        yield from (f"{each.name} is new and mandatory" for each in new[len(old) :] if _must_be(each, old))
        yield from _attributes(before, after, may_add=True)
        yield from _facets(before, after, widens=False)


def _must_be(member: _Member, old: Iterable[_Member]) -> bool:
    """Whether a new member cannot be absent. An alternative of a choice that was there can."""
    return member.least > 0 and (member.choice is None or member.choice not in {each.choice for each in old})


def _attributes(before: etree._Element, after: etree._Element, *, may_add: bool) -> Iterator[str]:
    old, new = (sorted(_shape(each) for each in root.iter(f"{{{_XS}}}attribute")) for root in (before, after))
    if (set(old) - set(new)) or (not may_add and old != new):
        yield "its attributes are others"


def _facets(before: etree._Element, after: etree._Element, *, widens: bool) -> Iterator[str]:
    """`widens`: whether the later type must take what the earlier took, or else give only what the earlier gave."""
    (base, old), (base_after, new) = _restriction(before), _restriction(after)
    if base != base_after:
        yield "its base is another"
    old_values, new_values = (set(facets.pop("enumeration", [])) for facets in (old, new))
    if widens and not old_values <= new_values:
        yield "values are gone"
    if not widens and not new_values <= old_values and _OPEN not in _words(before):
        yield "values are new, and nobody was told that they may be"
    for name in old.keys() | new.keys():
        wider: Callable[[float, float], bool] | None = None
        if name in _MAY_GROW:
            wider = float.__gt__
        elif name in _MAY_SHRINK:
            wider = float.__lt__
        was, now = old.get(name), new.get(name)
        if was == now:
            continue
        is_looser = now is None or (was is not None and wider is not None and wider(float(now[0]), float(was[0])))
        if is_looser is not widens or (was is not None and now is not None and wider is None):
            yield f"its {name} is another"


def _restriction(element: etree._Element) -> tuple[str, dict[str, list[str]]]:
    """The base of a simple type, or of simple content, and its facets."""
    facets: dict[str, list[str]] = {}
    for found in element.iter(f"{{{_XS}}}restriction", f"{{{_XS}}}extension"):
        for facet in found:
            if facet.get("value") is not None:
                facets.setdefault(etree.QName(facet).localname, []).append(_of(facet, "value"))
        return _of(found, "base"), facets
    return "", facets


def _members(element: etree._Element) -> list[_Member]:
    choices = list(element.iter(f"{{{_XS}}}choice"))
    return [
        _Member(
            _of(each, "name"),
            _type(each),
            int(each.get("minOccurs", "1")),
            int(each.get("maxOccurs", "1")),
            next((number for number, choice in enumerate(choices) if choice is each.getparent()), None),
        )
        for each in element.iter(f"{{{_XS}}}element")
    ]


def _named_types(root: etree._Element) -> list[etree._Element]:
    (schema,) = root.findall("wsdl:types/xs:schema", _NS)
    return [each for each in schema if etree.QName(each).localname in ("complexType", "simpleType")]


def _global_elements(root: etree._Element) -> list[etree._Element]:
    return root.findall("wsdl:types/xs:schema/xs:element", _NS)


def _of(element: etree._Element, attribute: str) -> str:
    return element.get(attribute, "")


def _type(element: etree._Element) -> str:
    """The type a member, an attribute or an extension is of, without the prefix of our namespace."""
    return _of(element, "base" if element.tag == f"{{{_XS}}}extension" else "type").removeprefix("tns:")


def _words(element: etree._Element) -> str:
    return element.findtext("xs:annotation/xs:documentation", "", _NS)


def _shape(element: etree._Element) -> _Shape:
    """What of an element reaches clients: not its words, not its indentation, not where the policy is attached."""
    shown = [child for child in element if etree.QName(child).localname not in _ASIDE]
    name, text = str(element.tag), (element.text or "").strip()
    return (
        name,
        tuple(sorted((str(key), str(value)) for key, value in element.items())),
        text,
        tuple(_shape(child) for child in shown),
    )
