"""How a payment's reference is made of what UFX says of it.

An RRN has 12 digits and may come again at another terminal or another day, while a reference is settled once and for
ever per dealer. So the reference is a text that the installation chooses, of the terminal's contract, the local date
and the RRN, or of a reference that the sender made. The text is the whole agreement: a SOAP caller of the same dealer
names the same payment by writing the same one.
"""

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

_DAY: Final = "local_on"
_PARTS: Final = {"terminal": "terminal", _DAY: "local_at", "rrn": "rrn", "srn": "srn"}
"""What a template may name → the field of the message it is made of."""
_FORMS: Final = {
    "terminal": r"[A-Za-z0-9._:/-]+?",
    _DAY: r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "rrn": r"[0-9A-Za-z]{12}",
    "srn": r"[A-Za-z0-9._:/-]+",
}
_BETWEEN: Final = re.compile(r"[A-Za-z0-9._:/-]*")


class TemplateError(ValueError):
    """The text is no template."""


@dataclass(frozen=True, slots=True)
class Template:
    """Such as `{terminal}/{local_on}/{rrn}`."""

    text: str
    parts: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> "Template":
        """TemplateError when it is none, or makes one reference of what must be two."""
        try:
            pieces = list(string.Formatter().parse(text))
        except ValueError:
            raise TemplateError("has unbalanced braces") from None
        parts = tuple(name for _, name, _, _ in pieces if name is not None)
        if any(form or conversion for _, _, form, conversion in pieces) or not set(parts) <= _PARTS.keys():
            raise TemplateError(f"may name {', '.join(f'{{{part}}}' for part in _PARTS)} and nothing else")
        if not all(_BETWEEN.fullmatch(between) for between, _, _, _ in pieces):
            raise TemplateError("may have letters, digits and . _ : / - between its parts")
        if len(set(parts)) < len(parts):
            raise TemplateError("names a part twice")
        if not {"rrn", "srn"} & set(parts):
            raise TemplateError("must name {rrn} or {srn}, or all payments would be one")
        return cls(text, parts)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a message it needs."""
        return tuple(_PARTS[part] for part in self.parts)

    def parts_of(self, reference: str) -> dict[str, str] | None:
        """What a reference was made of; None when it was not made by this template."""
        pieces = string.Formatter().parse(self.text)
        pattern = "".join(
            re.escape(between) + (f"(?P<{name}>{_FORMS[name]})" if name is not None else "")
            for between, name, _, _ in pieces
        )
        found = re.fullmatch(pattern, reference)
        return None if found is None else found.groupdict()

    def compose(self, parts: Mapping[str, str], local_on: date | None) -> str:
        return self.text.format_map({**parts, _DAY: local_on})


def compose(templates: Sequence[Template], parts: Mapping[str, str], local_on: date | None) -> tuple[str, ...]:
    """The reference by the first template whose parts are all there, and the same of the day before; none is possible.

    A reversal may carry the time of its own making, minutes after midnight, while the payment it is about has the
    date of the day before.
    """
    known = {*parts, *([_DAY] if local_on is not None else [])}
    template = next((each for each in templates if known.issuperset(each.parts)), None)
    if template is None:
        return ()
    if _DAY not in template.parts or local_on is None:
        return (template.compose(parts, local_on),)
    return template.compose(parts, local_on), template.compose(parts, local_on - timedelta(days=1))
