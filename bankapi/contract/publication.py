"""The published contract: the WSDL and the XSD, written from the models, the same bytes every time.

Spyne draws the documents; what it cannot say is put right here, step by step: types nobody should see, the words,
`xml:lang`, the names of ports, SOAPActions, the order of WSDL 1.1, the policy (WS-I Basic Profile 1.1 throughout).
The committed files are the promise to the banks: `export` writes them, `differences` and `releases` guard them.
"""

import difflib
import inspect
from importlib import resources
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from lxml import etree
from spyne.interface.wsdl import Wsdl11

from bankapi.contract import codes, policy
from bankapi.contract.application import SERVICE, server
from bankapi.contract.service import VERSION, BankApi
from bankapi.contract.types import NAMESPACE, SIMPLE_TYPES, TYPE_WORDS, VALUE_WORDS, XML_NAMESPACE
from bankapi.wsse import names

WSDL_FILE: Final = "bankapi-v1.wsdl"
SCHEMA_FILE: Final = "bankapi-v1.xsd"
ADDRESS: Final = "https://localhost:8443/soap/v1"
PORT: Final = "BankApiSoap11"

_WSDL: Final = "http://schemas.xmlsoap.org/wsdl/"
_SOAP: Final = "http://schemas.xmlsoap.org/wsdl/soap/"
_XS: Final = "http://www.w3.org/2001/XMLSchema"
_NS: Final = {"wsdl": _WSDL, "soap": _SOAP, "xs": _XS}

_SERVICE_WORDS: Final = (
    f"Payments to the operator's customers, from banks and payment systems. Contract version {VERSION}. SOAP 1.1, "
    "document/literal, WS-I Basic Profile 1.1, over HTTPS with a client certificate. Every request is signed "
    "(WS-Security X.509 token profile, see the policy): Body and Timestamp, RSA-SHA256 or ECDSA-SHA256, SHA-256 "
    "digests, exclusive canonicalization. Every answer is signed too, faults included, and its Exchange header holds "
    "the digest of the request it answers. The address in the published file is an example; the file that a gateway "
    "serves, and that of your kit, has its own."
)
_PORT_TYPE_WORDS: Final = (
    "A business no is an answer with a Result; a technical no is a SOAP Fault with a BankApiFault. Both say by Retry "
    "what to do next. After a lost answer repeat the same request with the same Reference, signed anew."
)
_SCHEMA_WORDS: Final = (
    f"The messages of BankApi, version {VERSION}. A mandatory element is there exactly once, an optional one may be "
    "absent; nothing is nillable. Ignore response elements that you do not know: optional ones may be added."
)


def schema() -> bytes:
    """The XSD of the messages and of our SOAP header, as a file of its own that needs no other."""
    return _bytes(_schema())


def wsdl() -> bytes:
    """The WSDL, with the same schema inside: a client can be built from this file alone, offline."""
    drawn = _drawing()
    tops = {"wsdl": _WSDL, "soap": _SOAP, "tns": NAMESPACE, **policy.NAMESPACES}
    root = etree.Element(f"{{{_WSDL}}}definitions", name=SERVICE, targetNamespace=NAMESPACE, nsmap=tops)
    root.extend(policy.policies())
    types = etree.SubElement(root, f"{{{_WSDL}}}types")
    types.append(_schema())
    # WSDL 1.1 section 2.1 and SAP: what is referred to comes before what refers to it.
    for part in ("message", "portType", "binding", "service"):
        for element in drawn.findall(f"wsdl:{part}", _NS):
            root.append(_redrawn(element, tops))
    _name_port(root)
    _name_actions(root)
    _attach_policy(root)
    return _bytes(root)


def documents() -> dict[str, bytes]:
    """File name → bytes of everything that is published."""
    return {WSDL_FILE: wsdl(), SCHEMA_FILE: schema()}


def published_paths(folder_wsdl: Path | None = None, folder_schemas: Path | None = None) -> dict[str, Path]:
    """File name → where it is published; by default in the repository's `wsdl/` and `schemas/`."""
    for_wsdl = folder_wsdl or Path(str(resources.files("bankapi.wsdl")))
    for_schemas = folder_schemas or Path(str(resources.files("bankapi.schemas")))
    return {WSDL_FILE: for_wsdl / WSDL_FILE, SCHEMA_FILE: for_schemas / SCHEMA_FILE}


def served_wsdl(url: str) -> bytes:
    """The published WSDL with an installation's own address."""
    published = resources.files("bankapi.wsdl").joinpath(WSDL_FILE).read_bytes()
    return published.replace(ADDRESS.encode(), escape(url, {'"': "&quot;"}).encode())


def export(folder_wsdl: Path | None = None, folder_schemas: Path | None = None) -> None:
    """Write the published files. Raises OSError."""
    paths = published_paths(folder_wsdl, folder_schemas)
    for name, content in documents().items():
        paths[name].write_bytes(content)


def differences(folder_wsdl: Path | None = None, folder_schemas: Path | None = None) -> str:
    """A unified diff from the published files to what the models say now; empty when they are the same bytes."""
    found: list[str] = []
    paths = published_paths(folder_wsdl, folder_schemas)
    for name, content in documents().items():
        published = paths[name].read_bytes() if paths[name].exists() else b""
        if published != content:
            found += difflib.unified_diff(_lines(published), _lines(content), f"published/{name}", f"models/{name}")
    return "".join(found)


def result_codes_markdown() -> str:
    """The integrator's table of result codes; README.md holds it between two markers."""
    rows = ["| Result code | What it means | What to do | Retry | Answered by |", "|---|---|---|---|---|"]
    for each in codes.result_codes():
        rows.append(f"| {each.code} | {each.meaning} | {each.advice} | {each.retry} | {answered_by(each.operations)} |")
    return "\n".join(rows) + "\n"


def fault_codes_markdown() -> str:
    """The integrator's table of fault codes; README.md holds it between two markers."""
    rows = ["| Fault code | What it means | What to do | Retry |", "|---|---|---|---|"]
    rows += [
        f"| {code} | {words} | {codes.FAULT_ADVICE[code]} | {code.retry} |" for code, words in codes.FAULT_CODES.items()
    ]
    return "\n".join(rows) + "\n"


def answered_by(names: tuple[str, ...]) -> str:
    """The operations as a table says them shortly: all of them, or all but one, are not named one by one."""
    others = [name for name in BankApi.public_methods if name not in names]
    if len(others) > 1:
        return ", ".join(names)
    return f"all but {others[0]}" if others else "all"


def _drawing() -> etree._Element:
    """What Spyne makes of the models. Drawn anew each time: it keeps the nodes it once handed out."""
    drawing = Wsdl11(server().app.interface)
    for model in SIMPLE_TYPES:
        drawing.add(model, set())
    drawing.build_interface_document(ADDRESS)
    root: etree._Element = drawing.root_elt
    return root


def _schema() -> etree._Element:
    """The schema: elements in the order of the operations, then complex types, then simple types, by name."""
    (drawn,) = _drawing().iterfind("wsdl:types/xs:schema", _NS)
    nsmap = {"xs": _XS, "tns": NAMESPACE}
    root = etree.Element(
        f"{{{_XS}}}schema", targetNamespace=NAMESPACE, elementFormDefault="qualified", version=VERSION, nsmap=nsmap
    )
    _annotate(root, _SCHEMA_WORDS)
    for name, words in _global_elements().items():
        _annotate(etree.SubElement(root, f"{{{_XS}}}element", name=name, type=f"tns:{name}"), words)
    for kind, document in (("complexType", _document_complex), ("simpleType", _document_simple)):
        for drawn_type in sorted(drawn.findall(f"xs:{kind}", _NS), key=lambda each: each.get("name", "")):
            element = _redrawn(drawn_type, nsmap)
            document(element)
            root.append(element)
    _allow_xml_lang(root)
    _allow_wsu_id(root)
    return root


def _allow_wsu_id(root: etree._Element) -> None:
    """A signed header is signed under its wsu:Id (WSS 1.1 section 4.3): a client that validates headers must let it."""
    (header,) = root.findall("xs:complexType[@name='Exchange']", _NS)
    etree.SubElement(header, f"{{{_XS}}}anyAttribute", namespace=names.WSU, processContents="lax")


def _allow_xml_lang(root: etree._Element) -> None:
    """Spyne declares an attribute `lang` of our own; what travels is xml:lang.

    A reference to xml:lang needs an import of the xml namespace, for which zeep and others fetch www.w3.org while they
    build a client. A bank's network cannot, so the attribute is allowed by its namespace.
    """
    for attribute in root.findall(".//xs:attribute[@name='lang']", _NS):
        parent = attribute.getparent()
        assert parent is not None
        allowed = etree.Element(f"{{{_XS}}}anyAttribute", namespace=XML_NAMESPACE, processContents="lax")
        parent.replace(attribute, allowed)


def _global_elements() -> dict[str, str]:
    """The elements that may stand in a Body, a fault's detail or a Header; Spyne makes one of every type."""
    elements = {}
    for name, method in BankApi.public_methods.items():
        elements[method.in_message.get_element_name()] = f"The request of {name}. {_docstring(method)}"
        elements[method.out_message.get_element_name()] = f"The answer of {name}."
    elements["BankApiFault"] = "The detail of every SOAP Fault."
    elements["Exchange"] = "The SOAP Header of every answer."
    return elements


def _document_complex(element: etree._Element) -> None:
    """Say what the type is; Spyne says there what one of its uses is."""
    for annotation in element.findall("xs:annotation", _NS):
        element.remove(annotation)
    model = server().app.interface.classes[f"{{{NAMESPACE}}}{element.get('name')}"]
    _annotate(element, _docstring(model))
    _order(element, list(model.get_flat_type_info(model)))


def _order(element: etree._Element, members: list[str]) -> None:
    """The members in the order of the model; Spyne puts choices last."""
    for sequence in element.iterfind("xs:sequence", _NS):
        first_names = [(next(each.iter(f"{{{_XS}}}element")).get("name", ""), each) for each in sequence]
        sequence[:] = [each for _, each in sorted(first_names, key=lambda named: members.index(named[0]))]


def _document_simple(element: etree._Element) -> None:
    name = element.get("name", "")
    _annotate(element, TYPE_WORDS[name])
    for value in element.iterfind("xs:restriction/xs:enumeration", _NS):
        _annotate(value, VALUE_WORDS[name][value.get("value", "")])


def _name_port(root: etree._Element) -> None:
    """Names that generated clients can use side by side; Spyne calls everything like the service."""
    for port_type in root.iterfind("wsdl:portType", _NS):
        port_type.set("name", f"{SERVICE}PortType")
        port_type.insert(0, _words(_PORT_TYPE_WORDS))
    for binding in root.iterfind("wsdl:binding", _NS):
        binding.set("name", PORT)
        binding.set("type", f"tns:{SERVICE}PortType")
    for service in root.iterfind("wsdl:service", _NS):
        service.insert(0, _words(_SERVICE_WORDS))
    for port in root.iterfind("wsdl:service/wsdl:port", _NS):
        port.set("name", PORT)
        port.set("binding", f"tns:{PORT}")


def _name_actions(root: etree._Element) -> None:
    for operation in root.iterfind("wsdl:portType/wsdl:operation", _NS):
        operation.attrib.pop("parameterOrder", "")  # of rpc style only (WSDL 1.1 section 2.4.6)
    for operation in root.iterfind("wsdl:binding/wsdl:operation", _NS):
        for action in operation.iterfind("soap:operation", _NS):
            action.set("soapAction", f"{NAMESPACE}/{operation.get('name')}")


def _attach_policy(root: etree._Element) -> None:
    for binding in root.iterfind("wsdl:binding", _NS):
        binding.insert(0, policy.reference(policy.BINDING))
        for direction, signed_parts in policy.MESSAGES.items():
            for message in binding.iterfind(f"wsdl:operation/wsdl:{direction}", _NS):
                message.insert(0, policy.reference(signed_parts))


def _redrawn(element: etree._Element, nsmap: dict[str, str]) -> etree._Element:
    """A copy without the namespaces Spyne declares and nobody uses: gSOAP takes an unused SOAP 1.2 one for a wish."""
    copy = etree.Element(element.tag, {str(name): str(value) for name, value in element.attrib.items()}, nsmap=nsmap)
    copy.text = element.text
    copy.extend([_redrawn(child, nsmap) for child in element])
    return copy


def _words(words: str) -> etree._Element:
    element = etree.Element(f"{{{_WSDL}}}documentation")
    element.text = words
    return element


def _annotate(element: etree._Element, words: str) -> None:
    annotation = etree.Element(f"{{{_XS}}}annotation")
    etree.SubElement(annotation, f"{{{_XS}}}documentation").text = words
    element.insert(0, annotation)


def _docstring(source: Any) -> str:
    """A docstring as one paragraph."""
    words = getattr(source, "doc", None) or source.__doc__ or ""
    return " ".join(inspect.cleandoc(words).split())


def _bytes(root: etree._Element) -> bytes:
    etree.indent(root)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8") + b"\n"


def _lines(content: bytes) -> list[str]:
    return content.decode(errors="replace").splitlines(keepends=True)
