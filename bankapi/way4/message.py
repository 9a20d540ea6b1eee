"""From received bytes to one UFX message that conforms to the schema. Nothing in it is believed yet.

The bytes are as hostile as those of SOAP, and judged by the same rules (`gateway/envelope`): no DOCTYPE, entities,
comments or processing instructions, UTF-8, and the limits of size.
"""

from dataclasses import InitVar, dataclass
from importlib import resources
from threading import Lock
from typing import Any, Final

from lxml import etree

from bankapi.gateway import envelope
from bankapi.gateway.envelope import ReceivedMessage
from bankapi.refusals import Refusal, Rule, SchemaViolation

ROOT: Final = "UFXMsg"
MEDIA_TYPES: Final = ("text/xml", "application/xml")
BODIES: Final = ("Doc", "Information")
"""What may be asked; an Application, the third of UFX, is nothing we have an operation for."""
_SCHEMA: Final = "ufx-public-subset.xsd"
_XS: Final = "{http://www.w3.org/2001/XMLSchema}"
_PROOF: Final = object()


@dataclass(frozen=True, slots=True)
class ParsedMessage:
    """A well-formed document whose root is UFXMsg: it can be echoed. Only `parse` makes one."""

    root: etree._Element
    proof: InitVar[object]

    def __post_init__(self, proof: object) -> None:
        if proof is not _PROOF:
            raise TypeError("only parse() makes a ParsedMessage")


@dataclass(frozen=True, slots=True)
class ConformingMessage:
    """A request that the schema allows, with one body. Only `Conformity.check` makes one."""

    root: etree._Element
    body: etree._Element
    proof: InitVar[object]

    def __post_init__(self, proof: object) -> None:
        if proof is not _PROOF:
            raise TypeError("only Conformity.check() makes a ConformingMessage")


def parse(received: ReceivedMessage) -> ParsedMessage:
    """The message; refuses with WAY4_NOT_UFX what is another document."""
    root = envelope.parse_document(received.body)
    if root.tag != ROOT:
        raise Refusal(Rule.WAY4_NOT_UFX)
    return ParsedMessage(root, _PROOF)


def of_record(doc: etree._Element) -> ParsedMessage:
    """A Doc of an end-of-day file as a message of its own; it is taken out of the file."""
    root = etree.Element(ROOT, direction="Rq")
    etree.SubElement(root, "MsgData").append(doc)
    return ParsedMessage(root, _PROOF)


class Conformity:
    """The compiled schema; one per process."""

    def __init__(self) -> None:
        document = etree.fromstring(resources.files("bankapi.schemas").joinpath(_SCHEMA).read_bytes())
        self._schema = etree.XMLSchema(document)
        self._explaining = etree.XMLSchema(document)  # of its own, because the errors of one are shared by all threads
        self._lock = Lock()
        self._names = frozenset(e.get("name", "") for e in document.iter(f"{_XS}element", f"{_XS}attribute"))

    def check(self, parsed: ParsedMessage) -> ConformingMessage:
        """A request with one Doc or Information that conforms to the schema. Its order of elements means nothing."""
        root = parsed.root
        if not self._schema.validate(root):
            raise Refusal(Rule.SCHEMA, violations=(self._violation(root),))
        if root.get("direction") != "Rq":
            raise Refusal(Rule.WAY4_NOT_UFX, "not a request")
        holders = root.findall("MsgData")
        bodies = [child for holder in holders for child in holder.iterchildren(*BODIES, "Application")]
        if len(holders) != 1 or len(bodies) != 1 or bodies[0].tag not in BODIES:
            raise Refusal(Rule.WAY4_NOT_UFX, "not one Doc or Information")
        return ConformingMessage(root, bodies[0], _PROOF)

    def _violation(self, root: etree._Element) -> SchemaViolation:
        """Where, in the schema's own names; what stands there is never repeated."""
        with self._lock:
            self._explaining.validate(root)
            errors: Any = self._explaining.error_log
            error = next(iter(errors), None)
        steps = (error.path or "").split("/")[1:] if error is not None else []
        names = (step.partition("[")[0] for step in steps)
        path = "/".join(name if name in self._names else "*" for name in names)
        return SchemaViolation(path or ROOT, "schema", "It does not conform to the schema.")
