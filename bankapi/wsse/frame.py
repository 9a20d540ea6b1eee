"""The strict frame around the cryptography: what the message may look like, and what each reference points at.

XML Signature says that some bytes were signed; it does not say that they are the Body. So everything is found by
position (Envelope/Header/Security, Envelope/Body), child lists are exact, ids are unique over all spellings, and
references are counted and identified before anything is computed. Whatever is left for the cryptography is small.
BSP is the WS-I Basic Security Profile 1.1, WSS is WS-Security 1.0, DSig is XML Signature.
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from dataclasses import dataclass

from lxml import etree

from bankapi.refusals import Refusal, Rule
from bankapi.wsse import names
from bankapi.wsse.profile import SecurityProfile

_XML_SPACE = " \t\r\n"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,127}", re.ASCII)
_ID_ATTRIBUTES = (names.WSU_ID, "Id")
"""The spellings a reference may resolve to: BSP R3005, and what node-soap and XML Signature itself write."""
_SECURITY_ATTRIBUTES = frozenset({names.MUST_UNDERSTAND, f"{{{names.SOAP}}}actor", *_ID_ATTRIBUTES})
_all_ids = etree.XPath("//@*[translate(local-name(), 'ID', 'id') = 'id']", smart_strings=False)

_ATTRIBUTES: dict[str, frozenset[str]] = {
    names.SIGNATURE: frozenset({"Id"}),
    names.SIGNED_INFO: frozenset({"Id"}),
    names.CANONICALIZATION_METHOD: frozenset({"Algorithm"}),
    names.SIGNATURE_METHOD: frozenset({"Algorithm"}),
    names.REFERENCE: frozenset({"Id", "URI"}),
    names.TRANSFORMS: frozenset(),
    names.TRANSFORM: frozenset({"Algorithm"}),
    names.INCLUSIVE_NAMESPACES: frozenset({"PrefixList"}),
    names.DIGEST_METHOD: frozenset({"Algorithm"}),
    names.DIGEST_VALUE: frozenset(),
    names.SIGNATURE_VALUE: frozenset({"Id"}),
    names.KEY_INFO: frozenset({"Id"}),
    names.SECURITY_TOKEN_REFERENCE: frozenset({names.WSU_ID, "Id", names.TOKEN_TYPE}),
    names.TOKEN_REFERENCE: frozenset({"URI", "ValueType"}),
    names.KEY_IDENTIFIER: frozenset({"EncodingType", "ValueType"}),
    names.X509_DATA: frozenset(),
    names.X509_ISSUER_SERIAL: frozenset(),
    names.X509_ISSUER_NAME: frozenset(),
    names.X509_SERIAL_NUMBER: frozenset(),
}
"""Every element a Signature may hold, with the attributes it may carry."""


@dataclass(frozen=True, slots=True)
class SecurityFrame:
    """The parts of one signed message, each in the only place it may be."""

    body: etree._Element
    timestamp: etree._Element
    token: etree._Element | None
    """The BinarySecurityToken, absent when the certificate is named by a look-up."""
    signature: etree._Element
    signature_algorithm: str
    signature_value: bytes
    token_reference: etree._Element
    """The one child of the SecurityTokenReference."""
    targets_by_uri: dict[str, etree._Element]
    """What each ds:Reference covers, in their order."""

    @property
    def targets(self) -> tuple[etree._Element, ...]:
        return tuple(self.targets_by_uri.values())


def read_frame(envelope: etree._Element, profile: SecurityProfile) -> SecurityFrame:
    """Take the message apart, or refuse it."""
    _refuse_foreign_nodes(envelope)
    header, body = _header_and_body(envelope)
    security, other_headers = _security_and_others(header)
    _refuse_duplicate_ids(envelope)
    timestamp, token, signature = _security_children(security)
    if sum(1 for _ in envelope.iter(names.SIGNATURE)) != 1:
        raise Refusal(Rule.WSSE_SIGNATURE_FORM, "a second ds:Signature")
    signed_info, signature_value, key_info = _children(
        signature, (names.SIGNED_INFO, names.SIGNATURE_VALUE, names.KEY_INFO), Rule.WSSE_SIGNATURE_FORM
    )
    references = _count_references(signed_info, profile)
    _refuse_unknown_form(signature)
    algorithm = _signature_algorithm(signed_info, profile)
    for reference in references:
        _check_reference(reference, profile)
    targets = _identify_targets(references, (body, timestamp, *([] if token is None else [token]), *other_headers))
    if body not in targets.values():
        raise Refusal(Rule.WSSE_BODY_NOT_SIGNED)
    if timestamp not in targets.values():
        raise Refusal(Rule.WSSE_TIMESTAMP_NOT_SIGNED)
    (token_reference_holder,) = _children(key_info, (names.SECURITY_TOKEN_REFERENCE,), Rule.WSSE_TOKEN_REFERENCE)
    if len(token_reference_holder) != 1:  # BSP R3061
        raise Refusal(Rule.WSSE_TOKEN_REFERENCE)
    return SecurityFrame(
        body=body,
        timestamp=timestamp,
        token=token,
        signature=signature,
        signature_algorithm=algorithm,
        signature_value=base64_value(signature_value, Rule.WSSE_SIGNATURE_FORM, bytes_max=profile.rsa_bits_max // 8),
        token_reference=token_reference_holder[0],
        targets_by_uri=targets,
    )


def base64_value(element: etree._Element, rule: Rule, *, bytes_max: int) -> bytes:
    """The element's text as xs:base64Binary: spaces and line ends anywhere, and nothing else beside the alphabet."""
    if len(element):
        raise Refusal(rule, "an element inside base64")
    encoded = (element.text or "").encode().translate(None, _XML_SPACE.encode())
    if len(encoded) > (bytes_max + 2) // 3 * 4:
        raise Refusal(rule, "base64 too long")
    try:
        decoded = a2b_base64(encoded, strict_mode=True)
    except Base64Error as error:
        raise Refusal(rule, "not base64") from error
    if not decoded:
        raise Refusal(rule, "empty base64")
    return decoded


def element_id(element: etree._Element) -> str | None:
    """The id by which a reference may name this element; two ids on one element are refused."""
    ids = [name for name in element.attrib if _local_name(str(name)).lower() == "id"]
    if len(ids) > 1:
        raise Refusal(Rule.XML_DUPLICATE_ID, "two ids on one element")
    return element.get(ids[0]) if ids and ids[0] in _ID_ATTRIBUTES else None


def _refuse_foreign_nodes(envelope: etree._Element) -> None:
    """Comments and processing instructions split text and vanish from canonical bytes; entities need a DTD."""
    if envelope.getparent() is not None:
        raise Refusal(Rule.SOAP_NOT_AN_ENVELOPE, "not a document's root")
    if envelope.getprevious() is not None or envelope.getnext() is not None:
        raise Refusal(Rule.XML_PROCESSING_INSTRUCTION, "a comment or instruction beside the root")
    for node in envelope.iter(etree.Comment, etree.ProcessingInstruction, etree.Entity):
        if isinstance(node, etree._Comment):
            raise Refusal(Rule.XML_COMMENT)
        raise Refusal(Rule.XML_ENTITY if isinstance(node, etree._Entity) else Rule.XML_PROCESSING_INSTRUCTION)


def _header_and_body(envelope: etree._Element) -> tuple[etree._Element, etree._Element]:
    if envelope.tag != names.ENVELOPE:
        raise Refusal(Rule.SOAP_NOT_AN_ENVELOPE)
    children = list(envelope)
    if children and children[0].tag == names.BODY:
        raise Refusal(Rule.WSSE_HEADER_MISSING, "no soap:Header")
    header, body = _children(envelope, (names.HEADER, names.BODY), Rule.SOAP_STRUCTURE)
    if _has_stray_text(body):
        raise Refusal(Rule.SOAP_STRAY_TEXT)
    if len(body) != 1:
        raise Refusal(Rule.SOAP_BODY_CHILDREN)
    return header, body


def _security_and_others(header: etree._Element) -> tuple[etree._Element, list[etree._Element]]:
    securities = [child for child in header if child.tag == names.SECURITY]
    if not securities:
        raise Refusal(Rule.WSSE_HEADER_MISSING)
    root = header.getroottree()
    if len(securities) > 1 or sum(1 for _ in root.iter(names.SECURITY)) > 1:
        raise Refusal(Rule.WSSE_HEADER_DUPLICATE)
    if _has_stray_text(header):
        raise Refusal(Rule.SOAP_STRAY_TEXT)
    (security,) = securities
    for name, value in security.items():
        if _local_name(str(name)) in ("actor", "role") and value:
            raise Refusal(Rule.WSSE_ACTOR)
    if not _SECURITY_ATTRIBUTES.issuperset(security.keys()):
        raise Refusal(Rule.WSSE_HEADER_CHILDREN, "an attribute that is not in the profile")
    return security, [child for child in header if child is not security]


def _refuse_duplicate_ids(envelope: etree._Element) -> None:
    """One id names one element, however it is spelled: Id, ID, id, wsu:Id, xml:id or in any other namespace."""
    ids = _all_ids(envelope)
    assert isinstance(ids, list)
    if len({str(value).strip() for value in ids}) != len(ids):
        raise Refusal(Rule.XML_DUPLICATE_ID)


def _security_children(security: etree._Element) -> tuple[etree._Element, etree._Element | None, etree._Element]:
    """One Timestamp (BSP R3227), one Signature, at most one token, in any order (layout Lax)."""
    found: dict[str, etree._Element] = {}
    for child in security:
        if child.tag not in (names.TIMESTAMP, names.BINARY_SECURITY_TOKEN, names.SIGNATURE) or child.tag in found:
            raise Refusal(Rule.WSSE_HEADER_CHILDREN)
        found[child.tag] = child
    if _has_stray_text(security) or names.TIMESTAMP not in found or names.SIGNATURE not in found:
        raise Refusal(Rule.WSSE_HEADER_CHILDREN)
    return found[names.TIMESTAMP], found.get(names.BINARY_SECURITY_TOKEN), found[names.SIGNATURE]


def _count_references(signed_info: etree._Element, profile: SecurityProfile) -> list[etree._Element]:
    """Between one and the maximum, after CanonicalizationMethod and SignatureMethod (DSig section 4.4)."""
    count = len(signed_info) - 2
    if count > profile.references_max:
        raise Refusal(Rule.WSSE_REFERENCE_COUNT)
    expected = (names.CANONICALIZATION_METHOD, names.SIGNATURE_METHOD, *[names.REFERENCE] * max(count, 1))
    return _children(signed_info, expected, Rule.WSSE_SIGNATURE_FORM)[2:]


def _refuse_unknown_form(signature: etree._Element) -> None:
    for element in signature.iter():
        allowed = _ATTRIBUTES.get(element.tag)
        if allowed is None:
            raise Refusal(_rule_of_stranger(element), "an element that is not in the profile")
        if not allowed.issuperset(element.keys()):
            raise Refusal(Rule.WSSE_SIGNATURE_FORM, "an attribute that is not in the profile")


def _rule_of_stranger(element: etree._Element) -> Rule:
    """The nearest ancestor that has a rule of its own says what was broken."""
    rules = {
        names.KEY_INFO: Rule.WSSE_TOKEN_REFERENCE,
        names.TRANSFORMS: Rule.WSSE_TRANSFORM,
        names.SIGNATURE_METHOD: Rule.WSSE_SIGNATURE_ALGORITHM,
        names.DIGEST_METHOD: Rule.WSSE_DIGEST_ALGORITHM,
        names.CANONICALIZATION_METHOD: Rule.WSSE_CANONICALIZATION,
    }
    return next((rules[a.tag] for a in element.iterancestors() if a.tag in rules), Rule.WSSE_SIGNATURE_FORM)


def _signature_algorithm(signed_info: etree._Element, profile: SecurityProfile) -> str:
    canonicalization, method = signed_info[0], signed_info[1]
    if canonicalization.get("Algorithm") != profile.canonicalization_algorithm:  # BSP R5404
        raise Refusal(Rule.WSSE_CANONICALIZATION)
    _check_inclusive_namespaces(canonicalization, profile, Rule.WSSE_CANONICALIZATION)
    algorithm = method.get("Algorithm")
    if algorithm not in profile.signature_algorithms or len(method):
        raise Refusal(Rule.WSSE_SIGNATURE_ALGORITHM, "WSS4J and CXF: set ws-security.asymmetric.signature.algorithm")
    return algorithm


def _check_reference(reference: etree._Element, profile: SecurityProfile) -> None:
    """Transforms, DigestMethod and DigestValue, each as the profile has them (BSP R5411, R5412, R5416, R5423)."""
    if len(reference) == 2 and reference[0].tag != names.TRANSFORMS:
        raise Refusal(Rule.WSSE_TRANSFORM, "no Transforms")
    transforms, method, value = _children(
        reference, (names.TRANSFORMS, names.DIGEST_METHOD, names.DIGEST_VALUE), Rule.WSSE_SIGNATURE_FORM
    )
    if len(transforms) > 2 or any(transform.tag != names.TRANSFORM for transform in transforms):
        raise Refusal(Rule.WSSE_TRANSFORM)
    if tuple(transform.get("Algorithm") for transform in transforms) not in profile.transform_chains:
        raise Refusal(Rule.WSSE_TRANSFORM)
    _check_inclusive_namespaces(transforms[-1], profile, Rule.WSSE_TRANSFORM)
    if len(transforms) == 2 and len(transforms[0]):
        raise Refusal(Rule.WSSE_TRANSFORM)
    if method.get("Algorithm") not in profile.digest_algorithms or len(method):
        raise Refusal(Rule.WSSE_DIGEST_ALGORITHM)
    if len(base64_value(value, Rule.WSSE_SIGNATURE_FORM, bytes_max=32)) != 32:
        raise Refusal(Rule.WSSE_SIGNATURE_FORM, "a digest of another length")


def inclusive_prefixes(method: etree._Element) -> list[str]:
    """The PrefixList of a Transform or CanonicalizationMethod: an xs:NMTOKENS, split on any white space."""
    return (method[0].get("PrefixList") or "").split() if len(method) else []


def _check_inclusive_namespaces(method: etree._Element, profile: SecurityProfile, rule: Rule) -> None:
    if len(method) > 1 or (len(method) == 1 and method[0].tag != names.INCLUSIVE_NAMESPACES):
        raise Refusal(rule)
    if len(method) and len(method[0]):
        raise Refusal(rule)
    if len(inclusive_prefixes(method)) > profile.inclusive_prefixes_max:
        raise Refusal(rule, "too many prefixes")


def _identify_targets(
    references: list[etree._Element], addressable: tuple[etree._Element, ...]
) -> dict[str, etree._Element]:
    """Which of the few addressable elements each reference means; never a search through the document."""
    by_uri = {f"#{name}": element for element in addressable if (name := element_id(element)) and _NAME.fullmatch(name)}
    targets: dict[str, etree._Element] = {}
    for reference in references:
        uri = reference.get("URI", "")
        if uri not in by_uri:
            raise Refusal(Rule.WSSE_REFERENCE_TARGET)
        if uri in targets:
            raise Refusal(Rule.WSSE_REFERENCE_DUPLICATE)
        targets[uri] = by_uri[uri]
    return targets


def _children(parent: etree._Element, tags: tuple[str, ...], rule: Rule) -> list[etree._Element]:
    """Exactly these children in this order, and no text between them."""
    children = list(parent)
    if tuple(child.tag for child in children) != tags:
        raise Refusal(rule)
    if _has_stray_text(parent):
        raise Refusal(Rule.SOAP_STRAY_TEXT if rule is Rule.SOAP_STRUCTURE else rule, "stray text")
    return children


def _local_name(name: str) -> str:
    return name.rpartition("}")[2]


def _has_stray_text(parent: etree._Element) -> bool:
    texts = [parent.text, *[child.tail for child in parent]]
    return any(text.strip(_XML_SPACE) for text in texts if text)
