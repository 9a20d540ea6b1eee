"""The part of the page that is the contract: operations, members, types and codes, from what is published.

Words, members and types are read from the published WSDL, samples and codes from where they are kept: nothing is
written here twice. Types have a page of their own, which keeps the first one light.
"""

from collections.abc import Iterator
from importlib import resources
from typing import Final

from lxml import etree

from bankapi.contract import codes, publication
from bankapi.kit import samples
from bankapi.kit.page_markup import Content, E, Element, marked, table, terms, titled
from bankapi.kit.samples import Sample
from bankapi.refusals import FaultCode, ResultCode

_XS: Final = "{http://www.w3.org/2001/XMLSchema}"
_NS: Final = {
    "wsdl": "http://schemas.xmlsoap.org/wsdl/",
    "soap": "http://schemas.xmlsoap.org/wsdl/soap/",
    "xs": "http://www.w3.org/2001/XMLSchema",
}
_TABLES: Final = {"ResultCode": "results", "FaultCode": "faults"}
"""Enumerations whose values have tables of their own."""
_FACETS: Final = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "length": "{} characters",
    "minInclusive": "from {}",
    "maxInclusive": "up to {}",
    "minExclusive": "more than {}",
    "totalDigits": "at most {} digits",
    "fractionDigits": "at most {} decimals",
}


TYPES_PATH: Final = "/kit/types.html"


def operations() -> Element:
    """A section with every operation in the order of the service: words, members, result codes, samples."""
    return _published().operations()


def types() -> Element:
    """A section with what members are made of."""
    return _published().types()


def _published() -> "_Contract":
    return _Contract(resources.files("bankapi.wsdl").joinpath(publication.WSDL_FILE).read_bytes())


class _Contract:
    def __init__(self, wsdl: bytes) -> None:
        self._wsdl = etree.fromstring(wsdl)
        (self._schema,) = self._wsdl.iterfind("wsdl:types/xs:schema", _NS)
        self._types = {each.get("name", ""): each for each in self._schema if each.tag != f"{_XS}element"}
        self._types.pop("", None)  # the schema's own annotation
        self._messages = {each.get("name", "") for each in self._schema.iterfind("xs:element", _NS)}

    def operations(self) -> Element:
        section = titled("operations", "Operations")
        (service,) = self._wsdl.iterfind("wsdl:portType", _NS)
        section.append(E.p(_documentation(service, "wsdl")))
        for operation in service.iterfind("wsdl:operation", _NS):
            section.append(self._operation(operation))
        return section

    def types(self) -> Element:
        section = titled("types", "Types of the contract", "h1")
        section.append(E.p(_documentation(self._schema)))
        listed = E.dl({"class": "members"})
        for name, declared in self._types.items():
            if name not in self._messages or name in ("BankApiFault", "Exchange"):
                listed.extend(self._type(name, declared))
        section.append(listed)
        return section

    def _operation(self, operation: Element) -> Element:
        name = operation.get("name", "")
        words = _documentation(operation, "wsdl").removesuffix(codes.precedence_words(name)).rstrip()
        (action,) = self._wsdl.iterfind(f"wsdl:binding/wsdl:operation[@name='{name}']/soap:operation", _NS)
        part = E.section(
            {"id": name, "class": "operation", "aria-labelledby": f"{name}-name"},
            E.h3({"id": f"{name}-name"}, name),
            E.p(words),
            E.p("SOAPAction ", E.code(f'"{action.get("soapAction", "")}"'), {"class": "soft"}),
        )
        for title, message in (("Request", f"{name}Request"), ("Answer", f"{name}Response")):
            part.append(E.h4(title))
            part.append(E.p(_documentation(self._types[message])))
            part.append(E.dl({"class": "members"}, *self._members(self._types[message])))
        if len(codes.PRECEDENCE[name]) > 1:
            part.append(E.h4("Result codes"))
            part.append(E.p("The first that applies, in this order; TEMPORARILY_UNAVAILABLE at any time."))
            part.append(E.ol({"class": "codes"}, *(E.li(*_step(step)) for step in codes.PRECEDENCE[name])))
        part.extend(_sample(sample) for sample in samples.all() if sample.operation == name)
        return part

    def _members(self, declared: Element) -> Iterator[Element]:
        for member in declared.iterfind(".//xs:element", _NS):
            name, kind = member.get("name", ""), _local(member.get("type", ""))
            yield E.dt(*self._named(name, kind), *_note(_times(member)))
            if words := _documentation(member) or self._shortly(kind):
                yield E.dd(words)

    def _shortly(self, kind: str) -> str:
        """What a member without words of its own is: its type's first sentence, without an example."""
        words = _documentation(self._types[kind]) if kind in self._types else ""
        return words.partition(". ")[0].partition(", for example")[0].rstrip(".") + "." if words else ""

    def _named(self, name: str, kind: str) -> list[Content]:
        if kind not in self._types:
            return [E.code(name), f" {kind}"]
        link = {"href": f"{TYPES_PATH}#{kind}"}
        return [E.a(link, E.code(name))] if name == kind else [E.code(name), " ", E.a(link, kind)]

    def _type(self, name: str, declared: Element) -> Iterator[Element]:
        yield E.dt({"id": name}, E.code(name))
        described = E.dd(E.p(_documentation(declared)))
        if name in _TABLES:
            described.append(E.p(E.a({"href": f"/#{_TABLES[name]}"}, "The table of its values.")))
        elif values := declared.findall(".//xs:enumeration", _NS):
            described.append(terms((E.code(value.get("value", "")), _documentation(value)) for value in values))
        elif (text := declared.find("xs:simpleContent/xs:extension", _NS)) is not None:
            described.append(E.p(*self._content(text)))
        elif declared.find(".//xs:element", _NS) is not None:
            described.append(E.dl(*self._members(declared)))
        else:
            described.extend(_facets(declared))
        yield described

    def _content(self, text: Element) -> Iterator[Content]:
        """A text with attributes."""
        yield "Its text: "
        yield from self._linked(text.get("base", ""))
        for attribute in text.iterfind("xs:attribute", _NS):
            yield from ("; attribute ", E.code(attribute.get("name", "")), ": ")
            yield from self._linked(attribute.get("type", ""))
        if text.find("xs:anyAttribute", _NS) is not None:
            yield from ("; attribute ", E.code("xml:lang"))

    def _linked(self, reference: str) -> Iterator[Content]:
        kind = _local(reference)
        yield E.a({"href": f"{TYPES_PATH}#{kind}"}, kind) if kind in self._types else kind


def results() -> Element:
    """A section with every result code."""
    rows = [
        (_code(each.code), each.meaning, each.advice, str(each.retry), publication.answered_by(each.operations))
        for each in codes.result_codes()
    ]
    section = titled("results", "Result codes")
    section.append(E.p("A business no is an answer: decide by Code, and do what Retry says."))
    section.append(table(("Code", "What it means", "What to do", "Retry", "Answered by"), rows))
    retries = terms((E.code(retry), words) for retry, words in codes.RETRIES.items())
    retries.set("class", "members")
    section.append(retries)
    return section


def faults() -> Element:
    """A section with every fault code."""
    section = titled("faults", "Fault codes")
    section.append(
        E.p(
            "A technical no is a SOAP Fault with HTTP status 500 and a signed BankApiFault: "
            "nothing of this message was processed."
        )
    )
    rows = [
        (_code(code), words, marked(codes.FAULT_ADVICE[code]), str(code.retry))
        for code, words in codes.FAULT_CODES.items()
    ]
    section.append(table(("Code", "What it means", "What to do", "Retry"), rows))
    return section


def _sample(sample: Sample) -> Element:
    request, answer = sample.shown()
    return E.details(
        E.summary("Sample: ", sample.title),
        E.p("Request", {"class": "soft"}),
        E.pre(E.code(request)),
        E.p("Answer", {"class": "soft"}),
        E.pre(E.code(answer)),
    )


def _code(code: ResultCode | FaultCode) -> Element:
    return E.code({"id": code}, code)


def _step(step: str) -> Iterator[Content]:
    """A step of the precedence: a code with words behind it, or words."""
    code, _, words = step.partition(" ")
    if code not in set(ResultCode):
        yield step
        return
    yield E.a({"href": f"#{code}"}, code)
    if words:
        yield f" {words}"


def _facets(declared: Element) -> Iterator[Element]:
    restriction = declared.find("xs:restriction", _NS)
    if restriction is None:
        return
    facets = {_local_tag(facet): facet.get("value", "") for facet in restriction.iterchildren(tag=etree.Element)}
    limits = [words.format(facets[name]) for name, words in _FACETS.items() if name in facets]
    if "pattern" in facets:
        yield E.p(E.code(facets["pattern"]), {"class": "soft"})
    if limits:
        yield E.p(", ".join(limits), {"class": "soft"})


def _times(member: Element) -> str:
    """How often a member may be there; nothing is said of one that must be there once."""
    parent = member.getparent()
    if parent is not None and parent.tag == f"{_XS}choice":
        return "one of these"
    most = member.get("maxOccurs", "1")
    if most != "1":
        return f"0 to {most}"
    return "optional" if member.get("minOccurs") == "0" else ""


def _note(words: str) -> list[Content]:
    return [" ", E.small(words)] if words else []


def _documentation(element: Element, vocabulary: str = "xs") -> str:
    path = "wsdl:documentation" if vocabulary == "wsdl" else "xs:annotation/xs:documentation"
    return element.findtext(path, "", _NS)


def _local(reference: str) -> str:
    return reference.rpartition(":")[2]


def _local_tag(element: Element) -> str:
    return etree.QName(element).localname
