"""Where a value stands in a UFX message: `Doc/DocRefSet/Parm[RRN]/Value`, as the configuration writes it.

A path begins in MsgData, or with `/` at UFXMsg. `Name[CODE]` is the Name whose ParmCode or Type is CODE, and a last
step `@name` is an attribute. Names are in no namespace. The order of siblings means nothing, so what a path leads
through must be there once: two of them would leave it to chance which one is meant.
"""

import re
from dataclasses import dataclass
from typing import Final

from lxml import etree

from bankapi.refusals import Refusal, Rule, SchemaViolation

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_.-]*"
_STEP: Final = re.compile(rf"(?P<name>{_NAME})(?:\[(?P<code>[A-Za-z0-9_.-]+)\])?")
_ATTRIBUTE: Final = re.compile(rf"@(?P<name>{_NAME})")
_CODES: Final = ("ParmCode", "Type")


class PathError(ValueError):
    """The text is no path."""


@dataclass(frozen=True, slots=True)
class Path:
    """One place. `steps` are names with the code that is asked for, if any."""

    text: str
    is_absolute: bool
    steps: tuple[tuple[str, str | None], ...]
    attribute: str | None

    @classmethod
    def read(cls, text: str) -> "Path":
        """PathError when it is none."""
        *parents, last = text.removeprefix("/").split("/")
        attribute = _ATTRIBUTE.fullmatch(last)
        found = [_STEP.fullmatch(step) for step in (parents if attribute else [*parents, last])]
        steps = tuple((step["name"], step["code"]) for step in found if step is not None)
        if len(steps) != len(found) or not steps:
            raise PathError("is not a path such as Doc/DocRefSet/Parm[RRN]/Value")
        return cls(text, text.startswith("/"), steps, attribute["name"] if attribute else None)

    def value(self, root: etree._Element) -> str | None:
        """The text there, without the white space around it; None when there is none, or only white space.

        Refuses with WAY4_FIELD what is there twice, and an element with other elements in it.
        """
        place: etree._Element | None = root
        for name, code in self.steps if self.is_absolute else (("MsgData", None), *self.steps):
            place = None if place is None else self._child(place, name, code)
        if place is None:
            return None
        if self.attribute is not None:
            return (place.get(self.attribute) or "").strip() or None
        if len(place):
            raise self.refused("It holds elements where there should be a value.")
        return (place.text or "").strip() or None

    def refused(self, why: str) -> Refusal:
        """What is wrong with the value at this place; raise it."""
        return Refusal(Rule.WAY4_FIELD, violations=(SchemaViolation(self.text, "value", why),))

    def _child(self, parent: etree._Element, name: str, code: str | None) -> etree._Element | None:
        found = [child for child in parent.iterchildren(name) if code is None or code in _codes_of(child)]
        if len(found) > 1:
            raise self.refused("It is there more than once.")
        return found[0] if found else None


def _codes_of(element: etree._Element) -> list[str]:
    return [(child.text or "").strip() for name in _CODES for child in element.iterchildren(name)]
