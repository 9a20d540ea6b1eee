"""Rules of the WS-I Basic Profile 1.1 (2004-08-24) that a program can check, by their numbers there.

Each is a predicate over the WSDL or over one SOAP message. Rules about imports, headers in the WSDL and rpc are left
out: the contract has none of these, which R2023, R2705 and the schema's own tests say.
"""

from collections.abc import Callable
from typing import Final

import xmlschema
from lxml import etree
from xmlschema.extras.wsdl import Wsdl11Document

WSDL: Final = "http://schemas.xmlsoap.org/wsdl/"
SOAP_BINDING: Final = "http://schemas.xmlsoap.org/wsdl/soap/"
SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
XS: Final = "http://www.w3.org/2001/XMLSchema"
NS: Final = {"w": WSDL, "b": SOAP_BINDING, "s": SOAP, "xs": XS}
ENCODING: Final = "http://schemas.xmlsoap.org/soap/encoding/"
HTTP: Final = "http://schemas.xmlsoap.org/soap/http"
FAULT_CODES: Final = ("VersionMismatch", "MustUnderstand", "Client", "Server")

Check = Callable[[etree._Element], bool]


def _none(path: str) -> Check:
    return lambda root: not root.xpath(path, namespaces=NS)


def _unique(path: str) -> Check:
    def check(root: etree._Element) -> bool:
        found = root.xpath(path, namespaces=NS)
        return len(found) == len(set(found)) > 0

    return check


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _schemas_hold(root: etree._Element) -> bool:
    try:
        for text in map(etree.tostring, root.iterfind("w:types/xs:schema", NS)):
            etree.XMLSchema(etree.fromstring(text))
            xmlschema.XMLSchema10(text.decode())
    except (etree.XMLSchemaParseError, xmlschema.XMLSchemaException):
        return False
    return True


def _is_wsdl(root: etree._Element) -> bool:
    try:
        Wsdl11Document(etree.tostring(root).decode(), validation="strict")
    except (xmlschema.XMLSchemaException, xmlschema.extras.wsdl.WsdlParseError):
        return False
    return True


def _parts_are_global_elements(root: etree._Element) -> bool:
    known = set(root.xpath("w:types/xs:schema/xs:element/@name", namespaces=NS))
    return all(_local(part) in known for part in root.xpath("w:message/w:part/@element", namespaces=NS))


def _references_resolve(root: etree._Element) -> bool:
    known = set(root.xpath("w:types/xs:schema/*[self::xs:simpleType or self::xs:complexType]/@name", namespaces=NS))
    for use in root.xpath("w:types//@type | w:types//@base", namespaces=NS):
        prefix, _, name = str(use).rpartition(":")
        is_built_in = use.getparent().nsmap.get(prefix) == XS
        if not is_built_in and (use.getparent().nsmap.get(prefix) != root.get("targetNamespace") or name not in known):
            return False
    return True


def _same_operations(root: etree._Element) -> bool:
    bound, abstract = (root.xpath(f"w:{part}/w:operation/@name", namespaces=NS) for part in ("binding", "portType"))
    return sorted(bound) == sorted(abstract) != []


def _distinct_signatures(root: etree._Element) -> bool:
    """Document style: what an operation is told by is the element in its Body."""
    element_of = {m.get("name"): m.find("w:part", NS).get("element") for m in root.iterfind("w:message", NS)}
    asked = [_local(each) for each in root.xpath("w:portType/w:operation/w:input/@message", namespaces=NS)]
    return len({element_of[name] for name in asked}) == len(asked) > 0


def _faults_are_bound(root: etree._Element) -> bool:
    for operation in root.iterfind("w:portType/w:operation", NS):
        path = f"w:binding/w:operation[@name='{operation.get('name')}']/w:fault/b:fault/@name"
        bound = root.xpath(path, namespaces=NS)
        if sorted(bound) != sorted(each.get("name", "") for each in operation.iterfind("w:fault", NS)):
            return False
    return True


OF_DESCRIPTIONS: Final[dict[str, Check]] = {
    "R2028 R2029 the WSDL is valid by the schemas of WSDL 1.1 and of its SOAP binding": _is_wsdl,
    "R2023 types come before everything else of the WSDL namespace": lambda root: (
        next(child.tag for child in root if child.tag.startswith(f"{{{WSDL}}}")) == f"{{{WSDL}}}types"
    ),
    "R2026 no extension is required": _none("//@w:required"),
    "R2102 a reference names a type of this schema, or of XML Schema": _references_resolve,
    "R2105 a schema has a target namespace": _none("w:types/xs:schema[not(string(@targetNamespace))]"),
    "R2110 nothing extends or restricts soapenc:Array": _none("//@base[substring-after(., ':') = 'Array']"),
    "R2111 R2113 no array types": _none("//@*[local-name() = 'arrayType']"),
    "R2112 no type is called ArrayOf": _none("//xs:complexType[starts-with(@name, 'ArrayOf')]"),
    "R2201 a body binds at most one part": _none("//b:body[contains(normalize-space(@parts), ' ')]"),
    "R2204 R2205 every part is an element": _none("w:message/w:part[not(@element)]"),
    "R2206 a part refers to a global element declaration": _parts_are_global_elements,
    "R2210 a message has at most one part": _none("w:message[count(w:part) > 1]"),
    "R2303 no notification and no solicit-response": _none(
        "w:portType/w:operation[not(w:input) or w:output[following-sibling::w:input]]"
    ),
    "R2304 operations have distinct names": _unique("w:portType/w:operation/@name"),
    "R2305 no parameterOrder, which is of rpc": _none("//@parameterOrder"),
    "R2306 no part has both a type and an element": _none("w:message/w:part[@type and @element]"),
    "R2401 a binding is one of SOAP": _none("w:binding[not(b:binding)]"),
    "R2701 R2702 its transport is HTTP": _none(f"w:binding/b:binding[not(@transport = '{HTTP}')]"),
    "R2705 its style is document": _none("//@style[. != 'document'] | w:binding/b:binding[not(@style)]"),
    "R2706 its use is literal": _none("//b:body[not(@use = 'literal')] | //b:fault[not(@use = 'literal')]"),
    "R2710 operations differ in what is sent": _distinct_signatures,
    "R2711 ports have addresses of their own": _unique("w:service/w:port/b:address/@location"),
    "R2716 no namespace on body and fault": _none("//b:body/@namespace | //b:fault/@namespace"),
    "R2718 the binding has the operations of its port type": _same_operations,
    "R2721 a fault is named": _none("//b:fault[not(@name)]"),
    "R2754 a fault is called as its parent": _none("//b:fault[@name != ../@name]"),
    "R2740 every declared fault is bound": _faults_are_bound,
    "R2801 types are XML Schema 1.0": _schemas_hold,
}


def _fault_code_is_known(envelope: etree._Element) -> bool:
    """R1004: one of SOAP 1.1 section 4.4.1, or qualified by a namespace of one's own."""
    for code in envelope.iterfind("s:Body/s:Fault/faultcode", NS):
        prefix, _, name = (code.text or "").rpartition(":")
        namespace = code.nsmap.get(prefix)
        if namespace is None or (namespace == SOAP and name not in FAULT_CODES):
            return False
    return True


OF_MESSAGES: Final[dict[str, Check]] = {
    "R1000 a fault has no children but the four of SOAP 1.1": _none(
        "s:Body/s:Fault/*[not(local-name() = 'faultcode' or local-name() = 'faultstring' or "
        "local-name() = 'faultactor' or local-name() = 'detail')]"
    ),
    "R1001 which are in no namespace": _none("s:Body/s:Fault/*[namespace-uri()]"),
    "R1004 the fault code is of SOAP, or qualified": _fault_code_is_known,
    "R1031 and has no dot": _none("s:Body/s:Fault/faultcode[contains(., '.')]"),
    "R1005 R1006 no encodingStyle": _none("//@s:encodingStyle"),
    "R1008 no DTD": lambda envelope: envelope.getroottree().docinfo.doctype == "",
    "R1009 no processing instruction": _none("/processing-instruction() | //processing-instruction()"),
    "R1011 nothing follows the Body": _none("s:Body/following-sibling::*"),
    "R1012 the encoding is UTF-8": lambda envelope: envelope.getroottree().docinfo.encoding in (None, "UTF-8"),
    "R1013 mustUnderstand is 0 or 1": _none("//@s:mustUnderstand[. != '0' and . != '1']"),
    "R1014 what is in the Body is in a namespace": _none("s:Body/*[not(namespace-uri())]"),
    "R1032 no attributes of SOAP on Envelope, Header and Body": _none("/s:Envelope/@s:* | s:Header/@s:* | s:Body/@s:*"),
    "R9981 at most one element in the Body": _none("s:Body[count(*) > 1]"),
    "R9980 an Envelope with at most one Header and one Body": lambda envelope: (
        envelope.tag == f"{{{SOAP}}}Envelope"
        and [child.tag for child in envelope] in ([f"{{{SOAP}}}Header", f"{{{SOAP}}}Body"], [f"{{{SOAP}}}Body"])
    ),
    "R1017 no xsi:type": _none("//@*[local-name() = 'type' and contains(namespace-uri(), 'XMLSchema-instance')]"),
}
