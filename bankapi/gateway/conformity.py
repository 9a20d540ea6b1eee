"""Does the envelope conform to the contract's XSD, and is it free of card numbers?

libxml2 decides, in microseconds. When it says no, the `xmlschema` package explains: where, which rule of the schema,
and why, in words of the schema alone. Nothing of the message is ever echoed: a value may be a secret, and so may a
name that the contract does not know.
"""

import re
from collections.abc import Iterator
from dataclasses import InitVar, dataclass
from importlib import resources
from itertools import islice
from typing import Any, Final

import xmlschema
from lxml import etree
from xmlschema.validators import (
    XMLSchemaChildrenValidationError,
    XMLSchemaDecodeError,
    XMLSchemaValidationError,
    XsdAnyElement,
    XsdAttributeGroup,
    XsdEnumerationFacets,
    XsdGroup,
    XsdPatternFacets,
)
from xmlschema.validators.facets import XsdFacet

from bankapi.gateway import cards
from bankapi.gateway.envelope import CONTRACT, ParsedEnvelope
from bankapi.refusals import Refusal, Rule, SchemaViolation
from bankapi.wsse import names

VIOLATIONS_MAX: Final = 20
_PACKAGE: Final = "bankapi.schemas"
_ENVELOPE_SCHEMA: Final = "envelope-v1.xsd"
_CONTRACT_SCHEMA: Final = "bankapi-v1.xsd"
_XS: Final = "{http://www.w3.org/2001/XMLSchema}"
_PROOF: Final = object()


@dataclass(frozen=True, slots=True)
class ConformingEnvelope:
    """An envelope that the contract allows. Only `Conformity.check` makes one."""

    envelope: etree._Element
    raw: bytes
    operation: str
    proof: InitVar[object]

    def __post_init__(self, proof: object) -> None:
        if proof is not _PROOF:
            raise TypeError("only Conformity.check() makes a ConformingEnvelope")


class Conformity:
    """The compiled schemas; one per process."""

    def __init__(self) -> None:
        parser = etree.XMLParser(resolve_entities=False, no_network=True)
        parser.resolvers.add(_PackageFiles())
        document = etree.fromstring(_package_file(_ENVELOPE_SCHEMA), parser, base_url=f"package:/{_ENVELOPE_SCHEMA}")
        self._schema = etree.XMLSchema(document)
        # Compiled now: the first message that is refused must not wait for it.
        self._explaining = xmlschema.XMLSchema10(
            str(resources.files(_PACKAGE).joinpath(_ENVELOPE_SCHEMA)), allow="local"
        )
        contract = etree.fromstring(_package_file(_CONTRACT_SCHEMA), parser)
        self._names = frozenset(e.get("name", "") for e in contract.iter(f"{_XS}element", f"{_XS}attribute"))

    def check(self, parsed: ParsedEnvelope) -> ConformingEnvelope:
        """No card number outside the security header; then the whole envelope against the XSD.

        In this order: what holds a card number is not kept, whatever else is wrong with it.
        """
        header, body = parsed.envelope
        if any(cards.are_in(_attribute_values(element)) for element in (parsed.envelope, header)):
            raise Refusal(Rule.CARD_NUMBER)
        for part in (*(block for block in header if block.tag != names.SECURITY), body):
            if holds_card_number(part):
                raise Refusal(Rule.CARD_NUMBER)
        if not self._schema.validate(parsed.envelope):
            raise Refusal(Rule.SCHEMA, violations=self._explain(parsed.envelope))
        if not parsed.operation_element.endswith("Request"):
            path = self._path(parsed.envelope[1][0])
            raise Refusal(Rule.SCHEMA, violations=(SchemaViolation(path, "element", "This is not a request."),))
        return ConformingEnvelope(parsed.envelope, parsed.raw, parsed.operation, _PROOF)

    def _explain(self, envelope: etree._Element) -> tuple[SchemaViolation, ...]:
        try:
            errors = (
                error
                for error in self._explaining.iter_errors(envelope, use_location_hints=False)
                if not _is_in_security(error.elem)
            )
            violations = tuple(self._violation(error) for error in islice(errors, VIOLATIONS_MAX))
        except Exception:  # the refusal is decided: a failing explanation does not change it
            violations = ()
        return violations or (SchemaViolation("/", "schema", "The message does not conform to the schema."),)

    def _violation(self, error: XMLSchemaValidationError) -> SchemaViolation:
        element = error.elem
        path = self._path(element) if isinstance(element, etree._Element) else "/"
        attribute = re.match(r"attribute (\w+)=", error.reason or "")
        if attribute and attribute[1] in self._names:
            path += f"/@{attribute[1]}"
        rule, reason = self._reason(error)
        return SchemaViolation(path, rule, reason)

    def _reason(self, error: XMLSchemaValidationError) -> tuple[str, str]:
        """The rule's name in XML Schema, and a sentence made of the schema's words only."""
        validator = error.validator
        if isinstance(error, XMLSchemaChildrenValidationError):
            return "content", _expected(error)
        if isinstance(validator, XsdPatternFacets):
            return "pattern", "The value does not match the pattern " + " or ".join(validator.regexps) + "."
        if isinstance(validator, XsdEnumerationFacets):
            return "enumeration", "The value is not one of the enumeration."
        if isinstance(validator, XsdFacet):
            facet = (validator.elem.tag if validator.elem is not None else "facet").rpartition("}")[2]
            return facet, f"The value breaks {facet} = {getattr(validator, 'value', None)}."
        if isinstance(validator, XsdAttributeGroup):
            missing = re.fullmatch(r"missing required attribute '(\w+)'", error.reason or "")
            if missing and missing[1] in self._names:
                return "attribute", f"The attribute {missing[1]} is missing."
            return "attribute", "An attribute is missing, or there is one that is not allowed."
        if isinstance(validator, XsdAnyElement):
            return "element", "This is not an element of the contract."
        if isinstance(error, XMLSchemaDecodeError):
            return "type", f"The value is not a valid {getattr(validator, 'prefixed_name', 'value')}."
        return "type", "The content is not allowed here."

    def _path(self, element: etree._Element) -> str:
        """An XPath of known names, with a position where siblings share one; a stranger is `*`."""
        return "".join(f"/{self._step(e)}" for e in [*reversed(list(element.iterancestors())), element])

    def _step(self, element: etree._Element) -> str:
        name = etree.QName(element)
        if name.namespace == names.SOAP and element.tag in (names.ENVELOPE, names.HEADER, names.BODY):
            return f"soap:{name.localname}"
        if name.namespace != CONTRACT or name.localname not in self._names:
            return "*"
        before = sum(1 for _ in element.itersiblings(element.tag, preceding=True))
        alone = before == 0 and next(element.itersiblings(element.tag), None) is None
        return name.localname if alone else f"{name.localname}[{before + 1}]"


def _is_in_security(element: object) -> bool:
    """The security header is never why: `xmlschema` brings a schema of ds:Signature and is strict where ours is lax."""
    return isinstance(element, etree._Element) and any(e.tag == names.SECURITY for e in element.iterancestors())


class _PackageFiles(etree.Resolver):
    """Schemas import each other from this package, by file name, and nothing from anywhere else."""

    def resolve(self, system_url: str, public_id: str, context: Any) -> Any:  # type: ignore[override]
        return self.resolve_string(_package_file(system_url.rpartition("/")[2]), context, base_url=system_url)


def _package_file(name: str) -> bytes:
    return resources.files(_PACKAGE).joinpath(name).read_bytes()


def _expected(error: XMLSchemaChildrenValidationError) -> str:
    expected = [str(name).rpartition("}")[2] for e in error.expected or () if (name := getattr(e, "name", None))]
    if isinstance(error.validator, XsdGroup) and expected:
        return "Expected here: " + " or ".join(expected) + "."
    return "There is an element that is not allowed here, or not in this order."


# Card numbers (PCI DSS requirement 3: what must not be stored had better not come in)

_CARD_EXEMPT: Final = frozenset({f"{{{CONTRACT}}}Msisdn"})
"""E.164 numbers have up to 15 digits and may satisfy Luhn by chance."""
_IDS: Final = frozenset({names.WSU_ID, "Id"})


def holds_card_number(part: etree._Element) -> bool:
    """Is there a primary account number in any text or attribute value?"""
    return cards.are_in(_texts(part))


def _texts(part: etree._Element) -> Iterator[str]:
    for element in part.iter():
        if element.text and len(element.text) >= 13 and element.tag not in _CARD_EXEMPT:
            yield element.text
        if element.tail and len(element.tail) >= 13:
            yield element.tail
        if element.attrib:
            yield from _attribute_values(element)


def _attribute_values(element: etree._Element) -> Iterator[str]:
    # Ids are the stack's own random names: decimal by chance sometimes, and never what a person typed.
    return (str(value) for name, value in element.items() if len(value) >= 13 and name not in _IDS)
